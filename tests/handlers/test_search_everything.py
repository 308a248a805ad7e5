"""GET /api/search: projects, issues, comments and people, best first, with what fits highlighted."""

from typing import Any

import pytest

from tests.world import Caller, Json, Org, World, refused

PATH = "/api/search"


def found(caller: Caller, words: str, **query: Any) -> list[Json]:
    """What a search finds, in order."""
    response = caller.get(PATH, params={"q": words, **query})
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def titles(caller: Caller, words: str, **query: Any) -> list[tuple[str, str]]:
    return [(item["type"], item["title"]) for item in found(caller, words, **query)]


def marked(item: Json) -> str:
    """The snippet, with brackets around what is highlighted."""
    return "".join(f"[{s['text']}]" if s["highlighted"] else s["text"] for s in item["snippet"])


class TestSearch:
    def test_finds(self, org: Org) -> None:
        project = org.manager.create_project(name="The leak", key="LEAK", description="All leaks.")
        issue = org.member.create_issue(project, title="A leak", description="In the pump room")
        org.member.create_comment(issue, "It is leaking again")
        for item in found(org.auditor, "leak"):
            print(item)
        print(found(org.auditor, "leak-1"))
        assert 0

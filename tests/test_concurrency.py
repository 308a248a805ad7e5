"""What must hold when many people change the same thing at the same moment."""

from collections import Counter
from functools import partial
from uuid import UUID

import httpx
from sqlalchemy import select

from bugtracker.models import Event
from tests.parallel import Call, at_once
from tests.world import Json, Org, World

PEOPLE = 50


def url(issue: Json) -> str:
    return f"/api/issues/{issue['id']}"


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


class TestOneEtagForMany:
    def test_exactly_one_change_passes(self, world: World, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        tag = {"If-Match": org.manager.get(url(issue)).headers["ETag"]}
        responses = at_once(
            [
                partial(org.manager.patch, url(issue), {"title": f"Mine {n}"}, headers=tag)
                for n in range(PEOPLE)
            ]
        )
        assert statuses(responses) == {200: 1, 412: PEOPLE - 1}
        [winner] = [r.json() for r in responses if r.status_code == 200]
        assert org.manager.get(url(issue)).json() == winner
        assert winner["version"] == 2
        assert len(world.events(org, issue)) == 2
        told = {
            (r.json()["current_version"], *r.json()["changed_fields"])
            for r in responses[1:]
            if r.status_code == 412
        }
        assert told == {(2, "title")}

    def test_without_it_every_change_counts(self, world: World, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        responses = at_once(
            [partial(org.manager.patch, url(issue), {"title": f"Mine {n}"}) for n in range(20)]
        )
        assert statuses(responses) == {200: 20}
        assert sorted(r.json()["version"] for r in responses) == list(range(2, 22))
        entries = org.manager.get(f"{url(issue)}/history", params={"limit": 30}).json()["items"]
        assert [entry["version"] for entry in entries] == list(range(1, 22))
        titles = [change for entry in entries for change in entry["changes"]][4:]
        assert [a["new"] for a in titles[:-1]] == [b["old"] for b in titles[1:]]

    def test_changes_of_different_fields_lose_nothing(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        patches: list[Json] = [
            {"title": "Flood"},
            {"description": "Water"},
            {"priority": "high"},
            {"status": "in_progress"},
            {"due_date": "2026-01-01"},
            {"assignee_id": str(org.developer.id)},
        ]
        at_once([partial(org.manager.patch, url(issue), patch) for patch in patches])
        after = org.manager.get(url(issue)).json()
        assert {k: after[k] for patch in patches for k in patch} == {
            k: v for patch in patches for k, v in patch.items()
        }
        assert after["version"] == 7

    def test_one_status_change_is_made_once(self, world: World, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        body = {"status": "in_progress"}
        responses = at_once([partial(org.manager.patch, url(issue), body)] * 20)
        assert statuses(responses) == {200: 20}
        assert len(world.events(org, issue)) == 2


class TestCriticalIssuesAreClosedWithAComment:
    """T6 in every race: whatever wins, no issue ends closed, critical and without comment."""

    ROUNDS = 12

    def _resolved(self, org: Org, project: Json, priority: str) -> Json:
        issue = org.manager.create_issue(project, priority=priority)
        return org.manager.move(issue, "in_progress", "resolved")

    def _is_sound(self, org: Org, issue: Json) -> bool:
        now = org.manager.get(url(issue)).json()
        comments = org.manager.get(f"{url(issue)}/comments").json()["items"]
        return bool(comments) or (now["status"], now["priority"]) != ("closed", "critical")

    def test_closing_while_the_priority_rises(self, org: Org, project: Json) -> None:
        issues = [self._resolved(org, project, "medium") for _ in range(self.ROUNDS)]
        calls = []
        for issue in issues:
            calls.append(partial(org.manager.patch, url(issue), {"status": "closed"}))
            calls.append(partial(org.manager.patch, url(issue), {"priority": "critical"}))
        responses = at_once(calls)
        assert statuses(responses) == {200: self.ROUNDS, 409: self.ROUNDS}
        assert {r.json()["code"] for r in responses if r.status_code == 409} == {
            "issue_comment_required"
        }
        assert all(self._is_sound(org, issue) for issue in issues)

    def test_closing_while_the_comment_is_written(self, org: Org, project: Json) -> None:
        issues = [self._resolved(org, project, "critical") for _ in range(self.ROUNDS)]
        calls = []
        for issue in issues:
            calls.append(partial(org.manager.patch, url(issue), {"status": "closed"}))
            comment = {"content": "Pumped out."}
            calls.append(partial(org.member.post, f"{url(issue)}/comments", comment))
        responses = at_once(calls)
        assert all(r.status_code == 201 for r in responses[1::2])
        for issue, response in zip(issues, responses[::2], strict=True):
            assert response.status_code in (200, 409)
            closed = org.manager.get(url(issue)).json()["status"] == "closed"
            assert closed is (response.status_code == 200)


class TestNumbers:
    def test_parallel_issues_count_without_gap_or_double(self, org: Org, project: Json) -> None:
        path, body = f"/api/projects/{project['id']}/issues", {"title": "Leak"}
        responses = at_once([partial(org.member.post, path, body)] * PEOPLE)
        assert statuses(responses) == {201: PEOPLE}
        assert sorted(r.json()["number"] for r in responses) == list(range(1, PEOPLE + 1))

    def test_refused_ones_leave_no_gap(self, org: Org, project: Json) -> None:
        path = f"/api/projects/{project['id']}/issues"
        good, bad = {"title": "Leak"}, {"title": "Leak", "assignee_id": str(org.member.id)}
        responses = at_once([partial(org.member.post, path, body) for body in (good, bad) * 15])
        assert statuses(responses) == {201: 15, 422: 15}
        numbers = sorted(r.json()["number"] for r in responses if r.status_code == 201)
        assert numbers == list(range(1, 16))


class TestArchivingWhilePeopleWrite:
    def test_nothing_is_written_after_the_archive_answered(
        self, world: World, org: Org, project: Json
    ) -> None:
        issue = org.manager.create_issue(project)
        comment = org.member.create_comment(issue)
        writers = [
            partial(org.member.post, f"/api/projects/{project['id']}/issues", {"title": "New"}),
            partial(org.member.post, f"{url(issue)}/comments", {"content": "New"}),
            partial(org.member.patch, f"/api/comments/{comment['id']}", {"content": "Edited"}),
            partial(org.manager.patch, url(issue), {"title": "Flood"}),
        ]
        state: list[int] = []

        def archive() -> httpx.Response:
            response = org.manager.delete(f"/api/projects/{project['id']}")
            state.append(self._written(world, org, project))
            return response

        calls: list[Call] = [*writers * 6, archive, *writers * 6]
        responses = at_once(calls)
        assert responses[24].status_code == 204
        others = responses[:24] + responses[25:]
        assert set(statuses(others)) <= {200, 201, 409}
        assert {r.json()["code"] for r in others if r.status_code == 409} <= {"project_archived"}
        assert self._written(world, org, project) == state[0]

    def _written(self, world: World, org: Org, project: Json) -> int:
        """How many events there are: every write makes one, or changes nothing."""
        project_id = UUID(project["id"])
        with world.runtime.db.transaction(org_id=org.id) as session:
            statement = select(Event.id).where(Event.project_id == project_id)
            return len(session.scalars(statement).all())


class TestNames:
    def test_of_two_projects_of_one_name_one_is_made(self, org: Org) -> None:
        responses = at_once([partial(org.manager.post, "/api/projects", {"name": "Quay"})] * 2)
        assert statuses(responses) == {201: 1, 409: 1}
        [problem] = [r.json() for r in responses if r.status_code == 409]
        assert problem["code"] == "project_name_taken"

    def test_of_two_renamings_to_one_name_one_is_made(self, org: Org) -> None:
        projects = [org.manager.create_project() for _ in range(2)]
        responses = at_once(
            [
                partial(org.manager.patch, f"/api/projects/{p['id']}", {"name": "Quay"})
                for p in projects
            ]
        )
        assert statuses(responses) == {200: 1, 409: 1}

    def test_of_two_projects_of_one_key_one_is_made(self, org: Org) -> None:
        bodies = [{"name": name, "key": "QQ"} for name in ("Quay", "Quarry")]
        responses = at_once([partial(org.manager.post, "/api/projects", b) for b in bodies])
        assert statuses(responses) == {201: 1, 409: 1}
        [problem] = [r.json() for r in responses if r.status_code == 409]
        assert problem["code"] == "project_key_taken"

    def test_keys_derived_at_once_all_differ(self, org: Org) -> None:
        names = [f"Tidal Library System {'x' * n}" for n in range(1, 21)]
        names += [f"Tidal Lending Service {'x' * n}" for n in range(1, 11)]
        bodies = [{"name": name} for name in names]
        responses = at_once([partial(org.manager.post, "/api/projects", b) for b in bodies])
        assert statuses(responses) == {201: 30}
        assert len({r.json()["key"] for r in responses}) == 30


class TestComments:
    """The search document of an issue is shared by all its comments."""

    def test_editing_two_comments_of_one_issue_never_blocks(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project)
        comments = [org.member.create_comment(issue, f"old{n}") for n in range(25)]
        responses = at_once(
            [
                partial(org.member.patch, f"/api/comments/{comment['id']}", {"content": f"new{n}"})
                for n, comment in enumerate(comments)
            ]
        )
        assert statuses(responses) == {200: 25}
        self._finds(org, project, [f"new{n}" for n in range(25)])
        self._finds_not(org, project, [f"old{n}" for n in range(25)])

    def test_writing_and_editing_at_once_keeps_every_word(self, org: Org, project: Json) -> None:
        issue = org.manager.create_issue(project, title="Leak")
        comments = [org.member.create_comment(issue, f"old{n}") for n in range(10)]
        calls = [
            partial(org.member.patch, f"/api/comments/{comment['id']}", {"content": f"new{n}"})
            for n, comment in enumerate(comments)
        ]
        path = f"{url(issue)}/comments"
        calls += [partial(org.member.post, path, {"content": f"fresh{n}"}) for n in range(10)]
        calls += [
            partial(org.manager.patch, url(issue), {"description": f"d{n}"}) for n in range(4)
        ]
        assert set(statuses(at_once(calls))) == {200, 201}
        self._finds(org, project, [f"{word}{n}" for word in ("new", "fresh") for n in range(10)])

    def _search(self, org: Org, project: Json, word: str) -> list[Json]:
        path = f"/api/projects/{project['id']}/issues"
        items: list[Json] = org.member.get(path, params={"search": word}).json()["items"]
        return items

    def _finds(self, org: Org, project: Json, words: list[str]) -> None:
        assert [word for word in words if not self._search(org, project, word)] == []

    def _finds_not(self, org: Org, project: Json, words: list[str]) -> None:
        assert [word for word in words if self._search(org, project, word)] == []

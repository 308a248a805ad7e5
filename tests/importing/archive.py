"""Archives to import, as small as the test allows."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def comment(body: Any = "Me too.", second: int = 0, **fields: Any) -> Json:
    """A comment by ``bob`` on 2 January 2020."""
    moment = f"2020-01-02T00:{second // 60:02}:{second % 60:02}Z"
    made = {"author": "bob", "authorAssociation": "MEMBER", "body": body}
    return {**made, "createdAt": moment, "updatedAt": moment, **fields}


def issue(number: Any = 1, comments: Any = (), **fields: Any) -> Json:
    """A closed issue by ``alice`` of 1 January 2020."""
    return {
        "number": number,
        "id": f"id{number}",
        "title": f"Issue {number}",
        "url": f"https://example.org/{number}",
        "state": "CLOSED",
        "author": "alice",
        "authorAssociation": "NONE",
        "assignees": [],
        "labels": [],
        "body": "It fails.",
        "createdAt": "2020-01-01T10:00:00Z",
        "updatedAt": "2020-01-03T10:00:00Z",
        "closedAt": "2020-01-03T09:00:00Z",
        "comments": list(comments) if isinstance(comments, tuple) else comments,
        **fields,
    }


def write(path: Path, *issues: Any, repo: Any = "acme/tide-tables", **fields: Any) -> Path:
    """A file with an archive."""
    archive = {"repo": repo, "labels": [], "issues": list(issues), "pulls": [], **fields}
    path.write_text(json.dumps(archive))
    return path

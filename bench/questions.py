"""What is asked as the data grow: each list, filter, search and statistic of the API."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from bench.scene import Scene

Kind = Literal["list", "search", "analytics"]


@dataclass(frozen=True)
class Question:
    """A request: its path has places for ids, which ``path_of`` fills."""

    name: str
    path: str
    kind: Kind = "list"


_PROJECT = "/api/projects/{project}/issues"
QUESTIONS = (
    Question("issue", "/api/issues/{issue}"),
    Question("issues", _PROJECT),
    Question("issues by priority", f"{_PROJECT}?sort=-priority"),
    Question("issues by status", f"{_PROJECT}?sort=status"),
    Question("issues by due date", f"{_PROJECT}?sort=due_date"),
    Question("issues by change", f"{_PROJECT}?sort=-updated_at"),
    Question("issues of a status", f"{_PROJECT}?status=open"),
    Question("issues of two statuses", f"{_PROJECT}?status=open,reopened"),
    Question("issues of a priority", f"{_PROJECT}?status=open&priority=high"),
    Question("issues of an assignee", f"{_PROJECT}?assignee={{person}}"),
    Question("issues of a reporter", f"{_PROJECT}?reporter={{person}}"),
    Question("filter: by time", f"{_PROJECT}?filter=" + quote("created_at>=2020-01-01;number>5")),
    Question("filter: one of two", f"{_PROJECT}?filter=" + quote("priority==high,status==open")),
    Question("all issues", "/api/issues"),
    Question("all issues, far behind", "/api/issues?sort=-created_at&cursor={cursor}"),
    Question("all issues of a status", "/api/issues?status=open"),
    Question("all issues of an assignee", "/api/issues?assignee={person}"),
    Question("comments", "/api/issues/{issue}/comments"),
    Question("history", "/api/issues/{issue}/history"),
    Question("projects", "/api/projects"),
    Question("users", "/api/users"),
    Question("users, filtered", "/api/users?filter=" + quote("role==developer")),
    Question("events", "/api/events"),
    Question("audit", "/api/audit"),
    Question("search: rare", f"{_PROJECT}?search={{rare}}", "search"),
    Question("search: common", f"{_PROJECT}?search={{common}}", "search"),
    Question("search: missing", f"{_PROJECT}?search=zyzzyva", "search"),
    Question("search all: rare", "/api/search?q={rare}", "search"),
    Question("search all: common", "/api/search?q={common}", "search"),
    Question("search users", "/api/users?search=an", "search"),
    Question("project statistics", "/api/projects/{project}/statistics", "analytics"),
    Question("top logins", "/api/users/top-logins?window=30d", "analytics"),
    Question("inactive users", "/api/users/inactive?window=week", "analytics"),
    Question("rate limits", "/api/analytics/rate-limits", "analytics"),
)


def path_of(question: Question, scene: Scene, number: int) -> str:
    """The path of the ``number``-th time: other ids each time."""
    issue, _project = scene.issues[number % len(scene.issues)]
    return question.path.format(
        issue=issue,
        project=scene.projects[number % len(scene.projects)],
        person=scene.developers[number % len(scene.developers)].id,
        rare=scene.words.rare[number % len(scene.words.rare)],
        common=scene.words.common[number % len(scene.words.common)],
        cursor=scene.deep_cursor,
    )

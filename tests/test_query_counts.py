"""How many statements each operation sends, whatever there is to read: no N+1 anywhere."""

from collections.abc import Callable
from itertools import chain

import httpx
import pytest

from bugtracker.runtime import Runtime
from tests.partners import create_partner, wanted
from tests.recorder import recorded
from tests.world import Json, Org

# Who asks is looked up, and the tenant set, by the message that begins the transaction; a list may
# need two statements.
LIST, PAGE, ITEM = 1, 2, 1
FORESEEN = 0
"""Read by that message, too."""
MOST_OF_A_LIST = 2


def fill(org: Org, count: int) -> tuple[Json, Json, Json]:
    """So many projects, issues in one, comments and changes on one, by different people."""
    project = org.manager.create_project()
    for _ in range(count - 1):
        org.admin.create_project()
    assignee = {"assignee_id": str(org.developer.id)}
    for n in range(count):
        reporter = (org.member, org.developer, org.admin)[n % 3]
        issue = reporter.create_issue(project, title="The leak", **assignee)
    for n in range(count):
        author = (org.member, org.developer, org.admin)[n % 3]
        comment = author.create_comment(issue)
        org.admin.patch(f"/api/issues/{issue['id']}", {"title": f"The leak {n}"})
    return project, issue, comment


class Reads:
    """Paths of all lists and items, to be read with few rows and with many."""

    LISTS = (
        "/api/projects",
        "/api/projects?search=project&is_archived=false&sort=name",
        "/api/projects/{project}/issues",
        "/api/projects/{project}/issues?status=open&priority=medium&assignee={developer}",
        "/api/projects/{project}/issues?search=leak&sort=-priority&render=html",
        "/api/projects/{project}/issues?filter=assignee==me,reporter!=somebody",
        "/api/issues",
        "/api/issues?search=leak&sort=-priority",
        "/api/issues?filter=project==NONE,assignee==none,reporter==me;created_at>-1d",
        "/api/issues/{issue}/comments",
        "/api/issues/{key}/comments?render=html",
        "/api/issues/{issue}/history",
        "/api/issues/{key}/history?sort=-created_at",
        "/api/organisations",
        "/api/organisations/{org}/members?role=developer",
        "/api/invitations?state=pending",
        "/api/deletion-requests?state=pending",
        "/api/users/top-logins",
        "/api/users/inactive?window=hour",
        "/api/analytics/rate-limits",
    )
    NUMBERED = (
        "/api/projects?page=1",
        "/api/projects/{project}/issues?page=1",
        "/api/issues/{issue}/comments?page=1",
        "/api/issues?page=1&filter=title==*leak*",
    )
    # The order, then what is shown.
    SEARCHES = (
        "/api/projects/{project}/issues?search=leak",
        "/api/search?q=leak&limit=100",
        "/api/search?q=project",
        "/api/search?q={key}",
    )
    EMPTY = (
        "/api/projects/{project}/issues?search=nothing",
        "/api/projects/{project}/issues?status=closed",
        "/api/projects/{project}/issues?status=closed&page=1",
        "/api/projects/{project}/issues?page=99",
        "/api/issues/{issue}/comments?page=99",
        "/api/search?q=nothing",
    )
    ITEMS = (
        "/api/projects/{project}/statistics?interval=week",
        "/api/issues/{key}?render=html",
        "/api/comments/{comment}?render=html",
    )
    FORESEEN = (
        "/api/projects/{project}",
        "/api/projects/{project_key}",
        "/api/issues/{issue}",
        "/api/issues/{key}",
        "/api/comments/{comment}",
    )


class TestReading:
    @pytest.mark.parametrize("rows", [1, 24])
    def test_takes_a_fixed_number_of_statements(
        self, runtime: Runtime, org: Org, rows: int
    ) -> None:
        project, issue, comment = fill(org, rows)
        ids = {
            "project": project["id"],
            "project_key": project["key"],
            "issue": issue["id"],
            "key": issue["key"],
            "comment": comment["id"],
            "developer": str(org.developer.id),
            "org": str(org.id),
        }
        counts = {}
        paths = (
            Reads.LISTS,
            Reads.NUMBERED,
            Reads.SEARCHES,
            Reads.EMPTY,
            Reads.ITEMS,
            Reads.FORESEEN,
        )
        for path in chain.from_iterable(paths):
            with recorded(runtime.db.engine) as statements:
                response = org.admin.get(path.format(**ids))
            assert response.status_code == 200, response.text
            counts[path] = len(statements)
        for path in Reads.LISTS:
            assert counts[path] == LIST, path
        for path in Reads.NUMBERED + Reads.SEARCHES:
            assert counts[path] == PAGE, path
        for path in Reads.ITEMS:
            assert counts[path] == ITEM, path
        for path in Reads.FORESEEN:
            assert counts[path] == FORESEEN, path
        assert max(counts.values()) <= MOST_OF_A_LIST, counts


Request = Callable[[Org, Json, Json, Json], httpx.Response]
WRITES: dict[str, tuple[int, Request]] = {
    # organisation locked, keys taken, project, event
    "create a project": (4, lambda o, p, i, c: o.admin.post("/api/projects", {"name": "New"})),
    # project, update, event
    "rename a project": (
        3,
        lambda o, p, i, c: o.admin.patch(f"/api/projects/{p['id']}", {"name": "Other"}),
    ),
    # project counted, issue, event
    "create an issue": (
        3,
        lambda o, p, i, c: o.admin.post(f"/api/projects/{p['id']}/issues", {"title": "New"}),
    ),
    # issue and project locked, update, event
    "edit an issue": (
        3,
        lambda o, p, i, c: o.admin.patch(f"/api/issues/{i['id']}", {"title": "New"}),
    ),
    # the same without the last two
    "edit nothing": (
        1,
        lambda o, p, i, c: o.admin.patch(f"/api/issues/{i['id']}", {"title": "The leak 0"}),
    ),
    # issue and project, comment, event
    "comment": (
        3,
        lambda o, p, i, c: o.admin.post(f"/api/issues/{i['id']}/comments", {"content": "New"}),
    ),
    # comment found, issue and project locked, comment locked, update, event
    "edit a comment": (
        5,
        lambda o, p, i, c: o.member.patch(f"/api/comments/{c['id']}", {"content": "New"}),
    ),
    # person, job, former ones, export, event, job shown
    "ask for an export": (6, lambda o, p, i, c: o.admin.post("/api/users/me/export")),
    # project, update, event
    "archive": (3, lambda o, p, i, c: o.admin.delete(f"/api/projects/{p['id']}")),
}


class TestWriting:
    @pytest.mark.parametrize("name", WRITES)
    def test_takes_a_fixed_number_of_statements(
        self, runtime: Runtime, org: Org, name: str
    ) -> None:
        expected, request = WRITES[name]
        things = fill(org, 1)
        with recorded(runtime.db.engine) as statements:
            response = request(org, *things)
        assert response.is_success, response.text
        assert len(statements) == expected, [sql[:60] for sql, _ in statements]


class TestPartners:
    def test_take_few_statements(self, runtime: Runtime, anonymous: httpx.Client) -> None:
        partner, body = create_partner(runtime, anonymous), wanted()
        counts = []
        for request in (
            # key, nonce, tenant, claim, steps, savepoint around the job (two), status
            lambda: partner.provision(body),
            # key, nonce, tenant, claim, comparison, status
            lambda: partner.provision(body),
            # key, nonce, tenant, status with its steps
            lambda: partner.status(body["reference"]),
        ):
            with recorded(runtime.db.engine) as statements:
                assert request().is_success
            counts.append(len(statements))
        assert counts == [8, 6, 4]

"""One Idempotency-Key and many requests: one effect, and one answer for all."""

from collections import Counter

import httpx
from sqlalchemy import func, select

from bugtracker.models import Account, Event, IdempotencyKey, Project
from bugtracker.models import Session as Login
from tests.behind import events_of
from tests.proofs.crowd import Action, Crowd
from tests.proofs.reporting import Report
from tests.registering import PASSWORD, Newcomer, newcomer
from tests.repeating import IN_USE, REUSED, count_issues, is_replay, new_key
from tests.world import Caller, Org, refused

TIMES = 100
"""In both forms, as these requests are cheap."""


def posts(path: str, body: object, key: dict[str, str], caller: Caller | None = None) -> Action:
    """The same request, by whatever client."""
    headers = {**key, **({"Authorization": caller.http.headers["Authorization"]} if caller else {})}
    return lambda http, _: http.post(path, json=body, headers=headers)


def one_success(crowded: Crowd, action: Action, status: int, report: Report) -> None:
    """One request does it; the others get its answer or are told to wait; so does a later one."""
    before = count_keys(crowded)
    responses = crowded.at_once(action, TIMES)
    won = [response for response in responses if response.status_code == status]
    assert Counter(is_replay(response) for response in won)[False] == 1
    assert len({response.content for response in won}) == 1
    lost = [response for response in responses if response.status_code != status]
    for response in lost:
        refused(response, 409, IN_USE)
    assert is_replay(crowded.at_once(action, 1)[0])
    rows = count_keys(crowded) - before
    assert rows == 1
    report(requests=TIMES, done=1, replayed=len(won) - 1, in_flight=len(lost), rows=rows)


def count_keys(crowded: Crowd) -> int:
    with crowded.runtime.db.transaction() as session:
        return session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0


class TestOneKey:
    def test_makes_one_issue(self, crowded: Crowd, crew: Org, report: Report) -> None:
        """However many repeat it at once, one issue is reported and all get the same answer."""
        project = crew.manager.create_project()
        path = f"/api/projects/{project['id']}/issues"
        action = posts(path, {"title": "Once"}, new_key(), crew.member)
        one_success(crowded, action, 201, report)
        assert count_issues(crew.member, project) == 1

    def test_makes_one_project(self, crowded: Crowd, crew: Org, report: Report) -> None:
        """However many repeat it at once, one project is made and all get the same answer."""
        action = posts("/api/projects", {"name": "Once"}, new_key(), crew.manager)
        one_success(crowded, action, 201, report)
        with crowded.runtime.db.transaction(org_id=crew.id) as session:
            assert session.scalars(select(Project.name)).all() == ["Once"]

    def test_makes_one_comment(self, crowded: Crowd, crew: Org, report: Report) -> None:
        """However many repeat it at once, one comment is added and all get the same answer."""
        issue = crew.member.create_issue(crew.manager.create_project())
        path = f"/api/issues/{issue['id']}/comments"
        one_success(crowded, posts(path, {"content": "Once."}, new_key(), crew.member), 201, report)
        assert crew.member.get(path, params={"page": 1}).json()["total"] == 1

    def test_starts_one_session(
        self, crowded: Crowd, crew: Org, person: Newcomer, report: Report
    ) -> None:
        """However many repeat it at once, one session is started and all get the same tokens."""
        body = {"email": person.email, "password": person.password}
        one_success(crowded, posts("/api/auth/login", body, new_key()), 200, report)
        with crowded.runtime.db.transaction() as session:
            account = session.scalars(select(Account).where(Account.email == person.email)).one()
            sessions = select(func.count()).where(Login.account_id == account.id)
            assert (account.login_count, session.scalar(sessions)) == (1, 1)
        assert len(events_of(crowded.runtime, crew, "login.succeeded")) == 1

    def test_prepares_one_account(self, crowded: Crowd, report: Report) -> None:
        """However many repeat it at once, one account is prepared, with one event."""
        person = newcomer(crowded.world.client(), crowded.runtime.settings)
        body = {"email": person.email, "username": person.username, "password": PASSWORD}
        one_success(crowded, posts("/api/auth/register", body, new_key()), 202, report)
        with crowded.runtime.db.transaction() as session:
            account_id = session.scalars(select(Account.id).filter_by(email=person.email)).one()
        with crowded.runtime.db.transaction(account_id=account_id) as session:
            registered = select(func.count()).where(Event.action == "user.registered")
            assert session.scalar(registered) == 1

    def test_with_two_bodies_does_what_one_of_them_says(
        self, crowded: Crowd, crew: Org, report: Report
    ) -> None:
        """Of two bodies under one key one takes effect, once, and every request with the other one
        is refused."""
        project, key = crew.manager.create_project(), new_key()
        path = f"/api/projects/{project['id']}/issues"
        both = [posts(path, {"title": title}, key, crew.member) for title in ("Ebb", "Flood")]

        def act(http: httpx.Client, number: int) -> httpx.Response:
            return both[number % 2](http, number)

        responses = crowded.at_once(act, TIMES)
        made = [response for response in responses if response.status_code == 201]
        assert len({response.json()["title"] for response in made}) == 1
        assert count_issues(crew.member, project) == 1
        codes = Counter(r.json()["code"] for r in responses if r.status_code != 201)
        assert codes.keys() <= {IN_USE, REUSED}
        assert codes[REUSED] == TIMES // 2
        report(requests=TIMES, issues=1, answered=len(made), **codes)

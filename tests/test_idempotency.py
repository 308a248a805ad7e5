"""One request, sent again with the same Idempotency-Key: what is done, answered and kept."""

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.models import Account, Event
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import employee, events_of
from tests.conformance import Conformance
from tests.recorder import recorded
from tests.registering import Newcomer, get_me, newcomer, tokens_of
from tests.repeating import (
    KEY,
    REPLAYED,
    REUSED,
    count_issues,
    create_issue,
    is_replay,
    login,
    new_key,
    rows_made_by,
)
from tests.serving import serve
from tests.world import PASSWORD, Json, Org, World, made, refused

KEPT = ("location", "etag", "cache-control", "content-type", "content-length")


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return employee(world, org, anonymous, settings)


class TestReplay:
    def test_is_the_first_answer_for_each_thing_that_can_be_made(
        self, org: Org, project: Json
    ) -> None:
        issue = org.member.create_issue(project)
        for path, body in (
            ("/api/projects", {"name": f"Once {uuid4().hex[:8]}"}),
            (f"/api/projects/{project['id']}/issues", {"title": "Once"}),
            (f"/api/issues/{issue['id']}/comments", {"content": "Once."}),
        ):
            key = new_key()
            first, second = (org.manager.post(path, body, headers=key) for _ in range(2))
            assert (first.status_code, second.status_code) == (201, 201)
            assert first.content == second.content
            assert [first.headers[name] for name in KEPT] == [second.headers[n] for n in KEPT]
            assert (REPLAYED in first.headers, is_replay(second)) == (False, True)
        assert count_issues(org.manager, project) == 2

    def test_has_a_request_id_and_protective_headers_of_its_own(
        self, org: Org, project: Json
    ) -> None:
        key = new_key()
        first, second = (create_issue(org.member, project, key) for _ in range(2))
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        assert second.headers["x-content-type-options"] == "nosniff"
        assert len(second.headers.get_list("content-length")) == 1

    def test_comes_also_when_the_body_is_written_differently(self, org: Org, project: Json) -> None:
        headers = {**new_key(), "Content-Type": "application/json"}
        path = f"/api/projects/{project['id']}/issues"
        first, second = (
            org.member.http.post(path, content=content, headers=headers)
            for content in (
                b'{"title": "One", "priority": "high"}',
                b'{"priority":"high", "title":"\\u004fne"}',
            )
        )
        assert made(first) == made(second)
        assert is_replay(second)

    def test_shows_the_thing_as_it_was_made(self, org: Org, project: Json) -> None:
        key = new_key()
        issue = made(create_issue(org.manager, project, key))
        org.manager.move(issue, "in_progress")
        assert made(create_issue(org.manager, project, key)) == issue

    def test_comes_in_another_session_of_the_caller_too(
        self, world: World, org: Org, project: Json
    ) -> None:
        key = new_key()
        first = create_issue(org.member, project, key)
        _, token = world.open_session(org.member.id, org.id)
        path, body = f"/api/projects/{project['id']}/issues", {"title": "The tide table is wrong"}
        with world.client(Authorization=f"Bearer {token}") as elsewhere:
            assert made(elsewhere.post(path, json=body, headers=key)) == made(first)


class TestWithoutKey:
    def test_each_request_is_a_new_one(self, org: Org, project: Json) -> None:
        assert {made(create_issue(org.member, project, {}))["number"] for _ in range(2)} == {1, 2}

    def test_nothing_is_asked_of_the_database_for_it(
        self, runtime: Runtime, org: Org, project: Json
    ) -> None:
        counts = []
        for key in ({}, new_key()):
            with recorded(runtime.db.engine) as statements:
                made(create_issue(org.member, project, key))
            counts.append(len(statements))
            assert any("idempotency_keys" in sql for sql, _ in statements) == bool(key)
        # Looked for, claimed, answer stored.
        assert counts[1] == counts[0] + 3


class TestKey:
    @pytest.mark.parametrize("key", ["", "two words", "x" * 256, "tab\there"])
    def test_of_another_form_is_refused(self, org: Org, project: Json, key: str) -> None:
        problem = refused(create_issue(org.member, project, {KEY: key}), 400, "request_invalid")
        assert {error["parameter"] for error in problem["errors"]} == {KEY}

    @pytest.mark.parametrize("key", ["!", "~" * 255, '"quoted"'])
    def test_may_be_any_visible_characters(self, org: Org, project: Json, key: str) -> None:
        first, second = (create_issue(org.member, project, {KEY: key}) for _ in range(2))
        assert made(first) == made(second)

    def test_sent_twice_is_refused(self, org: Org, project: Json) -> None:
        path = f"/api/projects/{project['id']}/issues"
        twice = [(KEY, "one"), (KEY, "two")]
        response = org.member.http.post(path, json={"title": "Which?"}, headers=twice)
        assert response.status_code == 400


class TestAnotherRequest:
    def test_with_the_same_key_is_refused_and_does_nothing(self, org: Org, project: Json) -> None:
        key, other = new_key(), org.manager.create_project()
        made(create_issue(org.member, project, key))
        for place, body in (
            (project, {"title": "Another"}),
            (other, {}),
            (project, {"priority": "low"}),
        ):
            refused(create_issue(org.member, place, key, **body), 422, REUSED)
        assert (count_issues(org.member, project), count_issues(org.member, other)) == (1, 0)

    def test_of_somebody_else_is_independent(self, org: Org, project: Json) -> None:
        key = new_key()
        for number, caller in enumerate((org.member, org.developer), 1):
            response = create_issue(caller, project, key)
            assert made(response)["number"] == number
            assert not is_replay(response)

    def test_in_another_organisation_is_independent(self, world: World, org: Org) -> None:
        key, body, other = new_key(), {"name": "The same name"}, world.create_org()
        world.join(org.manager.id, other.id, "manager")
        _, token = world.open_session(org.manager.id, other.id)
        first = made(org.manager.post("/api/projects", body, headers=key))
        with world.client(Authorization=f"Bearer {token}") as there:
            response = there.post("/api/projects", json=body, headers=key)
        assert made(response)["id"] != first["id"]
        assert not is_replay(response)

    def test_to_another_operation_is_independent(self, org: Org, project: Json) -> None:
        key = new_key()
        issue = made(create_issue(org.member, project, key))
        path = f"/api/issues/{issue['id']}/comments"
        assert not is_replay(org.member.post(path, {"content": "Seen."}, headers=key))


class TestRefusal:
    def test_releases_the_key(self, runtime: Runtime, org: Org, project: Json) -> None:
        key = new_key()
        bad = {"assignee_id": str(uuid4())}
        rows = rows_made_by(runtime, lambda: create_issue(org.member, project, key, **bad))
        assert rows == []
        refused(create_issue(org.member, project, key, **bad), 422, "assignee_invalid")
        assert not is_replay(create_issue(org.member, project, key))
        assert is_replay(create_issue(org.member, project, key))

    def test_of_a_login_is_decided_anew_each_time(self, person: Newcomer) -> None:
        key = new_key()
        for _ in range(2):
            refused(login(person, key, "Wrong-Table-1843"), 401, "credentials_invalid")
        assert not is_replay(login(person, key))

    def test_comes_before_the_replay_for_who_may_no_longer(
        self, world: World, org: Org, project: Json
    ) -> None:
        caller, key = org.caller("developer", "leaving"), new_key()
        made(create_issue(caller, project, key))
        world.set_role(org, caller, "auditor")
        refused(create_issue(caller, project, key), 403, "permission_denied")
        world.set_role(org, caller, "developer")
        assert is_replay(create_issue(caller, project, key))
        world.deactivate(caller)
        refused(create_issue(caller, project, key), 401, "token_invalid")


class TestLogin:
    def test_sent_again_starts_no_second_session(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        key = new_key()
        first, second = (login(person, key) for _ in range(2))
        assert tokens_of(first) == tokens_of(second)
        assert is_replay(second)
        assert {first.headers["cache-control"], second.headers["cache-control"]} == {"no-store"}
        assert get_me(person.http, tokens_of(second)["access_token"]).json()["login_count"] == 1
        assert len(events_of(runtime, org, "login.succeeded")) == 1

    def test_with_another_password_is_refused(self, person: Newcomer) -> None:
        key = new_key()
        tokens_of(login(person, key))
        refused(login(person, key, "Wrong-Table-1843"), 422, REUSED)

    def test_replays_count_against_the_limit(self, settings: Settings, contract: Contract) -> None:
        strict = create_runtime(settings.model_copy(update={"rate_limit_login": "2/minute"}))
        with serve(create_app(strict, contract)) as server:
            world = World(strict, server.url, Conformance(contract))
            person = employee(world, world.create_org(), world.client(), settings)
            key = new_key()
            assert [login(person, key).status_code for _ in range(3)] == [200, 200, 429]
            world.close()
        strict.db.close()


class TestRegister:
    def test_sent_again_prepares_no_second_account(
        self, runtime: Runtime, anonymous: httpx.Client, settings: Settings
    ) -> None:
        person, key = newcomer(anonymous, settings), new_key()
        body = {"email": person.email, "username": person.username, "password": PASSWORD}
        first, second = (
            anonymous.post("/api/auth/register", json=body, headers=key) for _ in range(2)
        )
        assert (first.status_code, second.status_code) == (202, 202)
        assert (first.json(), is_replay(second)) == (second.json(), True)
        with runtime.db.transaction() as session:
            accounts = session.scalars(select(Account.id).where(Account.email == person.email))
            (account_id,) = accounts.all()
        with runtime.db.transaction(account_id=account_id) as session:
            registered = select(func.count()).where(Event.action == "user.registered")
            assert session.scalar(registered) == 1

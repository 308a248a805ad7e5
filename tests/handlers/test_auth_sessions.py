"""Refreshing, logging out, and who one is."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from bugtracker.clock import utc_now
from bugtracker.models import Account, RefreshToken, Session
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from bugtracker.settings import Settings
from tests.behind import (
    Tokens,
    change_account,
    change_member,
    change_refresh_token,
    change_session,
    employee,
    events_of,
)
from tests.blocking import Blocker
from tests.inviting import somebody
from tests.registering import Newcomer, answer, get_me, logout, refresh, tokens_of
from tests.world import Org, World, refused


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def tokens(person: Newcomer) -> Tokens:
    return tokens_of(person.login())


class TestRefresh:
    def test_gives_a_new_pair_for_the_same_session(self, person: Newcomer, tokens: Tokens) -> None:
        fresh = tokens_of(refresh(person.http, tokens["refresh_token"]))
        assert fresh["refresh_token"] != tokens["refresh_token"]
        assert get_me(person.http, fresh["access_token"]).status_code == 200
        assert get_me(person.http, tokens["access_token"]).status_code == 200

    def test_a_used_token_ends_the_whole_session(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        fresh = tokens_of(refresh(person.http, tokens["refresh_token"]))
        unknown = answer(refresh(person.http, "x" * 43))
        assert answer(refresh(person.http, tokens["refresh_token"])) == unknown
        assert refresh(person.http, fresh["refresh_token"]).status_code == 401
        assert get_me(person.http, fresh["access_token"]).status_code == 401
        assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        (event,) = events_of(runtime, org, "session.reuse_detected")
        assert event.changes == {"revoked_reason": [None, "refresh_token_reused"]}

    def test_other_sessions_survive_a_reuse(self, person: Newcomer, tokens: Tokens) -> None:
        other = tokens_of(person.login())
        for _ in range(2):
            refresh(person.http, tokens["refresh_token"])
        assert get_me(person.http, other["access_token"]).status_code == 200

    def test_an_expired_token_is_refused_and_ends_nothing(
        self, runtime: Runtime, person: Newcomer, tokens: Tokens
    ) -> None:
        change_refresh_token(runtime, tokens, expires_at=utc_now() - timedelta(seconds=1))
        assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        assert get_me(person.http, tokens["access_token"]).status_code == 200

    def test_no_token_outlives_its_session(
        self, runtime: Runtime, person: Newcomer, tokens: Tokens
    ) -> None:
        soon = utc_now() + timedelta(seconds=30)
        change_session(runtime, tokens, expires_at=soon)
        fresh = tokens_of(refresh(person.http, tokens["refresh_token"]))
        hashed = token_hash(fresh["refresh_token"])
        with runtime.db.transaction() as session:
            row = session.scalars(select(RefreshToken).where(RefreshToken.token_hash == hashed))
            assert row.one().expires_at == soon
        change_session(runtime, fresh, expires_at=utc_now() - timedelta(seconds=1))
        assert refresh(person.http, fresh["refresh_token"]).status_code == 401
        assert get_me(person.http, fresh["access_token"]).status_code == 401

    def test_switches_the_organisation(
        self, world: World, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        account_id, other = UUID(person.me()["id"]), world.create_org()
        world.join(account_id, other.id, "owner")
        there = tokens_of(refresh(person.http, tokens["refresh_token"], org_id=str(other.id)))
        me = get_me(person.http, there["access_token"]).json()
        assert (me["org_id"], me["role"]) == (str(other.id), "owner")
        stays = tokens_of(refresh(person.http, there["refresh_token"]))
        me = get_me(person.http, stays["access_token"]).json()
        assert me["org_id"] == str(other.id)

    def test_a_foreign_organisation_is_refused_and_uses_nothing_up(
        self, world: World, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        token, foreign = tokens["refresh_token"], world.create_org().id
        refused = answer(refresh(person.http, token, org_id=str(foreign)))
        assert refused == answer(refresh(person.http, token, org_id=str(uuid4())))
        assert (refused[0], refused[1]["code"]) == (403, "permission_denied")
        fresh = tokens_of(refresh(person.http, token))
        assert get_me(person.http, fresh["access_token"]).json()["org_id"] == str(org.id)

    def test_without_an_organisation_goes_on_without(
        self, world: World, anonymous: httpx.Client, settings: Settings
    ) -> None:
        loner = somebody(world, anonymous, settings)
        fresh = tokens_of(refresh(anonymous, tokens_of(loner.login())["refresh_token"]))
        assert get_me(anonymous, fresh["access_token"]).json()["org_id"] is None

    def test_a_session_that_ends_meanwhile_gives_no_more_tokens(
        self, runtime: Runtime, person: Newcomer, tokens: Tokens
    ) -> None:
        account = select(Account.id).where(Account.email == person.email)
        own = update(Session).where(Session.account_id == account.scalar_subquery())
        with Blocker(runtime) as blocker:
            blocker.session.execute(own.values(revoked_at=utc_now()))
            waiting = blocker.start(lambda: refresh(person.http, tokens["refresh_token"]))
        refused(waiting.result(), 401, "refresh_token_invalid")


class TestLogout:
    def test_ends_the_session_at_once(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        assert get_me(person.http, tokens["access_token"]).status_code == 200
        assert logout(person.http, tokens["refresh_token"]).status_code == 204
        refused = get_me(person.http, tokens["access_token"])
        assert refused.json()["code"] == "token_invalid"
        assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        assert len(events_of(runtime, org, "session.ended")) == 1

    def test_takes_any_refresh_token_of_the_session(self, person: Newcomer, tokens: Tokens) -> None:
        fresh = tokens_of(refresh(person.http, tokens["refresh_token"]))
        assert logout(person.http, tokens["refresh_token"]).status_code == 204
        assert get_me(person.http, fresh["access_token"]).status_code == 401

    def test_leaves_other_sessions_alone(self, person: Newcomer, tokens: Tokens) -> None:
        other = tokens_of(person.login())
        logout(person.http, tokens["refresh_token"])
        assert get_me(person.http, other["access_token"]).status_code == 200

    def test_answers_the_same_for_ended_and_unknown_sessions(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        logout(person.http, tokens["refresh_token"])
        for token in (tokens["refresh_token"], "x" * 43):
            assert logout(person.http, token).status_code == 204
        assert len(events_of(runtime, org, "session.ended")) == 1


class TestNextRequest:
    """What changes about a person bites on their next request, whatever their token says."""

    def test_a_removed_member_is_nobody_here(
        self, world: World, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        other = world.create_org()
        world.join(UUID(person.me()["id"]), other.id, "member")
        change_member(runtime, person, org, removed_at=utc_now())
        assert get_me(person.http, tokens["access_token"]).status_code == 401
        assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        there = refresh(person.http, tokens["refresh_token"], org_id=str(other.id))
        assert there.status_code == 200

    def test_a_disabled_account_is_nobody_anywhere(
        self, runtime: Runtime, person: Newcomer, tokens: Tokens
    ) -> None:
        change_account(runtime, person, is_active=False)
        assert get_me(person.http, tokens["access_token"]).status_code == 401
        assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        change_account(runtime, person, is_active=True)
        assert refresh(person.http, tokens["refresh_token"]).status_code == 200

    def test_a_changed_role_holds(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        with_token = {"Authorization": f"Bearer {tokens['access_token']}"}
        project = {"name": "Tides"}
        refused = person.http.post("/api/projects", json=project, headers=with_token)
        assert refused.status_code == 403
        change_member(runtime, person, org, role="manager")
        made = person.http.post("/api/projects", json=project, headers=with_token)
        assert made.status_code == 201
        assert get_me(person.http, tokens["access_token"]).json()["role"] == "manager"


class TestMe:
    def test_an_unchanged_account_is_not_sent_again(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        tag = get_me(person.http, tokens["access_token"]).headers["etag"]
        headers = {
            "Authorization": f"Bearer {tokens['access_token']}",
            "If-None-Match": tag,
        }
        assert person.http.get("/api/auth/me", headers=headers).status_code == 304
        change_member(runtime, person, org, role="auditor")
        assert person.http.get("/api/auth/me", headers=headers).status_code == 200

    @pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "bearer x y"])
    def test_without_a_token_one_is_asked_for_it(
        self, anonymous: httpx.Client, header: str
    ) -> None:
        response = anonymous.get("/api/auth/me", headers={"Authorization": header})
        code = "token_invalid" if "x y" in header else "authentication_required"
        refused(response, 401, code)
        assert response.headers["www-authenticate"].startswith('Bearer realm="bugtracker"')

    def test_a_session_of_nobody_is_refused(self, world: World, org: Org) -> None:
        account_id, _ = world.create_account()
        _, token = world.open_session(account_id, org.id)
        with world.client() as http:
            assert get_me(http, token).status_code == 401

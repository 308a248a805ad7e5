"""Logging in."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import bcrypt
import httpx
import pytest
from sqlalchemy import select, update

from bugtracker.app import create_app
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.models import Account, Credential
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import (
    Tokens,
    change_account,
    change_claim,
    change_member,
    employee,
    events_of,
    new_sign_ins_told,
)
from tests.blocking import Blocker
from tests.registering import Newcomer, answer, get_me, newcomer, tokens_of
from tests.world import Org, World, refused


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def tokens(person: Newcomer) -> Tokens:
    return tokens_of(person.login())


class TestLogin:
    def test_names_the_account_by_address_or_username_in_any_case(self, person: Newcomer) -> None:
        for account in (
            {"email": person.email},
            {"email": person.email.upper()},
            {"username": person.username},
            {"username": person.username.upper()},
        ):
            body = {**account, "password": person.password}
            response = person.http.post("/api/auth/login", json=body)
            assert tokens_of(response)["token_type"] == "Bearer"

    def test_is_counted_and_recorded(
        self, runtime: Runtime, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        me = get_me(person.http, tokens["access_token"]).json()
        assert me["login_count"] == 1
        assert me["last_login"] is not None
        (event,) = events_of(runtime, org, "login.succeeded")
        assert event.actor_id == UUID(me["id"])

    def test_counts_for_nobody_else(self, org: Org, person: Newcomer) -> None:
        other = org.owner
        tokens_of(person.login())
        assert other.get(f"/api/users/{other.id}").json()["login_count"] == 0

    def test_refusals_are_alike_whatever_the_reason(
        self, world: World, org: Org, anonymous: httpx.Client, settings: Settings, runtime: Runtime
    ) -> None:
        wrong, disabled = (employee(world, org, anonymous, settings) for _ in range(2))
        change_account(runtime, disabled, is_active=False)
        unverified = newcomer(anonymous, settings).registered()
        unknown = newcomer(anonymous, settings)
        answers = [
            answer(wrong.login(password="Wrong-Words-12")),
            answer(disabled.login()),
            answer(unverified.login()),
            answer(unverified.login(password="Wrong-Words-12")),
            answer(unknown.login()),
            answer(unknown.login(email="a" * 60 + "@example.com")),
        ]
        assert answers[0][0] == 401
        assert answers[0][1]["code"] == "credentials_invalid"
        assert all(other == answers[0] for other in answers)

    def test_refusals_by_username_are_alike_too(
        self, person: Newcomer, anonymous: httpx.Client, settings: Settings
    ) -> None:
        unverified = newcomer(anonymous, settings).registered()
        bodies = [
            {"username": person.username, "password": "Wrong-Words-12"},
            {"username": unverified.username, "password": unverified.password},
            {"username": uuid4().hex, "password": person.password},
        ]
        answers = [answer(person.http.post("/api/auth/login", json=body)) for body in bodies]
        assert answers[0][0] == 401
        assert answers[0] == answers[1] == answers[2]

    def test_a_refusal_is_not_counted(self, person: Newcomer) -> None:
        person.login(password="Wrong-Words-12")
        assert person.me()["login_count"] == 1

    def test_a_username_is_of_whoever_has_it_not_of_whoever_claimed_it(
        self, anonymous: httpx.Client, settings: Settings, runtime: Runtime, person: Newcomer
    ) -> None:
        claimed = newcomer(anonymous, settings, email=person.email).registered()
        body = {"username": claimed.username, "password": person.password}
        refused(anonymous.post("/api/auth/login", json=body), 401, "credentials_invalid")
        late = newcomer(anonymous, settings).registered()
        change_claim(runtime, late.username, expires_at=utc_now() - timedelta(seconds=1))
        holder = newcomer(anonymous, settings, username=late.username).registered()
        change_account(runtime, holder, verified_at=utc_now())
        body = {"username": late.username, "password": holder.password}
        tokens_of(anonymous.post("/api/auth/login", json=body))

    def test_goes_where_one_was_last(
        self, world: World, org: Org, person: Newcomer, tokens: Tokens
    ) -> None:
        me = get_me(person.http, tokens["access_token"]).json()
        other = world.create_org()
        world.join(UUID(me["id"]), other.id, "auditor")
        assert person.me()["org_id"] == str(org.id)
        chosen = tokens_of(person.login(org_id=str(other.id)))
        assert get_me(person.http, chosen["access_token"]).json()["role"] == "auditor"
        assert person.me()["org_id"] == str(other.id)

    def test_goes_to_the_first_joined_when_the_last_one_is_left(
        self, world: World, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        account_id, other = UUID(person.me()["id"]), world.create_org()
        world.join(account_id, other.id, "member")
        person.login(org_id=str(other.id))
        change_member(runtime, person, other, removed_at=utc_now())
        assert person.me()["org_id"] == str(org.id)

    def test_an_organisation_of_others_is_refused_like_a_missing_one(
        self, world: World, person: Newcomer
    ) -> None:
        foreign, missing = world.create_org().id, uuid4()
        answers = [answer(person.login(org_id=str(org_id))) for org_id in (foreign, missing)]
        assert answers[0][0] == 403
        assert answers[0] == answers[1]
        assert person.me()["login_count"] == 1

    def test_a_password_changed_while_it_is_checked_is_refused(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        with Blocker(runtime) as blocker:
            account = select(Account.id).where(Account.email == person.email)
            account_id = blocker.session.scalars(account.with_for_update()).one()
            login = blocker.start(person.login)
            blocker.session.execute(
                update(Credential)
                .where(Credential.account_id == account_id)
                .values(password_hash=runtime.hasher.hash("Another-One-5"))
            )
        assert login.result().status_code == 401

    def test_an_account_disabled_while_its_password_is_checked_is_refused(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        with Blocker(runtime) as blocker:
            blocker.session.execute(
                update(Account).where(Account.email == person.email).values(is_active=False)
            )
            login = blocker.start(person.login)
        assert login.result().status_code == 401

    def test_a_hash_of_another_cost_is_made_anew(self, runtime: Runtime, person: Newcomer) -> None:
        hasher = runtime.hasher
        cheap = bcrypt.hashpw(hasher._prehash(person.password), bcrypt.gensalt(5)).decode()
        account = select(Account.id).where(Account.email == person.email).scalar_subquery()
        stored = select(Credential.password_hash).where(Credential.account_id == account)
        with runtime.db.transaction() as session:
            values = update(Credential).where(Credential.account_id == account)
            session.execute(values.values(password_hash=cheap))
        assert person.login().status_code == 200
        with runtime.db.transaction() as session:
            renewed = session.scalars(stored).one()
        assert renewed != cheap
        assert not hasher.is_outdated(renewed)
        assert person.login().status_code == 200

    def test_the_alias_leads_to_the_operation(self, person: Newcomer) -> None:
        body = {"email": person.email, "password": person.password}
        redirect = person.http.post("/api/login", json=body)
        assert (redirect.status_code, redirect.headers["location"]) == (308, "/api/auth/login")
        followed = person.http.post("/api/login", json=body, follow_redirects=True)
        assert tokens_of(followed)["expires_in"] == 900

    def test_a_peer_without_an_address_is_served(
        self, runtime: Runtime, contract: Contract, person: Newcomer
    ) -> None:
        # Such as a proxy on a Unix socket.
        transport = httpx.ASGITransport(create_app(runtime, contract), client=("", 0))

        async def login() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as http:
                body = {"email": person.email, "password": person.password}
                return await http.post("/api/auth/login", json=body)

        for _ in range(2):
            assert asyncio.run(login()).status_code == 200
        # The second sign-in is from where the first was.
        assert new_sign_ins_told(runtime, person) == 0

"""Accepting an invitation, with an account and without one (O3)."""

from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from bugtracker.clock import utc_now
from bugtracker.db import enter_tenant
from bugtracker.models import Invitation
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import token_hash
from tests.behind import change_account, events_of
from tests.blocking import Blocker
from tests.inviting import (
    accept,
    change_invitation,
    details,
    invited,
    somebody,
    token_for,
    url,
)
from tests.registering import Newcomer, newcomer
from tests.world import Org, World, refused

pytestmark = pytest.mark.usefixtures("worker")

REFUSED = (422, "invitation_token_invalid")


@pytest.fixture
def known(world: World, anonymous: httpx.Client, runtime: Runtime) -> Newcomer:
    """Somebody with an account and no organisation."""
    return somebody(world, anonymous, runtime.settings)


@pytest.fixture
def unknown(anonymous: httpx.Client, runtime: Runtime) -> Newcomer:
    """Somebody without an account."""
    return newcomer(anonymous, runtime.settings)


class TestWithAnAccount:
    def test_joins_and_works_there(self, runtime: Runtime, org: Org, known: Newcomer) -> None:
        invited(org.manager, known.email, "member")
        answer = accept(known, token_for(known))
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json() == {
            "username": known.username,
            "email": known.email,
            "account_created": False,
            "org_id": str(org.id),
            "organisation": org.slug,
            "role": "member",
        }
        me = known.me()
        assert (me["org_id"], me["role"]) == (str(org.id), "member")
        (event,) = events_of(runtime, org, "invitation.accepted")
        assert str(event.actor_id) == me["id"]

    def test_what_it_says_of_a_new_account_is_not_looked_at(
        self, org: Org, known: Newcomer
    ) -> None:
        invited(org.owner, known.email)
        body = {"username": "intruder", "password": "Other-Table-1843"}
        assert accept(known, token_for(known), **body).json()["username"] == known.username
        assert known.login().status_code == 200
        assert known.login(password=body["password"]).status_code == 401

    def test_works_once(self, org: Org, known: Newcomer) -> None:
        invited(org.owner, known.email)
        token = token_for(known)
        assert accept(known, token).status_code == 200
        refused(accept(known, token), *REFUSED)

    def test_brings_a_former_member_back_with_the_new_role(
        self, world: World, runtime: Runtime, org: Org
    ) -> None:
        person = org.caller("admin", "former")
        assert org.owner.delete(f"/api/organisations/{org.id}/members/{person.id}").is_success
        back = newcomer(person.http, runtime.settings, email=person.email)
        invited(org.manager, person.email, "member")
        assert accept(back, token_for(back)).json()["role"] == "member"
        assert org.owner.get(f"/api/users/{person.id}").json()["role"] == "member"
        # Of whoever the organisation's removal left with none, nothing from before lives on.
        assert person.get("/api/auth/me").status_code == 401
        (event,) = events_of(runtime, org, "member.restored")
        assert event.changes == {"removed": [True, False], "role": ["admin", "member"]}

    def test_who_joined_meanwhile_keeps_their_role(
        self, world: World, org: Org, known: Newcomer
    ) -> None:
        invited(org.owner, known.email, "auditor")
        world.join(known_id(known), org.id, "manager")
        assert accept(known, token_for(known)).json()["role"] == "manager"
        assert known.me()["role"] == "manager"

    def test_who_came_in_otherwise_and_was_removed_has_no_way_back(
        self, world: World, runtime: Runtime, org: Org, known: Newcomer
    ) -> None:
        invitation = invited(org.owner, known.email, "manager")
        token, person = token_for(known), known_id(known)
        world.join(person, org.id, "member")
        assert org.owner.delete(f"/api/organisations/{org.id}/members/{person}").is_success
        refused(accept(known, token), *REFUSED)
        assert org.owner.get(f"/api/invitations/{invitation['id']}").json()["state"] == "revoked"
        (event,) = events_of(runtime, org, "invitation.revoked")
        assert event.actor_id == org.owner.id

    def test_who_is_removed_takes_only_what_is_open_and_theirs_along(
        self, world: World, runtime: Runtime, org: Org, known: Newcomer
    ) -> None:
        earlier = invited(org.owner, known.email)
        token_for(known)
        assert org.owner.delete(url(earlier)).status_code == 204
        used, foreign = invited(org.owner, known.email), invited(org.owner, "ebb@example.com")
        assert accept(known, token_for(known, 2)).status_code == 200
        path = f"/api/users/{known_id(known)}"
        assert org.owner.delete(path).status_code == 204
        states = [org.owner.get(url(each)).json()["state"] for each in (earlier, used, foreign)]
        assert states == ["revoked", "accepted", "pending"]
        assert len(events_of(runtime, org, "invitation.revoked")) == 1
        assert invited(org.owner, known.email)["state"] == "pending"

    def test_a_disabled_account_is_refused(
        self, runtime: Runtime, org: Org, known: Newcomer
    ) -> None:
        invited(org.owner, known.email)
        token = token_for(known)
        change_account(runtime, known, is_active=False)
        refused(accept(known, token), *REFUSED)
        change_account(runtime, known, is_active=True)
        assert accept(known, token).status_code == 200


def known_id(person: Newcomer) -> str:
    """The id of an account."""
    found: str = person.me()["id"]
    return found


class TestWithoutAnAccount:
    def test_gets_one_that_is_verified(self, org: Org, unknown: Newcomer) -> None:
        invited(org.owner, unknown.email, "auditor")
        body = {**details(unknown), "name": "Grace Hopper"}
        answer = accept(unknown, token_for(unknown), **body).json()
        assert (answer["account_created"], answer["username"]) == (True, unknown.username)
        me = unknown.me()
        assert (me["verified"], me["name"], me["role"]) == (True, "Grace Hopper", "auditor")

    @pytest.mark.parametrize("given", [(), ("username",), ("password",)])
    def test_is_asked_for_one_and_the_token_stays_good(
        self, org: Org, unknown: Newcomer, given: tuple[str, ...]
    ) -> None:
        invited(org.owner, unknown.email)
        token = token_for(unknown)
        body = {name: value for name, value in details(unknown).items() if name in given}
        problem = refused(accept(unknown, token, **body), 422, "account_required")
        missing = {"/username", "/password"} - {f"/{name}" for name in given}
        assert {error["pointer"] for error in problem["errors"]} == missing
        assert accept(unknown, token, **details(unknown)).status_code == 200

    def test_a_weak_password_and_a_taken_username_keep_the_token_good(
        self, world: World, org: Org, unknown: Newcomer
    ) -> None:
        invited(org.owner, unknown.email)
        token = token_for(unknown)
        weak = {**details(unknown), "password": "password123!"}
        refused(accept(unknown, token, **weak), 422, "password_too_weak")
        taken = {**details(unknown), "username": org.owner.username.upper()}
        refused(accept(unknown, token, **taken), 409, "username_taken")
        assert accept(unknown, token, **details(unknown)).status_code == 200

    def test_a_registration_that_was_never_verified_gives_way(
        self, org: Org, unknown: Newcomer
    ) -> None:
        stale = unknown.registered(password="Stranger-Table-1843").token()
        invited(org.owner, unknown.email)
        token = token_for(unknown, 2)
        refused(accept(unknown, token), 422, "account_required")
        assert accept(unknown, token, **details(unknown)).json()["account_created"] is True
        refused(unknown.verify(stale), 422, "verification_token_invalid")
        assert unknown.login(password="Stranger-Table-1843").status_code == 401
        assert unknown.me()["org_id"] == str(org.id)

    def test_an_unknown_token_is_refused(self, unknown: Newcomer) -> None:
        refused(accept(unknown, "no-such-token", **details(unknown)), *REFUSED)
        assert unknown.login().status_code == 401


class TestSender:
    """The invitation holds only as long as its sender may give the role."""

    def test_who_was_demoted_or_removed_has_invited_in_vain(
        self, world: World, org: Org, known: Newcomer, unknown: Newcomer
    ) -> None:
        invited(org.admin, known.email, "manager")
        invited(org.manager, unknown.email, "member")
        world.set_role(org, org.admin, "manager")
        world.remove(org, org.manager)
        problem = refused(accept(known, token_for(known)), *REFUSED)
        assert "Whoever invited you" in problem["detail"]
        refused(accept(unknown, token_for(unknown), **details(unknown)), *REFUSED)
        assert unknown.login().status_code == 401
        assert known.me()["org_id"] is None
        world.set_role(org, org.admin, "admin")
        assert accept(known, token_for(known)).json()["role"] == "manager"

    def test_who_was_disabled_has_invited_in_vain(
        self, world: World, org: Org, known: Newcomer
    ) -> None:
        invited(org.admin, known.email, "manager")
        world.deactivate(org.admin)
        refused(accept(known, token_for(known)), *REFUSED)

    def test_sending_it_again_makes_it_hold(self, world: World, org: Org, known: Newcomer) -> None:
        invitation = invited(org.admin, known.email, "manager")
        world.remove(org, org.admin)
        refused(accept(known, token_for(known)), *REFUSED)
        org.owner.post(f"/api/invitations/{invitation['id']}/resend")
        assert accept(known, token_for(known, 2)).json()["role"] == "manager"


class TestMeanwhile:
    def test_a_token_that_was_ended_while_it_was_read_is_refused(
        self, world: World, org: Org, known: Newcomer
    ) -> None:
        invitation, now = invited(org.admin, known.email, "manager"), utc_now()
        token = token_for(known)
        live = {"revoked_at": None, "accepted_at": None, "token_hash": token_hash(token)}
        own = update(Invitation).where(Invitation.id == UUID(invitation["id"]))
        for ended in ({"revoked_at": now}, {"accepted_at": now}, {"token_hash": b"of another"}):
            with Blocker(world.runtime) as blocker:
                enter_tenant(blocker.session, org.id, None)
                blocker.session.execute(own.values(**ended))
                waiting = blocker.start(lambda: accept(known, token))
            refused(waiting.result(), *REFUSED)
            change_invitation(world, org, invitation, **live)
        assert accept(known, token).status_code == 200

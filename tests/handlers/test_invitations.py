"""Invitations: sending, listing, sending again, taking back (O3)."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from bugtracker.clock import utc_now
from bugtracker.db import enter_tenant
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Invitation
from bugtracker.models.organisation import Role
from tests.blocking import Blocker
from tests.inviting import (
    URL,
    accept,
    change_invitation,
    details,
    invite,
    invited,
    somebody,
    token_for,
    url,
)
from tests.registering import newcomer, text_of
from tests.world import Org, World, refused, without_id

RANKS: tuple[Role, ...] = ("owner", "admin", "manager", "developer", "member", "auditor")
HIGHEST = {"owner": "owner", "admin": "admin", "manager": "developer"}


def address() -> str:
    return f"invited-{uuid4().hex[:12]}@example.com"


class TestCreateInvitation:
    def test_is_recorded_and_mailed_with_sender_organisation_and_role(
        self, world: World, org: Org, anonymous: httpx.Client, worker: WorkerThread
    ) -> None:
        person = newcomer(anonymous, world.runtime.settings)
        org.owner.patch(f"/api/organisations/{org.id}", {"name": "<b>Tides</b>"})
        invitation = invited(org.manager, person.email)
        assert (invitation["email"], invitation["state"]) == (person.email, "pending")
        assert (invitation["role"], invitation["version"]) == ("developer", 1)
        assert invitation["invited_by_id"] == str(org.manager.id)
        mail = person.mail()
        text = text_of(mail)
        for word in (org.manager.username, "<b>Tides</b>", "the role developer", "for 7 days"):
            assert word in text
        html = mail.get_body(("html",))
        assert html is not None
        assert "&lt;b&gt;Tides&lt;/b&gt;" in html.get_content()
        assert token_for(person) in html.get_content()
        (event,) = world.events(org, invitation)
        assert (event.action, event.changes) == (
            "invitation.created",
            {"email": [None, person.email], "role": [None, "developer"]},
        )

    @pytest.mark.parametrize("role", RANKS)
    @pytest.mark.parametrize("by", RANKS)
    def test_nobody_invites_above_their_ceiling(self, org: Org, by: Role, role: Role) -> None:
        answer = invite(org.caller(by), address(), role)
        if by in HIGHEST and RANKS.index(role) >= RANKS.index(HIGHEST[by]):  # type: ignore[arg-type]
            assert answer.status_code == 201
        else:
            refused(answer, 403, "permission_denied")

    def test_a_member_is_not_invited_and_a_former_one_is(self, world: World, org: Org) -> None:
        shouted = org.member.email.upper()
        problem = refused(invite(org.admin, shouted), 409, "member_exists")
        assert problem["errors"][0]["pointer"] == "/email"
        world.remove(org, org.member)
        assert invited(org.admin, shouted)["state"] == "pending"

    def test_whether_somebody_has_an_account_elsewhere_is_not_told(
        self, world: World, org: Org
    ) -> None:
        elsewhere = world.create_org().member
        one, other = invited(org.admin, elsewhere.email), invited(org.admin, address())
        assert one.keys() == other.keys()
        assert one["state"] == other["state"] == "pending"

    def test_an_address_has_one_open_invitation(self, world: World, org: Org) -> None:
        email = address()
        invitation = invited(org.admin, email)
        refused(invite(org.owner, email.upper()), 409, "invitation_pending")
        change_invitation(world, org, invitation, expires_at=utc_now() - timedelta(seconds=1))
        refused(invite(org.owner, email), 409, "invitation_pending")
        assert org.admin.delete(url(invitation)).status_code == 204
        invited(org.owner, email)
        invited(world.create_org().owner, email)


class TestListInvitations:
    def test_is_filtered_by_state(
        self, world: World, org: Org, anonymous: httpx.Client, worker: WorkerThread
    ) -> None:
        person = newcomer(anonymous, world.runtime.settings)
        made = {
            "accepted": invited(org.owner, person.email),
            "pending": invited(org.owner, address()),
            "expired": invited(org.owner, address()),
            "revoked": invited(org.owner, address()),
        }
        assert accept(person, token_for(person), **details(person)).status_code == 200
        past = utc_now() - timedelta(seconds=1)
        change_invitation(world, org, made["expired"], expires_at=past)
        org.owner.delete(url(made["revoked"]))
        for state, invitation in made.items():
            (item,) = org.manager.get(URL, params={"state": state}).json()["items"]
            assert (item["id"], item["state"]) == (invitation["id"], state)
            assert org.manager.get(url(invitation)).json() == item

    def test_begins_with_the_newest_and_is_paged(self, world: World, org: Org) -> None:
        ids = [invited(org.owner, address())["id"] for _ in range(3)]
        invited(world.create_org().owner, address())
        first = org.owner.get(URL, params={"limit": 2}).json()
        rest = org.owner.get(URL, params={"limit": 2, "cursor": first["next_cursor"]}).json()
        assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]


class TestResendInvitation:
    def test_mails_a_new_link_and_ends_the_old_one(
        self, world: World, org: Org, anonymous: httpx.Client, worker: WorkerThread
    ) -> None:
        person = somebody(world, anonymous, world.runtime.settings)
        invitation = invited(org.owner, person.email)
        first = token_for(person)
        change_invitation(world, org, invitation, expires_at=utc_now() - timedelta(seconds=1))
        refused(accept(person, first), 422, "invitation_token_invalid")
        again = org.admin.post(f"{url(invitation)}/resend").json()
        assert (again["state"], again["version"]) == ("pending", 2)
        assert again["invited_by_id"] == str(org.admin.id)
        second = token_for(person, 2)
        refused(accept(person, first), 422, "invitation_token_invalid")
        assert accept(person, second).status_code == 200
        actions = [event.action for event in world.events(org, invitation)]
        assert actions == ["invitation.created", "invitation.resent", "invitation.accepted"]

    def test_ends_a_link_that_is_mailed_at_this_moment(self, world: World, org: Org) -> None:
        invitation, mailed = invited(org.owner, address()), b"of the mail"
        own = update(Invitation).where(Invitation.id == UUID(invitation["id"]))
        with Blocker(world.runtime) as blocker:
            enter_tenant(blocker.session, org.id, None)
            blocker.session.execute(own.values(token_hash=mailed))
            waiting = blocker.start(lambda: org.owner.post(f"{url(invitation)}/resend"))
        assert waiting.result().status_code == 200
        with world.runtime.db.transaction(org_id=org.id) as session:
            stored = session.get_one(Invitation, (org.id, UUID(invitation["id"])))
            assert stored.token_hash != mailed

    def test_a_closed_one_is_refused(self, org: Org) -> None:
        invitation = invited(org.owner, address())
        org.owner.delete(url(invitation))
        refused(org.owner.post(f"{url(invitation)}/resend"), 409, "invitation_closed")

    def test_needs_the_right_to_give_the_role(self, org: Org) -> None:
        invitation = invited(org.owner, address(), "admin")
        refused(org.manager.post(f"{url(invitation)}/resend"), 403, "permission_denied")
        refused(org.manager.delete(url(invitation)), 403, "permission_denied")
        assert org.admin.post(f"{url(invitation)}/resend").status_code == 200


class TestRevokeInvitation:
    def test_ends_the_link_and_again_is_no_change(
        self, world: World, org: Org, anonymous: httpx.Client, worker: WorkerThread
    ) -> None:
        person = somebody(world, anonymous, world.runtime.settings)
        invitation = invited(org.owner, person.email)
        token = token_for(person)
        for _ in range(2):
            assert org.manager.delete(url(invitation)).status_code == 204
        refused(accept(person, token), 422, "invitation_token_invalid")
        actions = [event.action for event in world.events(org, invitation)]
        assert actions == ["invitation.created", "invitation.revoked"]

    def test_an_accepted_one_is_refused(
        self, world: World, org: Org, anonymous: httpx.Client, worker: WorkerThread
    ) -> None:
        person = somebody(world, anonymous, world.runtime.settings)
        invitation = invited(org.owner, person.email)
        assert accept(person, token_for(person)).status_code == 200
        refused(org.owner.delete(url(invitation)), 409, "invitation_closed")
        refused(org.owner.post(f"{url(invitation)}/resend"), 409, "invitation_closed")

    def test_a_stale_version_is_refused(self, org: Org) -> None:
        invitation = invited(org.owner, address())
        tag = org.owner.get(url(invitation)).headers["ETag"]
        org.owner.post(f"{url(invitation)}/resend")
        response = org.owner.delete(url(invitation), headers={"If-Match": tag})
        assert refused(response, 412, "precondition_failed")["current_version"] == 2

    def test_foreign_and_missing_ones_are_alike(self, world: World, org: Org) -> None:
        theirs = url(invited(world.create_org().owner, address()))
        missing = f"{URL}/{uuid4()}"
        for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/resend")):
            one, other = (
                without_id(
                    refused(
                        org.owner.http.request(method, path + suffix), 404, "resource_not_found"
                    )
                )
                for path in (theirs, missing)
            )
            assert one == other

"""Organisations that partner systems have made (W5)."""

import json
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text, update

from bugtracker.models import OrganisationSettings, Provisioning
from bugtracker.runtime import Runtime
from tests.inviting import accept, details, invited, somebody, token_for
from tests.partners import URL, Partner, create_partner, wanted
from tests.registering import Newcomer, newcomer, text_of, tokens_of
from tests.world import Json, Org, World, refused

pytestmark = pytest.mark.usefixtures("worker")

STEPS = ["organisation", "owner", "settings", "project", "invitation"]


@pytest.fixture
def partner(runtime: Runtime, anonymous: httpx.Client) -> Partner:
    return create_partner(runtime, anonymous)


@pytest.fixture
def owner(anonymous: httpx.Client, runtime: Runtime) -> Newcomer:
    """Somebody who is to own an organisation, and has no account yet."""
    return newcomer(anonymous, runtime.settings)


def as_owner(world: World, owner: Newcomer) -> httpx.Client:
    return world.client(Authorization=f"Bearer {tokens_of(owner.login())['access_token']}")


def settings_of(runtime: Runtime, org_id: str) -> list[str]:
    with runtime.db.transaction(org_id=UUID(org_id)) as session:
        return list(session.scalars(select(OrganisationSettings.language)))


class TestProvisionOrganisation:
    def test_makes_it_whole_for_an_owner_without_an_account(
        self, world: World, runtime: Runtime, partner: Partner, owner: Newcomer
    ) -> None:
        body = wanted(owner={"email": owner.email})
        begun = partner.provision(body)
        assert begun.status_code == 202
        assert begun.headers["Location"] == f"{URL}/{body['reference']}"
        assert begun.json()["organisation_id"] is None
        made = partner.ended(body)
        assert (made["status"], made["failure"]) == ("completed", None)
        assert [(step["name"], step["status"]) for step in made["steps"]] == [
            (name, "done") for name in STEPS
        ]
        times = [step["finished_at"] for step in made["steps"]]
        assert times == sorted(times)
        mail = " ".join(text_of(owner.mail()).split())
        assert f"{partner.name} invites you to join the organisation" in mail
        joined = accept(owner, token_for(owner), **details(owner)).json()
        assert (joined["org_id"], joined["role"]) == (made["organisation_id"], "owner")
        assert settings_of(runtime, made["organisation_id"]) == ["en"]
        self._is_as_it_should_be(as_owner(world, owner), partner, body)

    def _is_as_it_should_be(self, http: httpx.Client, partner: Partner, body: Json) -> None:
        """As the owner sees it."""
        assert (
            http.get("/api/organisations").json()["items"][0]["name"]
            == (body["organisation"]["name"])
        )
        (project,) = http.get("/api/projects").json()["items"]
        assert (project["name"], project["key"]) == ("First project", "FP")
        people = {person["id"]: person for person in http.get("/api/users").json()["items"]}
        assert len(people) == 2
        made_by = people[project["created_by_id"]]
        assert (made_by["username"], made_by["imported_from"]) == (partner.name, "partner")
        events = http.get("/api/audit", params={"sort": "created_at"}).json()["items"]
        theirs = [event for event in events if (event["actor"] or {}).get("id") == made_by["id"]]
        assert [event["action"] for event in theirs] == [
            "organisation.created",
            "user.created",
            "invitation.created",
            "settings.created",
            "project.created",
            "organisation.provisioned",
        ]
        assert {event["actor"]["username"] for event in theirs} == {partner.name}
        told = {change["field"]: change["new"] for change in theirs[-1]["changes"]}
        assert told == {"partner": partner.name, "reference": body["reference"]}

    def test_takes_slug_language_and_project_as_asked(
        self, world: World, runtime: Runtime, partner: Partner, owner: Newcomer
    ) -> None:
        slug = f"engines-{uuid4().hex[:8]}"
        body = wanted(
            organisation={"name": "Engines", "slug": slug},
            owner={"email": owner.email},
            settings={"language": "de"},
            project={"name": "Mill", "key": "MILL"},
        )
        made = partner.ended(body)
        assert settings_of(runtime, made["organisation_id"]) == ["de"]
        assert accept(owner, token_for(owner), **details(owner)).is_success
        http = as_owner(world, owner)
        assert [org["slug"] for org in http.get("/api/organisations").json()["items"]] == [slug]
        (project,) = http.get("/api/projects").json()["items"]
        assert (project["name"], project["key"]) == ("Mill", "MILL")

    def test_makes_nobody_a_member_who_has_not_accepted(
        self, world: World, runtime: Runtime, partner: Partner, anonymous: httpx.Client
    ) -> None:
        known = somebody(world, anonymous, runtime.settings)
        made = partner.ended(wanted(owner={"email": known.email.upper()}))
        assert made["status"] == "completed"
        http = as_owner(world, known)
        assert http.get("/api/organisations").json()["items"] == []
        assert accept(known, token_for(known)).json()["role"] == "owner"
        (joined,) = http.get("/api/organisations").json()["items"]
        assert joined["id"] == made["organisation_id"]

    def test_its_invitation_is_the_partners_word_and_that_of_nobody_else(
        self, world: World, runtime: Runtime, partner: Partner, anonymous: httpx.Client
    ) -> None:
        """Once the organisation is whole, whichever others the partner has made; and who left
        invites nobody, whoever made the organisation."""
        owner, another = (somebody(world, anonymous, runtime.settings) for _ in range(2))
        partner.ended(wanted())
        body = wanted(owner={"email": owner.email})
        org_id = UUID(partner.ended(body)["organisation_id"])
        own = update(Provisioning).where(Provisioning.organisation_id == org_id)
        with runtime.db.transaction() as session:
            session.execute(own.values(state="failed"))
        refused(accept(owner, token_for(owner)), 422, "invitation_token_invalid")
        with runtime.db.transaction() as session:
            session.execute(own.values(state="completed"))
        assert accept(owner, token_for(owner)).is_success
        org = Org(world, org_id, "")
        invited(org.owner, another.email)
        world.remove(org, org.owner)
        refused(accept(another, token_for(another)), 422, "invitation_token_invalid")

    def test_sent_again_is_the_same_and_with_another_body_is_refused(
        self, runtime: Runtime, partner: Partner, anonymous: httpx.Client
    ) -> None:
        body = wanted()
        made = partner.ended(body)
        # The order of members is no difference.
        again = partner.provision(dict(reversed(body.items())))
        assert (again.status_code, again.json()) == (200, made)
        other = partner.provision({**body, "owner": {"email": "somebody@example.com"}})
        problem = refused(other, 422, "provisioning_reference_reused")
        assert problem["errors"][0]["pointer"] == "/reference"
        # Another partner's reference is another one.
        stranger = create_partner(runtime, anonymous)
        refused(stranger.status(body["reference"]), 404, "resource_not_found")
        theirs = stranger.ended(body)
        assert theirs["organisation_id"] not in (None, made["organisation_id"])

    def test_a_taken_slug_fails_leaves_nothing_and_frees_the_reference(
        self, world: World, runtime: Runtime, partner: Partner
    ) -> None:
        org = world.create_org()
        body = wanted(organisation={"name": "Engines", "slug": org.slug})
        failed = partner.ended(body)
        assert failed["status"] == "failed"
        assert failed["failure"] == {
            "code": "organisation_slug_taken",
            "detail": "Choose another slug.",
        }
        partner.http.headers["Accept-Language"] = "de"
        there = partner.status(body["reference"])
        assert there.json()["failure"]["detail"] == "Wählen Sie einen anderen Slug."
        assert there.headers["Content-Language"] == "de"
        del partner.http.headers["Accept-Language"]
        assert {step["status"] for step in failed["steps"]} == {"pending"}
        assert failed["organisation_id"] is None
        again = partner.provision(body)
        assert (again.status_code, again.json()["status"]) == (202, "pending")
        assert partner.ended(body)["status"] == "failed"
        body["organisation"]["slug"] = f"free-{uuid4().hex[:8]}"
        made = partner.ended(body)
        assert (made["status"], made["failure"]) == ("completed", None)

    def test_what_breaks_the_contract_is_refused_with_all_that_is_wrong(
        self, partner: Partner
    ) -> None:
        body = {
            "reference": "no spaces",
            "organisation": {"name": "", "extra": 1},
            "owner": {},
            "settings": {"language": "fr"},
            "project": {"name": "P", "key": "lower"},
        }
        problem = refused(partner.provision(body), 400, "request_invalid")
        assert {error["pointer"] for error in problem["errors"]} >= {
            "/reference",
            "/organisation/extra",
            "/owner/email",
            "/settings/language",
            "/project/key",
        }
        refused(partner.send("POST", URL, b"{"), 400, "request_malformed")
        refused(partner.send("GET", f"{URL}/x?y=1"), 400, "request_invalid")

    def test_forgets_the_owners_address_once_it_is_done(
        self, runtime: Runtime, partner: Partner
    ) -> None:
        body = wanted()
        partner.ended(body)
        query = text("SELECT request FROM provisionings WHERE reference = :reference")
        with runtime.db.read() as connection:
            found = connection.execute(query, {"reference": body["reference"]}).scalars().all()
        assert found == [None]


class TestGetProvisioning:
    def test_tells_how_far_it_is_and_404_of_what_nobody_asked_for(self, partner: Partner) -> None:
        body = wanted()
        made = partner.ended(body)
        assert partner.status(body["reference"]).json() == made
        head = partner.send("HEAD", f"{URL}/{body['reference']}")
        assert (head.status_code, head.content) == (200, b"")
        refused(partner.status("nothing"), 404, "resource_not_found")

    def test_reads_bodies_in_any_form_that_was_signed(self, partner: Partner) -> None:
        body = wanted(organisation={"name": "Maschinen für Ebbe 🌊"})
        content = json.dumps(body, indent=3, ensure_ascii=False).encode()
        headers = partner.headers("POST", URL, content) | {"Content-Type": "application/json"}
        pieces = (content[start : start + 7] for start in range(0, len(content), 7))
        chunked = partner.http.post(URL, content=pieces, headers=headers)
        assert chunked.status_code == 202
        assert partner.ended(body)["status"] == "completed"


class TestResendOwnerInvitation:
    def test_mails_another_link_until_somebody_has_accepted(
        self, partner: Partner, owner: Newcomer
    ) -> None:
        body = wanted(owner={"email": owner.email})
        partner.ended(body)
        path = f"{URL}/{body['reference']}/invitation"
        first = token_for(owner)
        assert partner.send("POST", path).status_code == 204
        second = token_for(owner, 2)
        refused(accept(owner, first, **details(owner)), 422, "invitation_token_invalid")
        assert accept(owner, second, **details(owner)).is_success
        refused(partner.send("POST", path), 409, "invitation_closed")

    def test_is_nothing_for_others_or_before_there_is_one(
        self, world: World, runtime: Runtime, partner: Partner, anonymous: httpx.Client
    ) -> None:
        body = wanted(organisation={"name": "Engines", "slug": world.create_org().slug})
        assert partner.ended(body)["status"] == "failed"
        path = f"{URL}/{body['reference']}/invitation"
        refused(partner.send("POST", path), 409, "provisioning_not_completed")
        stranger = create_partner(runtime, anonymous)
        refused(stranger.send("POST", path), 404, "resource_not_found")

    def test_is_the_organisations_own_once_it_has_sent_it_itself(
        self, world: World, runtime: Runtime, partner: Partner, owner: Newcomer
    ) -> None:
        body = wanted(owner={"email": owner.email})
        made = partner.ended(body)
        token_for(owner)
        account_id, _ = world.create_account()
        org_id = UUID(made["organisation_id"])
        world.join(account_id, org_id, "owner")
        _, token = world.open_session(account_id, org_id)
        admin = world.client(Authorization=f"Bearer {token}")
        (invitation,) = admin.get("/api/invitations").json()["items"]
        assert admin.post(f"/api/invitations/{invitation['id']}/resend").is_success
        path = f"{URL}/{body['reference']}/invitation"
        refused(partner.send("POST", path), 409, "invitation_closed")
        # Whoever the partner is in the organisation, it is nobody else.
        linked = {"user_id": str(account_id)}
        link = admin.post(f"/api/users/{invitation['invited_by_id']}/link", json=linked)
        refused(link, 422, "link_invalid")

"""Registering and verifying, over HTTP, with the worker that mails."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from bugtracker.app import create_app, create_runtime
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.models import Account, Member, Organisation
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import change_claim, change_token
from tests.conformance import Conformance
from tests.registering import Newcomer, answer, newcomer, text_of
from tests.serving import serve
from tests.world import World, refused

PAST = utc_now() - timedelta(seconds=1)

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def somebody(anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return newcomer(anonymous, settings)


@pytest.fixture
def another(anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return newcomer(anonymous, settings)


def known(world: World, http: httpx.Client, settings: Settings) -> Newcomer:
    """Somebody whose address has a verified account."""
    _, username = world.create_account()
    return newcomer(http, settings, email=f"{username}@example.com", username=username)


class TestRegister:
    def test_leads_over_the_mailed_link_to_a_session(self, somebody: Newcomer) -> None:
        response = somebody.register(name="Ada Lovelace")
        assert response.status_code == 202
        assert response.json()["status"] == "verification_sent"
        verified = somebody.verify()
        assert verified.json() == {
            "username": somebody.username,
            "email": somebody.email,
            "verified": True,
        }
        me = somebody.me()
        assert (me["username"], me["name"]) == (somebody.username, "Ada Lovelace")
        assert (me["verified"], me["is_active"]) == (True, True)

    def test_the_mail_names_the_username(self, somebody: Newcomer) -> None:
        assert f"username {somebody.username} " in text_of(somebody.registered().mail())

    def test_nobody_logs_in_before_verification(self, somebody: Newcomer) -> None:
        assert somebody.registered().login().status_code == 401
        assert somebody.login(email=somebody.email.upper()).status_code == 401

    def test_a_later_registration_replaces_the_earlier_one(
        self, somebody: Newcomer, another: Newcomer
    ) -> None:
        first = somebody.registered().token()
        later = newcomer_like(somebody, email=somebody.email.upper(), password="Later-Gate-77")
        later.registered()
        second = newcomer_like(somebody).token(2)
        assert somebody.verify(first).status_code == 422
        assert later.verify(second).json()["username"] == later.username
        assert somebody.login().status_code == 401
        assert later.login().status_code == 200
        another.username = somebody.username
        another.registered()

    def test_a_known_address_gets_the_same_answer_and_another_mail(
        self, world: World, anonymous: httpx.Client, settings: Settings, somebody: Newcomer
    ) -> None:
        owner = known(world, anonymous, settings)
        stranger = newcomer_like(owner, password="Other-Words-12")
        assert answer(stranger.register()) == answer(somebody.register())
        assert f"its username is {owner.username}." in text_of(owner.mail())
        assert somebody.mail()["Subject"] == "Confirm your e-mail address"
        assert stranger.login().status_code == 401
        assert owner.login().status_code == 200

    def test_nothing_of_an_attempt_on_a_known_address_is_kept(
        self, world: World, runtime: Runtime, anonymous: httpx.Client, settings: Settings
    ) -> None:
        stranger = newcomer_like(known(world, anonymous, settings)).registered()
        with runtime.db.transaction() as session:
            found = select(func.count()).where(Account.username == stranger.username)
            assert session.scalar(found) == 0

    def test_a_username_is_reserved_whether_or_not_the_address_is_known(
        self, world: World, anonymous: httpx.Client, settings: Settings, another: Newcomer
    ) -> None:
        unknown_address = newcomer(anonymous, settings).registered()
        known_address = newcomer_like(known(world, anonymous, settings)).registered()
        refusals = []
        for holder in (unknown_address, known_address):
            another.username = holder.username.upper()
            refusals.append(answer(another.register()))
        assert refusals[0] == refusals[1]
        assert refusals[0][0] == 409
        assert refusals[0][1]["code"] == "username_taken"

    def test_the_username_of_an_account_is_taken_for_its_own_address_too(
        self, world: World, anonymous: httpx.Client, settings: Settings, another: Newcomer
    ) -> None:
        owner = known(world, anonymous, settings)
        another.username = owner.username
        assert answer(owner.register()) == answer(another.register())
        assert owner.register().status_code == 409

    def test_a_reservation_ends_with_the_mailed_link(
        self, runtime: Runtime, somebody: Newcomer, another: Newcomer
    ) -> None:
        somebody.registered()
        change_claim(runtime, somebody.username, expires_at=PAST)
        another.username = somebody.username
        another.registered()

    @pytest.mark.parametrize(
        "password",
        [
            "Ab1!xyz",
            "lettersonly",
            "lower7digits",
            "password123!",
            "PassWord123!",
            "Password2026",
            "Summer-2031!",
            "Qwerty123456",
        ],
    )
    def test_a_weak_or_common_password_is_refused(self, somebody: Newcomer, password: str) -> None:
        response = somebody.register(password=password)
        assert response.status_code == (422 if len(password) >= 8 else 400)
        assert [error["pointer"] for error in response.json()["errors"]] == ["/password"]
        assert password not in response.text

    def test_a_password_with_the_username_or_address_in_it_is_refused(
        self, somebody: Newcomer
    ) -> None:
        for word in (somebody.username, somebody.email, somebody.email.partition("@")[0]):
            response = somebody.register(password=f"X1 {word.upper()} y")
            assert response.json()["code"] == "password_too_weak"

    @pytest.mark.parametrize(
        "password", ["Xk7-quay", "only lower case but long", "pässwörter-übel9", "🦦" * 15]
    )
    def test_three_classes_or_length_suffice(self, somebody: Newcomer, password: str) -> None:
        assert somebody.register(password=password).status_code == 202

    def test_the_alias_leads_to_the_operation(self, somebody: Newcomer) -> None:
        body = {"email": somebody.email, "username": somebody.username, "password": "Xk7-quay"}
        redirect = somebody.http.post("/api/register", json=body)
        assert redirect.status_code == 308
        assert redirect.headers["location"] == "/api/auth/register"
        followed = somebody.http.post("/api/register", json=body, follow_redirects=True)
        assert followed.status_code == 202


class TestVerifyEmail:
    def test_a_token_works_once(self, somebody: Newcomer) -> None:
        token = somebody.registered().token()
        assert somebody.verify(token).status_code == 200
        again = somebody.verify(token)
        assert again.status_code == 422
        assert again.json()["code"] == "verification_token_invalid"
        assert again.json()["errors"][0]["pointer"] == "/token"

    def test_an_expired_token_is_refused(self, runtime: Runtime, somebody: Newcomer) -> None:
        token = somebody.registered().token()
        change_token(runtime, token, expires_at=PAST)
        assert somebody.verify(token).status_code == 422
        assert somebody.login().status_code == 401

    def test_a_token_for_another_purpose_is_refused(
        self, runtime: Runtime, somebody: Newcomer
    ) -> None:
        token = somebody.registered().token()
        change_token(runtime, token, purpose="reset_password")
        assert somebody.verify(token).status_code == 422

    def test_an_unknown_token_answers_like_a_used_one(self, somebody: Newcomer) -> None:
        used = somebody.verified().token()
        assert answer(somebody.verify(used)) == answer(somebody.verify("x" * 43))

    def test_a_token_left_over_does_not_verify_again(
        self, runtime: Runtime, somebody: Newcomer
    ) -> None:
        token = somebody.verified(org_name="Left over").token()
        change_token(runtime, token, used_at=None)
        assert somebody.verify(token).status_code == 422
        assert somebody.me()["role"] == "owner"

    def test_a_username_lost_in_the_meantime_is_explained(
        self, runtime: Runtime, somebody: Newcomer, another: Newcomer
    ) -> None:
        token = somebody.registered().token()
        change_claim(runtime, somebody.username, expires_at=PAST)
        another.username = somebody.username
        another.verified()
        response = somebody.verify(token)
        assert response.status_code == 422
        assert "username" in response.json()["detail"]
        assert somebody.login().status_code == 401

    def test_org_name_founds_an_organisation_with_its_owner(
        self, world: World, somebody: Newcomer
    ) -> None:
        me = somebody.verified(org_name="Ünder  Sea & Co.").me()
        assert me["role"] == "owner"
        with world.runtime.db.transaction(org_id=me["org_id"]) as session:
            found = session.get_one(Organisation, me["org_id"])
        assert found.name == "Ünder  Sea & Co."
        assert found.slug.startswith("under-sea-co")

    def test_organisations_of_one_name_stay_apart(
        self, somebody: Newcomer, another: Newcomer
    ) -> None:
        name = f"Twins {uuid4().hex[:8]}"
        first, second = (person.verified(org_name=name).me() for person in (somebody, another))
        assert first["org_id"] != second["org_id"]
        assert first["role"] == second["role"] == "owner"

    def test_without_any_organisation_the_session_manages_the_account_only(
        self, somebody: Newcomer
    ) -> None:
        me = somebody.verified().me()
        assert (me["org_id"], me["role"], me["permissions"]) == (None, None, [])
        access_token = somebody.login().json()["access_token"]
        refused = somebody.http.get(
            "/api/projects", headers={"Authorization": f"Bearer {access_token}"}
        )
        assert refused.json()["code"] == "organisation_required"


class TestOpenOrganisation:
    @pytest.fixture
    def open_world(self, settings: Settings, contract: Contract) -> Iterator[World]:
        """A server whose deployment has an open organisation, not founded yet."""
        slug = f"open-{uuid4().hex[:8]}"
        runtime = create_runtime(settings.model_copy(update={"open_organisation": slug}))
        with serve(create_app(runtime, contract)) as server:
            world = World(runtime, server.url, Conformance(contract))
            yield world
            world.close()
        runtime.db.close()

    def test_is_joined_as_developer(self, open_world: World) -> None:
        slug = str(open_world.runtime.settings.open_organisation)
        org = open_world.create_org(slug)
        person = newcomer(open_world.client(), open_world.runtime.settings).verified()
        me = person.me()
        assert (me["org_id"], me["role"]) == (str(org.id), "developer")
        founder = newcomer(open_world.client(), open_world.runtime.settings)
        assert founder.verified(org_name="Own").me()["role"] == "owner"
        with open_world.runtime.db.transaction(org_id=org.id) as session:
            assert session.scalars(select(Member.user_id)).all() == [UUID(me["id"])]

    def test_cannot_be_founded_by_a_stranger(self, open_world: World) -> None:
        slug = str(open_world.runtime.settings.open_organisation)
        thief = newcomer(open_world.client(), open_world.runtime.settings)
        stolen = thief.verified(org_name=slug).me()["org_id"]
        victim = newcomer(open_world.client(), open_world.runtime.settings).verified()
        assert victim.me()["org_id"] is None
        org = open_world.create_org(slug)
        assert str(org.id) != stolen

    def test_keeps_its_slug(self, open_world: World) -> None:
        slug = str(open_world.runtime.settings.open_organisation)
        org = open_world.create_org(slug)
        path = f"/api/organisations/{org.id}"
        problem = refused(
            org.owner.patch(path, {"name": "Ours", "slug": f"{slug}-2"}),
            409,
            "organisation_slug_reserved",
        )
        assert "BUGTRACKER_OPEN_ORGANISATION" in problem["detail"]
        renamed = org.owner.patch(path, {"name": "Ours", "slug": slug}).json()
        assert (renamed["name"], renamed["slug"]) == ("Ours", slug)

    def test_no_other_gets_its_slug_and_none_is_told_that_somebody_has_it(
        self, open_world: World
    ) -> None:
        slug = str(open_world.runtime.settings.open_organisation)
        org = open_world.create_org()
        for response in (
            org.owner.patch(f"/api/organisations/{org.id}", {"slug": slug}),
            org.owner.post("/api/organisations", {"name": "Mine", "slug": slug}),
        ):
            problem = refused(response, 409, "organisation_slug_reserved")
            assert problem["errors"][0]["pointer"] == "/slug"


def newcomer_like(other: Newcomer, **different: str) -> Newcomer:
    """Another username (unless given) for the same address."""
    return Newcomer(other.http, other.mail_dir, **{"email": other.email, **different})

"""The people of an organisation: listing, filtering, searching, reading (O4, O5, O13)."""

from datetime import datetime
from uuid import UUID, uuid4

import httpx
import pytest

from bugtracker.contract import load_contract
from bugtracker.queries.users import FIELDS
from tests.behind import employee
from tests.registering import tokens_of
from tests.rsql.documented import code, table, words
from tests.world import Caller, Json, Org, World, made, refused, without_id

USERS = "/api/users"
PARAMETER = load_contract().document["components"]["parameters"]["UserFilter"]
SORTS = ("username", "name", "created_at", "last_login", "role")


def listed(caller: Caller, **query: str | int) -> list[Json]:
    response = caller.get(USERS, params=query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def named(caller: Caller, name: str) -> Json:
    """The caller with this display name."""
    response = caller.patch(f"{USERS}/me", {"name": name}, headers={"If-Match": "*"})
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def usernames(caller: Caller, **query: str | int) -> list[str]:
    return [item["username"] for item in listed(caller, **query)]


class TestListUsers:
    def test_shows_everybody_who_is_here(self, world: World, org: Org) -> None:
        world.import_person(org, "tidewatch")
        world.remove(org, org.caller("member", "left"))
        everybody = {item["username"]: item for item in listed(org.auditor)}
        assert set(everybody) == {"tidewatch", org.auditor.username}
        imported, auditor = everybody["tidewatch"], everybody[org.auditor.username]
        assert (imported["email"], imported["imported_from"]) == (None, "github")
        assert (imported["verified"], imported["is_active"]) == (False, True)
        assert (auditor["email"], auditor["verified"]) == (org.auditor.email, True)
        assert (auditor["role"], auditor["last_login"], auditor["login_count"]) == (
            "auditor", None, 0,
        )  # fmt: skip

    def test_those_who_were_removed_are_for_who_may_restore_them(
        self, world: World, org: Org
    ) -> None:
        left = org.caller("member", "left")
        world.remove(org, left)
        (item,) = listed(org.admin, removed="only")
        assert (item["username"], item["is_active"]) == (left.username, False)
        assert item["removed_at"] is not None
        assert set(usernames(org.admin, removed="all")) == {left.username, org.admin.username}
        for removed in ("only", "all"):
            for caller in (org.manager, org.auditor):
                answer = caller.get(USERS, params={"removed": removed})
                refused(answer, 403, "permission_denied")

    def test_a_disabled_account_is_not_active(self, world: World, org: Org) -> None:
        world.deactivate(org.member)
        assert usernames(org.admin, filter="is_active==false") == [org.member.username]

    @pytest.mark.parametrize("sign", ["", "-"])
    @pytest.mark.parametrize("sort", SORTS)
    def test_every_order_is_total_over_pages(
        self, world: World, org: Org, sort: str, sign: str
    ) -> None:
        for n in range(3):
            named(org.caller("developer", str(n)), ("Ada", "ada", "Berta")[n])
        world.import_person(org, "Zebra")
        world.import_person(org, "anemone")
        whole = listed(org.owner, sort=sign + sort, limit=100)
        pages, cursor = [], None
        while cursor or not pages:
            query = {"sort": sign + sort, "limit": 2, **({"cursor": cursor} if cursor else {})}
            page = org.owner.get(USERS, params=query).json()
            pages += page["items"]
            cursor = page["next_cursor"]
        assert pages == whole
        assert len({item["id"] for item in pages}) == 6
        backwards = listed(org.owner, sort=("" if sign else "-") + sort, limit=100)
        assert backwards == whole[::-1]

    def test_orders_names_with_usernames_in_their_place(self, world: World, org: Org) -> None:
        world.import_person(org, "Bilge")
        named(org.owner, "captain")
        named(org.member, "Anchor")
        world.import_person(org, "dory")
        shown = [item["name"] or item["username"] for item in listed(org.owner, sort="name")]
        assert shown == ["Anchor", "Bilge", "captain", "dory"]

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [(code(text), words(names)) for text, names in table("filter of users | selects")],
    )
    def test_is_filtered_as_documented(
        self, world: World, org: Org, expression: str, expected: list[str]
    ) -> None:
        named(org.owner, "Joan")
        world.import_person(org, "kim", "auditor")
        jo = world.import_person(org, "jo")
        org.owner.patch(f"{USERS}/{jo}", {"name": "Jo"}, headers={"If-Match": "*"})
        found = set(usernames(org.owner, filter=expression))
        assert found == {org.owner.username if name == "joan" else name for name in expected}

    def test_every_field_is_documented(self) -> None:
        on_page = {code(name) for row in table("of users | values") for name in row[0].split(", ")}
        assert on_page == set(FIELDS)
        for name in FIELDS:
            assert f"`{name}`" in PARAMETER["description"]
            assert any(name in text for text, _ in table("filter of users | selects"))

    @pytest.mark.parametrize("name", PARAMETER["examples"])
    def test_examples_of_the_contract_can_be_used(self, org: Org, name: str) -> None:
        listed(org.owner, filter=PARAMETER["examples"][name]["value"])

    @pytest.mark.parametrize(
        "expression", ["password==x", "login_count>1", "version==1", "org_id==1", "verified==maybe",
                       "role>=king", "name>a", "account_id==null", "deactivated_by_removal==true"],
    )  # fmt: skip
    def test_refuses_unknown_fields_and_values(self, org: Org, expression: str) -> None:
        problem = refused(
            org.owner.get(USERS, params={"filter": expression}), 400, "filter_invalid"
        )
        assert problem["errors"][0]["position"] in (0, 4, 6, 10)

    def test_search_puts_the_best_match_first(self, world: World, org: Org) -> None:
        for username in ("tide", "tidewatch", "night.tide", "ebb"):
            world.import_person(org, username)
        person = world.import_person(org, "moon")
        org.owner.patch(f"{USERS}/{person}", {"name": "High Tide"}, headers={"If-Match": "*"})
        assert usernames(org.owner, search="TIDE") == ["tide", "tidewatch", "moon", "night.tide"]
        assert usernames(org.owner, search="tide high") == ["moon"]
        assert usernames(org.owner, search="tide", sort="username")[0] == "moon"
        assert usernames(org.owner, search=org.owner.email.upper()) == [org.owner.username]
        assert usernames(org.owner, search="%") == usernames(org.owner, search="_de") == []

    def test_search_goes_on_by_cursor(self, world: World, org: Org) -> None:
        for n in range(5):
            world.import_person(org, f"tide{n}")
        first = org.owner.get(USERS, params={"search": "tide", "limit": 3}).json()
        more = {"search": "tide", "limit": 3, "cursor": first["next_cursor"]}
        found = first["items"] + org.owner.get(USERS, params=more).json()["items"]
        assert {item["username"] for item in found} == {f"tide{n}" for n in range(5)}


class TestLastLogin:
    def test_is_of_logins_into_this_organisation(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        other = world.create_org()
        person = employee(world, org, anonymous, world.runtime.settings)
        person.login()
        tokens = tokens_of(person.login())
        me = world.client(Authorization=f"Bearer {tokens['access_token']}")
        mine = me.get(f"{USERS}/me").json()
        assert mine["login_count"] == 2
        before = datetime.fromisoformat(mine["last_login"])
        world.join(_id(mine), other.id, "member")
        person.login(org_id=str(other.id))
        (there,) = listed(other.owner, search=person.username)
        (here,) = listed(org.owner, search=person.username)
        assert (there["login_count"], here["login_count"]) == (1, 2)
        assert datetime.fromisoformat(here["last_login"]) == before
        assert datetime.fromisoformat(there["last_login"]) > before
        assert here["version"] == 1


def _id(user: Json) -> UUID:
    return UUID(user["id"])


class TestGetUser:
    def test_is_also_called_me(self, org: Org) -> None:
        mine = org.member.get(f"{USERS}/me")
        assert mine.json() == org.auditor.get(f"{USERS}/{org.member.id}").json()
        assert mine.json()["username"] == org.member.username

    def test_foreign_missing_and_removed_people_are_alike(self, world: World, org: Org) -> None:
        left = org.caller("member", "left")
        world.remove(org, left)
        stranger = world.create_org().member
        ids = (left.id, stranger.id, uuid4())
        problems = [
            without_id(refused(org.manager.get(f"{USERS}/{i}"), 404, "resource_not_found"))
            for i in ids
        ]
        assert problems[0] == problems[1] == problems[2]
        assert org.admin.get(f"{USERS}/{left.id}").json()["is_active"] is False

    def test_tells_nothing_of_other_organisations(self, world: World, org: Org) -> None:
        before = org.owner.get(f"{USERS}/{org.member.id}")
        other = world.create_org()
        world.join(org.member.id, other.id, "owner")
        after = org.owner.get(f"{USERS}/{org.member.id}")
        assert after.json() == before.json()
        assert after.headers["ETag"] == before.headers["ETag"]


class TestCreateUser:
    def test_writes_somebody_down_who_cannot_log_in(self, world: World, org: Org) -> None:
        body = {"username": "harbourmaster", "name": "Mary", "role": "member"}
        response = org.manager.post(USERS, body)
        user = made(response)
        assert response.headers["Location"] == f"{USERS}/{user['id']}"
        assert (user["username"], user["name"], user["email"]) == ("harbourmaster", "Mary", None)
        assert (user["role"], user["imported_from"]) == ("member", "created")
        assert org.auditor.get(response.headers["Location"]).json() == user
        (event,) = world.events(org, user)
        assert (event.action, event.actor_id) == ("user.created", org.manager.id)

    def test_nobody_gives_a_role_above_what_they_may(self, org: Org) -> None:
        body = {"username": "chief", "role": "admin"}
        refused(org.manager.post(USERS, body), 403, "permission_denied")
        refused(org.developer.post(USERS, {**body, "role": "member"}), 403, "permission_denied")
        made(org.admin.post(USERS, body))

    def test_a_name_in_the_organisation_is_taken(self, world: World, org: Org) -> None:
        world.import_person(org, "tidewatch")
        for username in ("TideWatch", org.member.username.upper()):
            body = {"username": username, "role": "member"}
            refused(org.owner.post(USERS, body), 409, "username_taken")
        elsewhere = world.create_org()
        made(elsewhere.owner.post(USERS, {"username": "tidewatch", "role": "member"}))

    def test_cannot_be_assigned_work(self, org: Org) -> None:
        user = made(org.owner.post(USERS, {"username": "hm", "role": "developer"}))
        issue = org.owner.create_issue(org.owner.create_project())
        answer = org.owner.patch(f"/api/issues/{issue['id']}", {"assignee_id": user["id"]})
        refused(answer, 422, "assignee_invalid")

"""Organisations: founding, listing, reading, renaming, handing over (O1)."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from bugtracker.clock import utc_now
from bugtracker.models import Session
from tests.behind import events_of
from tests.blocking import Blocker
from tests.parallel import at_once
from tests.registering import newcomer, refresh, tokens_of
from tests.world import PASSWORD, Caller, Json, Org, World, made, refused, without_id

URL = "/api/organisations"


def url(org: Org) -> str:
    return f"{URL}/{org.id}"


def role_of(caller: Caller, org: Org) -> str:
    role: str = caller.get(url(org)).json()["role"]
    return role


def members(org: Org, person: Caller) -> str:
    return f"{url(org)}/members/{person.id}"


def slug() -> str:
    return f"tides-{uuid4().hex[:12]}"


class TestCreateOrganisation:
    def test_its_founder_owns_it_and_works_in_it_after_a_refresh(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        account_id, username = world.create_account()
        person = newcomer(
            anonymous, world.runtime.settings, email=f"{username}@example.com", username=username
        )
        tokens = tokens_of(person.login())
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        response = anonymous.post(URL, json={"name": "Tidal  Works"}, headers=headers)
        founded = made(response)
        assert founded["slug"].startswith("tidal-works")
        assert (founded["role"], founded["version"]) == ("owner", 1)
        assert response.headers["Location"] == f"{URL}/{founded['id']}"
        moved = tokens_of(refresh(anonymous, tokens["refresh_token"], org_id=founded["id"]))
        headers = {"Authorization": f"Bearer {moved['access_token']}"}
        made(anonymous.post("/api/projects", json={"name": "First"}, headers=headers))
        here = Org(world, founded["id"], founded["slug"])
        (event,) = events_of(world.runtime, here, "organisation.created")
        assert event.actor_id == account_id
        assert org.slug not in str(event.changes)

    def test_needs_no_organisation_and_changes_nothing_in_the_present_one(
        self, world: World, org: Org
    ) -> None:
        for person in (world.create_loner(), org.auditor):
            made(person.post(URL, {"name": "Mine", "slug": slug()}))
        assert role_of(org.auditor, org) == "auditor"

    def test_a_taken_slug_is_refused_and_a_derived_one_is_free(self, org: Org) -> None:
        name = slug()
        made(org.member.post(URL, {"name": "One", "slug": name}))
        problem = refused(
            org.member.post(URL, {"name": "Two", "slug": name}), 409, "organisation_slug_taken"
        )
        assert problem["errors"][0]["pointer"] == "/slug"
        other = made(org.member.post(URL, {"name": name}))
        assert other["slug"].startswith(f"{name}-")

    def test_one_of_twenty_gets_the_slug(self, org: Org) -> None:
        body = {"name": "Wanted", "slug": slug()}
        answers = at_once([lambda: org.member.post(URL, body)] * 20)
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19

    @pytest.mark.parametrize("bad", ["Tides", "-tides", "ti--des", "tides-", "t" * 51, "ü", ""])
    def test_slugs_of_another_form_are_refused(self, org: Org, bad: str) -> None:
        refused(org.member.post(URL, {"name": "Tides", "slug": bad}), 400, "request_invalid")


class TestListOrganisations:
    def test_shows_ones_own_with_the_role_in_each(self, world: World, org: Org) -> None:
        other = world.create_org()
        assert other.owner.get(url(org)).status_code == 404
        person = org.developer
        world.join(person.id, other.id, "auditor")
        items = person.get(URL).json()["items"]
        assert [(item["id"], item["role"]) for item in items] == [
            (str(org.id), "developer"),
            (str(other.id), "auditor"),
        ]

    def test_forgets_those_one_has_left_and_is_paged(self, world: World) -> None:
        loner = world.create_loner()
        assert loner.get(URL).json()["items"] == []
        orgs = [world.create_org() for _ in range(3)]
        for org in orgs:
            world.join(loner.id, org.id, "member")
        world.remove(orgs[1], loner)
        first = loner.get(URL, params={"limit": 1}).json()
        second = loner.get(URL, params={"limit": 1, "cursor": first["next_cursor"]}).json()
        found = [item["id"] for item in first["items"] + second["items"]]
        assert (found, second["next_cursor"]) == ([str(orgs[0].id), str(orgs[2].id)], None)


class TestGetOrganisation:
    def test_is_readable_whichever_the_token_is_for(self, world: World, org: Org) -> None:
        other = world.create_org()
        world.join(org.member.id, other.id, "admin")
        body = org.member.get(url(other)).json()
        assert (body["slug"], body["role"]) == (other.slug, "admin")

    def test_foreign_left_and_missing_ones_are_alike(self, world: World, org: Org) -> None:
        left = world.create_org()
        world.join(org.member.id, left.id, "admin")
        world.remove(left, org.member)
        problems = [
            without_id(refused(org.member.get(f"{URL}/{id_}"), 404, "resource_not_found"))
            for id_ in (world.create_org().id, left.id, uuid4())
        ]
        assert problems[0] == problems[1] == problems[2]


class TestUpdateOrganisation:
    def test_changes_name_and_slug_and_says_so(self, world: World, org: Org) -> None:
        body = {"name": "Ebb & Flow", "slug": slug()}
        changed = org.admin.patch(url(org), body).json()
        assert (changed["name"], changed["slug"], changed["version"]) == (*body.values(), 2)
        (event,) = events_of(world.runtime, org, "organisation.updated")
        assert event.changes == {
            "name": [org.slug, body["name"]],
            "slug": [org.slug, body["slug"]],
        }

    def test_what_is_so_already_is_no_change(self, world: World, org: Org) -> None:
        same = org.admin.patch(url(org), {"slug": org.slug}).json()
        assert same["version"] == 1
        assert events_of(world.runtime, org, "organisation.updated") == []

    def test_a_taken_slug_is_refused(self, world: World, org: Org) -> None:
        body = {"slug": world.create_org().slug}
        refused(org.admin.patch(url(org), body), 409, "organisation_slug_taken")
        assert org.admin.get(url(org)).json()["slug"] == org.slug

    def test_managers_may_not(self, org: Org) -> None:
        refused(org.manager.patch(url(org), {"name": "Mine"}), 403, "permission_denied")

    def test_needs_the_token_to_be_for_it(self, world: World, org: Org) -> None:
        other = world.create_org()
        refused(org.admin.patch(url(other), {"name": "Ours"}), 404, "resource_not_found")
        world.join(org.admin.id, other.id, "owner")
        problem = refused(
            org.admin.patch(url(other), {"name": "Ours"}), 403, "organisation_not_current"
        )
        assert str(other.id) in problem["detail"]
        assert other.owner.get(url(other)).json()["name"] == other.slug

    def test_says_so_to_whoever_may_not_do_it_in_the_tokens_either(
        self, world: World, org: Org
    ) -> None:
        other, person = world.create_org(), org.member
        problem = refused(person.patch(url(other), {"name": "Mine"}), 403, "permission_denied")
        assert str(other.id) not in problem["detail"]
        refused(person.patch(f"{URL}/none", {"name": "Mine"}), 403, "permission_denied")
        world.join(person.id, other.id, "owner")
        there = refused(person.patch(url(other), {"name": "M"}), 403, "organisation_not_current")
        assert str(other.id) in there["detail"]
        for verb, path in (("post", f"{url(other)}/transfer"), ("delete", members(other, person))):
            answer = person.http.request(verb, path)
            refused(answer, 403, "organisation_not_current")
        refused(person.patch(url(org), {"name": "Mine"}), 403, "permission_denied")
        world.remove(other, person)
        assert without_id(problem) == without_id(
            refused(person.patch(url(other), {"name": "Mine"}), 403, "permission_denied")
        )

    def test_an_older_version_is_refused(self, org: Org) -> None:
        tag = org.admin.get(url(org)).headers["ETag"]
        org.owner.patch(url(org), {"name": "Faster"})
        response = org.admin.patch(url(org), {"name": "Slower"}, headers={"If-Match": tag})
        problem = refused(response, 412, "precondition_failed")
        assert (problem["current_version"], problem["changed_fields"]) == (2, ["name"])


def hand_over(caller: Caller, org: Org, user_id: Any, password: str = PASSWORD) -> httpx.Response:
    body = {"user_id": str(user_id), "current_password": password}
    return caller.post(f"{url(org)}/transfer", body)


class TestTransferOrganisation:
    def test_makes_the_other_an_owner_and_oneself_an_admin(self, world: World, org: Org) -> None:
        answer = hand_over(org.owner, org, org.member.id)
        assert (answer.status_code, answer.json()["role"]) == (200, "admin")
        assert (role_of(org.member, org), role_of(org.owner, org)) == ("owner", "admin")
        refused(hand_over(org.owner, org, org.owner.id), 403, "permission_denied")
        changes = [event.changes for event in events_of(world.runtime, org, "member.role_changed")]
        assert changes == [{"role": ["member", "owner"]}, {"role": ["owner", "admin"]}]

    def test_only_owners_may(self, org: Org) -> None:
        refused(hand_over(org.admin, org, org.admin.id), 403, "permission_denied")

    def test_asks_for_the_password(self, org: Org) -> None:
        answer = hand_over(org.owner, org, org.member.id, "Ebb-Table-1843")
        refused(answer, 422, "current_password_wrong")
        assert role_of(org.owner, org) == "owner"
        activity = org.owner.get("/api/auth/me/activity").json()["items"]
        assert activity[0]["action"] == "password.check_failed"

    def test_not_once_the_session_has_ended(self, world: World, org: Org) -> None:
        owner, person = org.owner, org.member
        with Blocker(world.runtime) as blocker:
            own = update(Session).where(Session.id == owner.session_id)
            blocker.session.execute(own.values(revoked_at=utc_now()))
            waiting = blocker.start(lambda: hand_over(owner, org, person.id))
        refused(waiting.result(), 401, "token_invalid")
        assert role_of(person, org) == "member"

    def test_to_somebody_who_cannot_log_in_here_is_refused(self, world: World, org: Org) -> None:
        left, disabled = org.caller("member", "left"), org.caller("member", "disabled")
        world.remove(org, left)
        world.deactivate(disabled)
        others = (left.id, disabled.id, org.owner.id, world.import_person(org, "tidewatch"))
        for user_id in (*others, world.create_org().member.id, uuid4()):
            problem = refused(hand_over(org.owner, org, user_id), 422, "successor_invalid")
            assert problem["errors"][0]["pointer"] == "/user_id"
        assert role_of(org.owner, org) == "owner"

    def test_needs_the_token_to_be_for_it(self, world: World, org: Org) -> None:
        other = world.create_org()
        world.join(org.owner.id, other.id, "owner")
        refused(hand_over(org.owner, other, other.member.id), 403, "organisation_not_current")
        world.remove(other, org.owner)
        refused(hand_over(org.owner, other, other.member.id), 404, "resource_not_found")

    def test_of_twenty_at_once_one_hands_it_over(self, org: Org) -> None:
        people = [org.caller("member", str(n)) for n in range(20)]
        owner = org.owner
        calls = [lambda p=person: hand_over(owner, org, p.id) for person in people]
        answers = at_once(calls)
        assert sorted(answer.status_code for answer in answers) == [200] + [403] * 19
        roles: list[Json] = owner.get(f"{url(org)}/members", params={"limit": 100}).json()["items"]
        assert sorted(item["role"] for item in roles) == ["admin", *["member"] * 19, "owner"]

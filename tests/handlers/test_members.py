"""Members: listing, other roles, removing, leaving (O1, O3)."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from bugtracker.clock import utc_now
from bugtracker.db import enter_tenant
from bugtracker.models import Member, Organisation
from bugtracker.models.organisation import Role
from tests.behind import employee, events_of
from tests.blocking import Blocker
from tests.registering import get_me, refresh, tokens_of
from tests.world import Caller, Json, Org, World, refused, without_id

RANKS: tuple[Role, ...] = ("owner", "admin", "manager", "developer", "member", "auditor")


def url(org: Org, person: Caller | None = None) -> str:
    members = f"/api/organisations/{org.id}/members"
    return members if person is None else f"{members}/{person.id}"


def listed(caller: Caller, org: Org, **query: str) -> list[Json]:
    response = caller.get(url(org), params=query)
    assert response.status_code == 200, response.text
    items: list[Json] = response.json()["items"]
    return items


def give(caller: Caller, org: Org, person: Caller, role: str, **headers: str) -> httpx.Response:
    return caller.patch(url(org, person), {"role": role}, headers=headers)


class TestListMembers:
    def test_shows_people_and_imported_people_but_not_those_who_left(
        self, world: World, org: Org
    ) -> None:
        world.import_person(org, "tidewatch")
        world.remove(org, org.caller("member", "left"))
        owner = org.owner
        everybody = {item["username"]: item for item in listed(org.auditor, org)}
        assert set(everybody) == {"tidewatch", owner.username, org.auditor.username}
        assert (
            everybody[owner.username] | {"id": str(owner.id), "email": owner.email}
            == (everybody[owner.username])
        )
        imported = everybody["tidewatch"]
        assert (imported["email"], imported["imported_from"]) == (None, "github")

    def test_is_filtered_by_role_and_paged(self, org: Org) -> None:
        people = [org.caller("developer", str(n)) for n in range(3)]
        assert org.owner.role == "owner"
        first = org.owner.get(url(org), params={"role": "developer", "limit": 2}).json()
        more = {"role": "developer", "limit": 2, "cursor": first["next_cursor"]}
        second = org.owner.get(url(org), params=more).json()
        found = [item["id"] for item in first["items"] + second["items"]]
        assert found == [str(person.id) for person in people]

    def test_needs_the_token_to_be_for_it(self, world: World, org: Org) -> None:
        other = world.create_org()
        answers = [
            org.member.get(url(other)),
            org.member.get(f"/api/organisations/{uuid4()}/members"),
        ]
        one, two = (without_id(refused(a, 404, "resource_not_found")) for a in answers)
        assert one == two
        world.join(org.member.id, other.id, "owner")
        refused(org.member.get(url(other)), 403, "organisation_not_current")


class TestUpdateMember:
    def test_bites_at_the_next_request_and_is_told_to_both(self, world: World, org: Org) -> None:
        person = org.auditor
        refused(person.post("/api/projects", {"name": "Mine"}), 403, "permission_denied")
        changed = give(org.admin, org, person, "manager")
        assert changed.json()["role"] == "manager"
        person.create_project(name="Mine")
        give(org.admin, org, person, "member")
        refused(person.post("/api/projects", {"name": "More"}), 403, "permission_denied")
        roles = [
            event.changes["role"] for event in events_of(world.runtime, org, "member.role_changed")
        ]
        assert roles == [["auditor", "manager"], ["manager", "member"]]
        activity = person.get("/api/auth/me/activity").json()["items"]
        assert [entry["action"] for entry in activity][:2] == ["member.role_changed"] * 2

    @pytest.mark.parametrize("role", RANKS)
    @pytest.mark.parametrize("by", RANKS)
    def test_nobody_gives_a_role_above_their_own(self, org: Org, by: Role, role: Role) -> None:
        person = org.caller("auditor" if role != "auditor" else "member", "person")
        answer = give(org.caller(by), org, person, role)
        if by in ("owner", "admin") and RANKS.index(role) >= RANKS.index(by):
            assert answer.json()["role"] == role
        else:
            refused(answer, 403, "permission_denied")

    def test_nobody_changes_somebody_above_them(self, org: Org) -> None:
        another = org.caller("owner", "another")
        for role in ("owner", "admin", "member"):
            refused(give(org.admin, org, another, role), 403, "permission_denied")
        assert give(org.owner, org, another, "admin").status_code == 200
        assert give(org.admin, org, another, "member").status_code == 200

    def test_the_last_owner_stays_one(self, world: World, org: Org) -> None:
        world.import_person(org, "tidewatch", "owner")
        world.deactivate(org.caller("owner", "disabled"))
        world.remove(org, org.caller("owner", "left"))
        refused(give(org.owner, org, org.owner, "admin"), 409, "owner_required")
        assert give(org.owner, org, org.member, "owner").status_code == 200
        assert give(org.owner, org, org.owner, "admin").json()["role"] == "admin"
        refused(give(org.member, org, org.member, "member"), 409, "owner_required")

    def test_the_same_role_is_no_change(self, world: World, org: Org) -> None:
        version = listed(org.owner, org, role="owner")[0]["version"]
        same = give(org.owner, org, org.owner, "owner").json()
        assert (same["role"], same["version"]) == ("owner", version)
        assert events_of(world.runtime, org, "member.role_changed") == []

    def test_a_stale_version_is_refused(self, org: Org) -> None:
        tag = give(org.owner, org, org.member, "developer").headers["ETag"]
        give(org.admin, org, org.member, "auditor")
        stale = give(org.owner, org, org.member, "manager", **{"If-Match": tag})
        problem = refused(stale, 412, "precondition_failed")
        assert problem["changed_fields"] == ["role"]

    def test_foreign_left_and_missing_people_are_alike(self, world: World, org: Org) -> None:
        left = org.caller("member", "left")
        world.remove(org, left)
        stranger = world.create_org().member
        paths = [url(org, left), url(org, stranger), f"{url(org)}/{uuid4()}"]
        for method, body in (("PATCH", {"role": "member"}), ("DELETE", None)):
            problems = [
                without_id(
                    refused(org.owner.http.request(method, p, json=body), 404, "resource_not_found")
                )
                for p in paths
            ]
            assert problems[0] == problems[1] == problems[2]

    def test_an_imported_person_can_get_another_role(self, world: World, org: Org) -> None:
        imported = world.import_person(org, "tidewatch")
        changed = org.owner.patch(f"{url(org)}/{imported}", {"role": "auditor"}).json()
        assert (changed["role"], changed["username"]) == ("auditor", "tidewatch")


class TestRemoveMember:
    def test_bites_at_the_next_request_of_every_session(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        other = world.create_org()
        person = employee(world, org, anonymous, world.runtime.settings)
        tokens, more = tokens_of(person.login()), tokens_of(person.login())
        user_id = get_me(anonymous, tokens["access_token"]).json()["id"]
        world.join(user_id, other.id, "member")
        assert org.admin.delete(f"{url(org)}/{user_id}").status_code == 204
        for pair in (tokens, more):
            refused(get_me(anonymous, pair["access_token"]), 401, "token_invalid")
            refused(refresh(anonymous, pair["refresh_token"]), 401, "refresh_token_invalid")
        switched = tokens_of(refresh(anonymous, tokens["refresh_token"], org_id=str(other.id)))
        assert get_me(anonymous, switched["access_token"]).json()["org_id"] == str(other.id)
        assert get_me(anonymous, tokens_of(person.login())["access_token"]).status_code == 200
        (event,) = events_of(world.runtime, org, "member.removed")
        assert (str(event.actor_id), event.changes) == (
            str(org.admin.id),
            {"removed": [False, True]},
        )

    def test_ends_their_keys_once_and_nobody_elses(self, world: World, org: Org) -> None:
        leaver = org.caller("admin", "leaver")
        ended, live, kept = (who.create_api_key() for who in (leaver, leaver, org.admin))
        assert leaver.delete(f"/api/api-keys/{ended['api_key']['id']}").status_code == 204
        assert org.owner.delete(url(org, leaver)).status_code == 204
        revoked = [
            [event.action for event in world.events(org, key["api_key"])].count("api_key.revoked")
            for key in (ended, live, kept)
        ]
        assert revoked == [1, 1, 0]

    def test_leaves_what_they_did_as_it_is_but_no_new_work_is_given(self, org: Org) -> None:
        leaver = org.developer
        project = org.manager.create_project()
        issue = leaver.create_issue(project, assignee_id=str(leaver.id))
        comment = leaver.create_comment(issue)
        assert org.owner.delete(url(org, leaver)).status_code == 204
        path = f"/api/issues/{issue['id']}"
        assert org.member.get(path).json() == issue
        assert org.member.get(f"{path}/comments").json()["items"] == [comment]
        assert org.manager.patch(path, {"title": "Still theirs"}).status_code == 200
        body = {"title": "New", "assignee_id": str(leaver.id)}
        answer = org.manager.post(f"/api/projects/{project['id']}/issues", body)
        refused(answer, 422, "assignee_invalid")

    @pytest.mark.parametrize("role", [role for role in RANKS if role != "owner"])
    def test_everybody_may_leave(self, world: World, org: Org, role: Role) -> None:
        person = org.caller(role)
        assert person.delete(url(org, person)).status_code == 204
        refused(person.get("/api/auth/me"), 401, "token_invalid")
        (event,) = events_of(world.runtime, org, "member.removed")
        assert event.actor_id == person.id

    def test_the_last_owner_cannot_go(self, org: Org) -> None:
        refused(org.owner.delete(url(org, org.owner)), 409, "owner_required")
        another = org.caller("owner", "another")
        assert org.owner.delete(url(org, org.owner)).status_code == 204
        refused(another.delete(url(org, another)), 409, "owner_required")

    @pytest.mark.parametrize("by", ["manager", "developer", "member", "auditor"])
    def test_others_are_removed_by_admins_and_owners_only(self, org: Org, by: Role) -> None:
        person = org.caller("auditor", "person")
        refused(org.caller(by).delete(url(org, person)), 403, "permission_denied")

    def test_nobody_above_oneself_is_removed(self, org: Org) -> None:
        refused(org.admin.delete(url(org, org.owner)), 403, "permission_denied")
        assert org.admin.delete(url(org, org.caller("admin", "equal"))).status_code == 204

    def test_needs_the_token_to_be_for_it(self, world: World, org: Org) -> None:
        other = world.create_org()
        world.join(org.owner.id, other.id, "owner")
        path = f"/api/organisations/{other.id}/members/{org.owner.id}"
        refused(org.owner.delete(path), 403, "organisation_not_current")


class TestWhatCounts:
    def test_is_what_one_is_here_not_elsewhere(self, world: World) -> None:
        before, here, after = (world.create_org() for _ in range(3))
        account_id, _ = world.create_account()
        elsewhere: list[tuple[Org, Role]] = [(before, "owner"), (after, "owner")]
        for place, role in (*elsewhere, (here, "admin")):
            world.join(account_id, place.id, role)
        _, token = world.open_session(account_id, here.id)
        person = world.client(Authorization=f"Bearer {token}")
        answer = person.patch(url(here, here.member), json={"role": "owner"})
        refused(answer, 403, "permission_denied")
        assert person.delete(f"{url(here)}/{account_id}").status_code == 204
        removed = [
            place.owner.get(f"/api/users/{account_id}").json()["removed_at"] is not None
            for place in (before, here, after)
        ]
        assert removed == [False, True, False]

    def test_is_what_one_is_when_ones_turn_comes(self, world: World, org: Org) -> None:
        person, left = org.member, org.caller("developer", "left")
        world.remove(org, left)
        restoring = f"/api/users/{left.id}/restore"
        answer = self._after(world, org, lambda: org.admin.post(restoring), role="manager")
        refused(answer, 403, "permission_denied")
        world.set_role(org, org.admin, "admin")
        removing = url(org, person)
        answer = self._after(world, org, lambda: org.admin.delete(removing), removed_at=utc_now())
        refused(answer, 401, "token_invalid")
        assert person.get("/api/auth/me").status_code == 200

    def _after(
        self, world: World, org: Org, request: Callable[[], httpx.Response], **admin: object
    ) -> httpx.Response:
        """The answer to a request that waits until the admin is another one, or none."""
        own = update(Member).where(Member.org_id == org.id, Member.user_id == org.admin.id)
        with Blocker(world.runtime) as blocker:
            enter_tenant(blocker.session, org.id, None)
            blocker.session.execute(select(Organisation.id).with_for_update(key_share=True))
            blocker.session.execute(own.values(**admin))
            waiting = blocker.start(request)
        return waiting.result()

"""Changing, deleting, restoring and linking people (O4, O8)."""

from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from bugtracker.clock import utc_now
from bugtracker.importing.people import People
from bugtracker.services import events
from tests.behind import employee, events_of
from tests.inviting import accept, invited, token_for
from tests.registering import get_me, newcomer, refresh, tokens_of
from tests.world import Caller, Json, Org, World, refused

USERS = "/api/users"
ANY = {"If-Match": "*"}


def url(person: Caller | UUID) -> str:
    return f"{USERS}/{person if isinstance(person, UUID) else person.id}"


def read(caller: Caller, person: Caller | UUID) -> Json:
    response = caller.get(url(person))
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def change(caller: Caller, person: Caller | UUID, **fields: str | None) -> httpx.Response:
    return caller.patch(url(person), fields, headers=ANY)


class TestUpdateUser:
    def test_needs_to_say_which_version(self, org: Org) -> None:
        problem = refused(
            org.owner.patch(url(org.member), {"role": "developer"}), 428, "precondition_required"
        )
        assert problem["errors"][0]["parameter"] == "If-Match"
        tag = org.owner.get(url(org.member)).headers["ETag"]
        changed = org.owner.patch(url(org.member), {"role": "developer"}, headers={"If-Match": tag})
        assert (changed.status_code, changed.json()["role"]) == (200, "developer")
        stale = org.owner.patch(url(org.member), {"role": "auditor"}, headers={"If-Match": tag})
        problem = refused(stale, 412, "precondition_failed")
        assert problem["changed_fields"] == ["role"]
        assert read(org.owner, org.member)["role"] == "developer"

    def test_changes_roles_as_members_do(self, org: Org) -> None:
        refused(change(org.admin, org.owner, role="member"), 403, "permission_denied")
        refused(change(org.admin, org.member, role="owner"), 403, "permission_denied")
        refused(change(org.manager, org.member, role="auditor"), 403, "permission_denied")
        refused(change(org.owner, org.owner, role="admin"), 409, "owner_required")
        assert change(org.admin, org.member, role="manager").json()["role"] == "manager"

    def test_a_name_is_changed_by_its_person_only(self, world: World, org: Org) -> None:
        problem = refused(change(org.owner, org.member, name="X"), 403, "permission_denied")
        assert "only the person" in problem["detail"]
        changed = org.member.patch(f"{USERS}/me", {"name": "Ada King"}, headers=ANY).json()
        assert (changed["name"], changed["version"]) == ("Ada King", 2)
        assert org.member.get("/api/auth/me").json()["name"] == "Ada King"
        again = change(org.member, org.member, name="Ada King").json()
        assert again["version"] == 2
        assert change(org.member, org.member, name=None).json()["name"] is None
        (event, _) = events_of(world.runtime, org, "user.updated")
        assert event.changes == {"name": [None, "Ada King"]}

    def test_both_at_once(self, org: Org) -> None:
        both = change(org.admin, org.admin, role="manager", name="Ada")
        assert (both.json()["role"], both.json()["name"]) == ("manager", "Ada")

    def test_imported_people_are_named_by_admins(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch", "owner")
        refused(change(org.manager, person, name="Tide"), 403, "permission_denied")
        refused(change(org.admin, person, name="Tide"), 403, "permission_denied")
        assert change(org.owner, person, name="Tide").json()["name"] == "Tide"

    def test_a_key_cannot_name_its_maker_or_leave_for_them(self, world: World, org: Org) -> None:
        key = world.with_key(org.admin.create_api_key("users.read", "users.delete"))
        renamed = key.patch(f"{USERS}/me", json={"name": "Bot"}, headers=ANY)
        refused(renamed, 403, "session_required")
        refused(key.delete(f"{USERS}/me"), 403, "session_required")
        leaving = key.delete(f"/api/organisations/{org.id}/members/{org.admin.id}")
        refused(leaving, 403, "session_required")
        problem = refused(
            key.patch(url(org.member), json={"role": "auditor"}, headers=ANY),
            403, "permission_denied",
        )  # fmt: skip
        assert "scope" in problem["detail"]
        assert key.delete(url(org.member)).status_code == 204
        (event,) = events_of(world.runtime, org, "member.removed")
        assert event.api_key_id is not None

    @pytest.mark.parametrize(
        "body",
        [{}, {"email": "x@example.com"}, {"is_active": False}, {"name": ""}, {"name": "a\nb"},
         {"role": "king"}],
    )  # fmt: skip
    def test_refuses_what_it_does_not_know(self, org: Org, body: Json) -> None:
        refused(org.owner.patch(url(org.member), body, headers=ANY), 400, "request_invalid")


class TestDeleteUser:
    def test_ends_the_membership_and_keeps_what_they_did(self, world: World, org: Org) -> None:
        person = org.developer
        change(person, person, name="Ada")
        issue = person.create_issue(org.owner.create_project(), assignee_id=str(person.id))
        person.create_comment(issue)
        assert org.admin.delete(url(person)).status_code == 204
        refused(person.get("/api/projects"), 401, "token_invalid")
        refused(org.admin.delete(url(person)), 404, "resource_not_found")
        include = {"include": "reporter,assignee"}
        shown = org.member.get(f"/api/issues/{issue['id']}", params=include).json()
        ada = {"id": str(person.id), "username": person.username, "name": "Ada"}
        assert shown["reporter"] == shown["assignee"] == ada
        history = org.member.get(f"/api/issues/{issue['id']}/history").json()["items"]
        assert history[0]["actor"] == ada

    def test_disables_the_account_after_the_last_membership_only(
        self, world: World, org: Org
    ) -> None:
        other = world.create_org()
        person = org.member
        world.join(person.id, other.id, "member")
        session = world.open_session(person.id, other.id)[1]
        there = world.client(Authorization=f"Bearer {session}")
        assert org.admin.delete(url(person)).status_code == 204
        assert there.get(f"{USERS}/me").json()["is_active"] is True
        assert other.owner.delete(url(person)).status_code == 204
        assert self._can_use_account(world, person) is False
        restored = org.admin.post(f"{url(person)}/restore").json()
        assert (restored["is_active"], restored["removed_at"]) == (True, None)
        assert self._can_use_account(world, person) is True
        refused(person.get(f"{USERS}/me"), 401, "token_invalid")
        again = world.client(Authorization=f"Bearer {world.open_session(person.id, org.id)[1]}")
        assert again.get(f"{USERS}/me").json()["role"] == "member"

    def test_who_was_imported_goes_and_comes_back_like_others(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch")
        assert org.admin.delete(url(person)).status_code == 204
        assert read(org.admin, person)["removed_at"] is not None
        assert org.admin.post(f"{url(person)}/restore").json()["removed_at"] is None

    def test_leaving_disables_nothing(self, world: World, org: Org) -> None:
        assert org.owner.role == "owner"
        assert org.admin.delete(f"{USERS}/me").status_code == 204
        assert self._can_use_account(world, org.admin) is True

    def test_what_the_operator_disabled_stays_so(self, world: World, org: Org) -> None:
        person = org.member
        world.deactivate(person)
        assert org.admin.delete(url(person)).status_code == 204
        assert org.admin.post(f"{url(person)}/restore").json()["is_active"] is False
        assert self._can_use_account(world, person) is False

    def test_the_last_owner_and_those_above_cannot_be_deleted(self, org: Org) -> None:
        refused(org.admin.delete(url(org.owner)), 403, "permission_denied")
        refused(org.owner.delete(url(org.owner)), 409, "owner_required")
        refused(org.manager.delete(url(org.member)), 403, "permission_denied")

    def test_a_stale_version_is_refused(self, org: Org) -> None:
        tag = org.owner.get(url(org.member)).headers["ETag"]
        change(org.owner, org.member, role="auditor")
        stale = org.owner.delete(url(org.member), headers={"If-Match": tag})
        refused(stale, 412, "precondition_failed")

    def test_ends_all_sessions_with_the_account_for_good(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        person = employee(world, org, anonymous, world.runtime.settings)
        before = tokens_of(person.login())
        user_id = UUID(get_me(anonymous, before["access_token"]).json()["id"])
        assert org.admin.delete(url(user_id)).status_code == 204
        assert org.admin.post(f"{url(user_id)}/restore").status_code == 200
        refused(get_me(anonymous, before["access_token"]), 401, "token_invalid")
        refused(refresh(anonymous, before["refresh_token"]), 401, "refresh_token_invalid")
        assert person.me()["role"] == "developer"

    def test_leaves_the_sessions_of_somebody_with_another_organisation(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        person = employee(world, org, anonymous, world.runtime.settings)
        tokens = tokens_of(person.login())
        user_id = UUID(get_me(anonymous, tokens["access_token"]).json()["id"])
        other = world.create_org()
        world.join(user_id, other.id, "member")
        assert org.admin.delete(url(user_id)).status_code == 204
        moved = tokens_of(refresh(anonymous, tokens["refresh_token"], org_id=str(other.id)))
        assert get_me(anonymous, moved["access_token"]).json()["role"] == "member"
        assert org.admin.post(f"{url(user_id)}/restore").status_code == 200
        back = tokens_of(refresh(anonymous, moved["refresh_token"], org_id=str(org.id)))
        assert get_me(anonymous, back["access_token"]).json()["role"] == "developer"

    @pytest.mark.usefixtures("worker")
    def test_who_asks_for_the_account_is_told_by_mail_only(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        settings = world.runtime.settings
        person = employee(world, org, anonymous, settings)
        user_id = UUID(person.me()["id"])
        assert org.admin.delete(url(user_id)).status_code == 204
        forgot = {"email": person.email}
        assert anonymous.post("/api/auth/password/forgot", json=forgot).status_code == 202
        assert person.mail()["subject"] == "Your account is disabled"
        person.username = newcomer(anonymous, settings).username
        assert person.register().status_code == 202
        assert person.mail(2)["subject"] == "Your account is disabled"

    def _can_use_account(self, world: World, person: Caller) -> bool:
        _, token = world.open_session(person.id, None)
        me = world.client(Authorization=f"Bearer {token}").get("/api/auth/me")
        return me.status_code == 200


@pytest.mark.usefixtures("worker")
class TestInvitedAgain:
    def test_an_account_that_ended_with_its_membership_works_again(
        self, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        account_id, username = world.create_account()
        world.join(account_id, org.id, "member")
        assert org.owner.delete(url(account_id)).status_code == 204
        email = f"{username}@example.com"
        person = newcomer(anonymous, world.runtime.settings, email=email, username=username)
        assert person.login().status_code == 401
        other = world.create_org()
        invited(other.owner, email, "developer")
        assert accept(person, token_for(person)).status_code == 200
        assert person.me()["org_id"] == str(other.id)


class TestRestoreUser:
    def test_who_is_here_is_no_change(self, org: Org) -> None:
        before = read(org.admin, org.member)
        assert org.admin.post(f"{url(org.member)}/restore").json() == before

    def test_nobody_restores_above_their_role(self, world: World, org: Org) -> None:
        owner = org.caller("owner", "other")
        assert org.owner.delete(url(owner)).status_code == 204
        refused(org.admin.post(f"{url(owner)}/restore"), 403, "permission_denied")
        assert org.owner.post(f"{url(owner)}/restore").status_code == 200
        refused(org.owner.post(f"{USERS}/{uuid4()}/restore"), 404, "resource_not_found")


class TestLinkUser:
    def link(self, caller: Caller, person: UUID, member: Caller | UUID) -> httpx.Response:
        user_id = member if isinstance(member, UUID) else member.id
        return caller.post(f"{url(person)}/link", {"user_id": str(user_id)})

    def test_moves_what_they_did(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch")
        issue = org.owner.create_issue(org.owner.create_project())
        comment = org.owner.create_comment(issue)
        self._belongs_to(world, org, person)
        linked = self.link(org.admin, person, org.developer)
        assert (linked.status_code, linked.json()["id"]) == (200, str(org.developer.id))
        shown = org.member.get(f"/api/issues/{issue['id']}").json()
        member = str(org.developer.id)
        assert (shown["reporter_id"], shown["assignee_id"]) == (member, member)
        assert shown["version"] == issue["version"]
        written = org.member.get(f"/api/comments/{comment['id']}").json()
        assert written["author_id"] == member
        project = org.member.get(f"/api/projects/{issue['project_id']}").json()
        assert project["created_by_id"] == member
        gone = read(org.admin, person)
        assert (gone["linked_to_id"], gone["is_active"]) == (member, False)
        assert gone["username"] == org.developer.username
        (event,) = events_of(world.runtime, org, "user.linked")
        assert event.changes == {"linked_to": [None, member]}

    def test_history_names_the_member(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch")
        issue = org.owner.create_issue(org.owner.create_project())
        resource = events.Resource("issue", UUID(issue["id"]), 2)
        with world.runtime.db.transaction(org_id=org.id) as session:
            by = events.Origin(utc_now(), org.id, person)
            events.append(session, by, "issue.updated", resource, {"title": ("a", "b")})
        path = f"/api/issues/{issue['id']}/history"
        assert org.owner.get(path).json()["items"][1]["actor"]["username"] == "tidewatch"
        self.link(org.owner, person, org.member)
        actor = org.owner.get(path).json()["items"][1]["actor"]
        assert actor["username"] == org.member.username

    def test_an_import_knows_the_member_from_then_on(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch", "member")
        self.link(org.owner, person, org.auditor)
        with world.runtime.db.transaction(org_id=org.id) as session:
            people = People(session, org.id, utc_now(), world.runtime.keyring)
            assert people.assignee("TideWatch") == people.person("tidewatch") == org.auditor.id
            assert people.flush() == set()
        assert read(org.owner, org.auditor)["role"] == "auditor"

    def test_happens_once(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch")
        assert self.link(org.owner, person, org.member).status_code == 200
        refused(self.link(org.owner, person, org.developer), 409, "user_linked")
        refused(org.owner.post(f"{url(person)}/restore"), 409, "user_linked")

    def test_is_of_somebody_without_an_account_to_a_member_with_one(
        self, world: World, org: Org
    ) -> None:
        person, another = (world.import_person(org, name) for name in ("tidewatch", "ebb"))
        left, disabled = org.caller("member", "left"), org.caller("member", "disabled")
        world.remove(org, left)
        world.deactivate(disabled)
        stranger = world.create_org().member
        for target in (another, person, left, disabled, stranger, uuid4()):
            refused(self.link(org.owner, person, target), 422, "link_invalid")
        refused(self.link(org.owner, org.member.id, org.developer), 422, "link_invalid")
        refused(self.link(org.owner, stranger.id, org.developer), 404, "resource_not_found")
        refused(self.link(org.owner, uuid4(), org.developer), 404, "resource_not_found")

    def test_nobody_links_above_their_role(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch", "owner")
        refused(self.link(org.admin, person, org.member), 403, "permission_denied")

    def _belongs_to(self, world: World, org: Org, person: UUID) -> None:
        """Everything of the organisation is theirs."""
        for table, column in (
            ("projects", "created_by_id"),
            ("issues", "reporter_id"),
            ("issues", "assignee_id"),
            ("comments", "author_id"),
        ):
            statement = f"UPDATE {table} SET {column} = :new WHERE org_id = :org"
            with world.runtime.db.transaction(org_id=org.id) as session:
                session.execute(text(statement), {"new": person, "org": org.id})

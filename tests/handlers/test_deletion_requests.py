"""Deletion requests: asking, deciding, taking back (O10). What happens then is in tests/erasure."""

import httpx

from bugtracker.audit.sealing import seal_now
from tests.parallel import Standstill, at_once
from tests.world import Caller, Json, Org, World, made, refused

URL = "/api/deletion-requests"
WHY = {"reason": "We have checked who asked"}


def ask_for(caller: Caller, user: object = "me") -> httpx.Response:
    return caller.post(f"/api/users/{user}/deletion-requests")


def asked_for(caller: Caller, user: object = "me") -> Json:
    return made(ask_for(caller, user))


def act(caller: Caller, request: Json, action: str) -> httpx.Response:
    body = None if action == "cancel" else WHY
    return caller.post(f"{URL}/{request['id']}/{action}", body)


def actions(world: World, org: Org, request: Json) -> list[str]:
    return [event.action for event in world.events(org, request)]


class TestCreateDeletionRequest:
    def test_is_made_by_the_person_and_tells_ids_only(self, world: World, org: Org) -> None:
        person = org.developer
        answer = ask_for(person)
        request = made(answer)
        assert answer.headers["Location"] == f"{URL}/{request['id']}"
        assert (request["state"], request["version"], request["decided_by_id"]) == (
            "pending", 1, None,
        )  # fmt: skip
        assert request["user_id"] == request["requested_by_id"] == str(person.id)
        (event,) = world.events(org, request)
        assert (event.action, event.actor_id) == ("deletion.requested", person.id)
        assert event.changes == {"user_id": [None, str(person.id)]}
        activity = person.get("/api/auth/me/activity").json()["items"]
        assert activity[0]["action"] == "deletion.requested"

    def test_is_made_by_an_admin_for_anybody_not_above(self, world: World, org: Org) -> None:
        imported = world.import_person(org, "keeper-of-tides")
        gone = org.caller("developer", "gone")
        world.remove(org, gone)
        for user in (org.member.id, imported, gone.id):
            assert asked_for(org.admin, user)["requested_by_id"] == str(org.admin.id)
        refused(ask_for(org.admin, org.owner.id), 403, "permission_denied")
        refused(ask_for(org.manager, org.auditor.id), 403, "permission_denied")
        refused(ask_for(org.manager, gone.id), 404, "resource_not_found")
        refused(ask_for(org.admin, world.create_org().member.id), 404, "resource_not_found")

    def test_is_refused_to_a_key_of_the_person(self, world: World, org: Org) -> None:
        key = world.with_key(org.admin.create_api_key("users.read", "users.delete"))
        answer = key.post("/api/users/me/deletion-requests")
        refused(answer, 403, "session_required")
        made(key.post(f"/api/users/{org.member.id}/deletion-requests"))

    def test_is_refused_for_the_last_owner_and_somebody_linked(
        self, world: World, org: Org
    ) -> None:
        refused(ask_for(org.owner), 409, "owner_required")
        imported = world.import_person(org, "linked")
        link = {"user_id": str(org.member.id)}
        assert org.admin.post(f"/api/users/{imported}/link", link).status_code == 200
        refused(ask_for(org.admin, imported), 409, "user_linked")
        made(ask_for(org.caller("owner", "second")))

    def test_of_fifty_at_once_one_is_made(self, org: Org) -> None:
        person = org.member
        answers = at_once(
            [lambda: ask_for(person)] * 25 + [lambda: ask_for(org.admin, person.id)] * 25
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
        again = next(answer for answer in answers if answer.status_code == 409)
        refused(again, 409, "deletion_requested")


class TestListDeletionRequests:
    def test_shows_all_to_those_who_decide_and_their_own_to_others(self, org: Org) -> None:
        first, second = asked_for(org.member), asked_for(org.developer)
        assert act(org.member, first, "cancel").status_code == 200

        def listed(caller: Caller, query: str = "") -> list[str]:
            return [item["id"] for item in caller.get(f"{URL}{query}").json()["items"]]

        assert listed(org.owner) == [second["id"], first["id"]]
        assert listed(org.owner, "?state=cancelled") == [first["id"]]
        assert listed(org.developer) == [second["id"]]
        assert listed(org.auditor) == []


class TestGetDeletionRequest:
    def test_is_for_the_person_and_those_who_decide(self, world: World, org: Org) -> None:
        request = asked_for(org.member)
        path = f"{URL}/{request['id']}"
        for caller in (org.member, org.admin):
            answer = caller.get(path)
            assert answer.json() == request
            known = {"If-None-Match": answer.headers["ETag"]}
            assert caller.get(path, headers=known).status_code == 304
        refused(org.manager.get(path), 403, "permission_denied")
        refused(world.create_org().owner.get(path), 404, "resource_not_found")


class TestApproveDeletionRequest:
    def test_ends_the_membership_with_the_next_request(self, world: World, org: Org) -> None:
        person = org.developer
        request = asked_for(person)
        approved = act(org.admin, request, "approve").json()
        assert (approved["state"], approved["reason"]) == ("approved", WHY["reason"])
        assert approved["decided_by_id"] == str(org.admin.id)
        refused(person.get("/api/projects"), 401, "token_invalid")
        assert actions(world, org, request)[:2] == ["deletion.requested", "deletion.approved"]
        refused(act(org.owner, request, "approve"), 409, "deletion_decided")
        # At work, or done by now.
        assert ask_for(org.owner, person.id).status_code == 409

    def test_is_not_for_oneself_nor_for_somebody_above(self, org: Org) -> None:
        request = asked_for(org.admin)
        refused(act(org.admin, request, "approve"), 403, "permission_denied")
        refused(act(org.admin, request, "refuse"), 403, "permission_denied")
        second = org.caller("owner", "second")
        above = asked_for(org.owner)
        refused(act(org.admin, above, "approve"), 403, "permission_denied")
        assert act(second, above, "approve").status_code == 200

    def test_takes_a_second_person_where_there_is_one(self, org: Org) -> None:
        alone = asked_for(org.owner, org.member.id)
        assert act(org.owner, alone, "approve").status_code == 200
        request = asked_for(org.owner, org.developer.id)
        of_owner = asked_for(org.owner, org.caller("owner", "second").id)
        assert act(org.admin, request, "refuse").status_code == 200
        request = asked_for(org.admin, org.developer.id)
        refused(act(org.admin, request, "approve"), 403, "permission_denied")
        # The admin could not: they are below.
        assert act(org.owner, of_owner, "approve").status_code == 200

    def test_leaves_an_owner(self, world: World, org: Org) -> None:
        first, second = org.owner, org.caller("owner", "second")
        request = asked_for(first)
        world.set_role(org, second, "admin")
        other = asked_for(second)
        refused(act(second, request, "approve"), 403, "permission_denied")
        world.set_role(org, second, "owner")
        answers = at_once(
            [lambda: act(first, other, "approve"), lambda: act(second, request, "approve")]
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 409])

    def test_leaves_an_owner_who_can_log_in(
        self, world: World, org: Org, still: Standstill
    ) -> None:
        second, first = (org.caller("owner", name) for name in ("second", "first"))
        request = asked_for(first)
        still.execute("SELECT FROM organisations WHERE id = :id FOR UPDATE", id=org.id)
        approval = still.send(lambda: act(second, request, "approve"))
        world.deactivate(second)
        still.release()
        refused(approval.result(), 409, "owner_required")

    def test_is_decided_once_by_fifty_at_once(self, world: World, org: Org) -> None:
        request = asked_for(org.member)
        calls = [lambda: act(org.admin, request, "approve")] * 20
        calls += [lambda: act(org.owner, request, "refuse")] * 20
        calls += [lambda: act(org.member, request, "cancel")] * 10
        answers = at_once(calls)
        codes = sorted(answer.status_code for answer in answers)
        assert codes.count(200) == 1
        # Whom it is about may be no member any more.
        assert set(codes) <= {200, 401, 409}
        assert len(set(actions(world, org, request)) - {"deletion.done"}) == 2


class TestRefuseDeletionRequest:
    def test_changes_nothing_else(self, world: World, org: Org) -> None:
        request = asked_for(org.member)
        refused(org.admin.post(f"{URL}/{request['id']}/refuse", {}), 400, "request_invalid")
        answer = act(org.admin, request, "refuse").json()
        assert (answer["state"], answer["reason"], answer["version"]) == (
            "refused",
            WHY["reason"],
            2,
        )
        assert org.member.get("/api/projects").status_code == 200
        assert actions(world, org, request) == ["deletion.requested", "deletion.refused"]
        refused(act(org.admin, request, "refuse"), 409, "deletion_decided")
        made(ask_for(org.member))


class TestCancelDeletionRequest:
    def test_is_for_whoever_asked_and_whom_it_is_about(self, world: World, org: Org) -> None:
        for caller in (org.member, org.admin):
            request = asked_for(org.admin, org.member.id)
            refused(act(org.owner, request, "cancel"), 403, "permission_denied")
            assert act(caller, request, "cancel").json()["state"] == "cancelled"
            refused(act(caller, request, "cancel"), 409, "deletion_decided")
        assert actions(world, org, request) == ["deletion.requested", "deletion.cancelled"]
        key = world.with_key(org.admin.create_api_key("users.read"))
        request = asked_for(org.admin, org.member.id)
        refused(key.post(f"{URL}/{request['id']}/cancel"), 403, "session_required")


def test_events_of_requests_have_nothing_personal(world: World, org: Org) -> None:
    request = asked_for(org.member)
    act(org.admin, request, "approve")
    seal_now(world.runtime, org.id)
    for event in world.events(org, request):
        assert set(event.changes) <= {"user_id", "state"}

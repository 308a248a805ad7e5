"""Deleting one's own account (O10): at once for its owner, and then from everywhere."""

import httpx

from bugtracker.audit.sealing import seal_now
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import employee
from tests.erasure.people import Somebody, Traces, mails_to, verified
from tests.jobs.running import eventually
from tests.parallel import at_once
from tests.registering import text_of
from tests.world import PASSWORD, Caller, Org, World, refused

URL = "/api/auth/me/deletion"


def delete(caller: Caller, **fields: str) -> httpx.Response:
    return caller.post(URL, {"password": PASSWORD, **fields})


def is_gone(world: World, person: Caller) -> bool:
    with world.runtime.db.transaction() as session:
        return session.get(Account, person.id) is None


class TestDeleteAccount:
    def test_leaves_nothing_in_any_organisation_present_or_past(
        self, world: World, somebody: Somebody, traces: Traces, worker: WorkerThread
    ) -> None:
        """No name, username or address of the person is in any row of the database; the records
        of all organisations hold."""
        person, orgs = somebody.caller, [somebody.org, somebody.other]
        world.remove(somebody.other, person)
        pending = person.post("/api/users/me/deletion-requests").json()
        started = delete(person)
        assert (started.status_code, started.json()["status"]) == (202, "deletion_started")
        refused(person.get("/api/auth/me"), 401, "token_invalid")
        eventually(lambda: is_gone(world, person), 30)
        assert traces.anywhere(somebody) == []
        mails = [text_of(mail) for mail in mails_to(world.runtime, person)]
        assert len([mail for mail in mails if "was deleted, as you asked" in mail]) == 1
        for org in orgs:
            seal_now(world.runtime, org.id)
            assert verified(world.runtime, org)
            (request,) = org.owner.get("/api/deletion-requests").json()["items"]
            assert (request["state"], request["decided_by_id"]) == ("done", str(person.id))
        assert org.owner.get(f"/api/deletion-requests/{request['id']}").json() == request
        assert pending["id"] != request["id"]
        login = {"email": person.email, "password": PASSWORD}
        refused(world.client().post("/api/auth/login", json=login), 401, "credentials_invalid")
        again = {**login, "username": person.username}
        assert world.client().post("/api/auth/register", json=again).status_code == 202

    def test_goes_without_any_organisation(self, world: World, worker: WorkerThread) -> None:
        loner = world.create_loner()
        assert delete(loner).status_code == 202
        eventually(lambda: is_gone(world, loner))

    def test_needs_the_password_and_the_second_factor(
        self, world: World, org: Org, anonymous: httpx.Client, settings: Settings
    ) -> None:
        app = Authenticator(world.runtime, employee(world, org, anonymous, settings))
        app.switched_on()
        headers = {"Authorization": f"Bearer {app.access}"}

        def answer(**proof: str) -> httpx.Response:
            return anonymous.post(URL, json=proof, headers=headers)

        password = app.person.password
        code = app.fresh_code
        refused(answer(password="Another-1843", code=code), 422, "current_password_wrong")
        refused(answer(password=password), 422, "two_factor_code_wrong")
        refused(answer(password=password, code=app.wrong_code), 422, "two_factor_code_wrong")
        assert answer(password=password, code=app.fresh_code).status_code == 202

    def test_is_refused_to_a_key(self, world: World, org: Org) -> None:
        key = world.with_key(org.admin.create_api_key())
        refused(key.post(URL, json={"password": PASSWORD}), 403, "session_required")

    def test_names_the_organisations_that_would_be_without_an_owner(
        self, world: World, org: Org
    ) -> None:
        person, others = org.owner, [world.create_org() for _ in range(3)]
        for other, role in zip(others, ("owner", "admin", "owner"), strict=True):
            world.join(person.id, other.id, role)  # type: ignore[arg-type]
        assert others[2].owner.get("/api/auth/me").status_code == 200
        left = world.create_org()
        world.join(person.id, left.id, "owner")
        world.remove(left, person)
        problem = refused(delete(person), 409, "owner_required")
        told = " ".join(violation["detail"] for violation in problem["errors"])
        assert [o.slug in told for o in (org, *others, left)] == [True, True, False, False, False]
        assert person.get("/api/projects").status_code == 200

    def test_of_twenty_at_once_one_is_done(self, org: Org) -> None:
        person = org.member
        answers = at_once([lambda: delete(person)] * 20)
        codes = [answer.status_code for answer in answers]
        assert codes.count(202) == 1
        # The session is over; or the attempts at the password were.
        assert set(codes) <= {202, 401, 422}

    def test_two_owners_at_once_leave_one(self, org: Org) -> None:
        owners = org.owner, org.caller("owner", "second")
        answers = at_once([lambda o=o: delete(o) for o in owners])  # type: ignore[misc]
        assert sorted(answer.status_code for answer in answers) == [202, 409]

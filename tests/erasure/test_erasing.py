"""After an approved deletion nothing in the organisation tells who it was, and all else is as it
was (O10): rows, events and their seals, other organisations, the account."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from uuid import uuid4

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from bugtracker.audit.sealing import seal_now
from bugtracker.clock import utc_now
from bugtracker.erasure import record
from bugtracker.erasure.jobs import OVERDUE, resume
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, DeletionRequest
from bugtracker.runtime import Runtime
from tests.erasure.people import Somebody, Traces, approved, mails_to, run, verified
from tests.handlers.test_deletion_requests import URL, act, asked_for
from tests.importing.archive import issue
from tests.importing.conftest import Target
from tests.inviting import invite
from tests.jobs.running import eventually
from tests.proofs.searching import found, tables_of
from tests.registering import text_of
from tests.world import Caller, Json, Org, World, made, refused


class TestErasedPerson:
    def test_is_in_no_row_of_the_organisation_and_stays_in_the_other(
        self, world: World, runtime: Runtime, somebody: Somebody, traces: Traces
    ) -> None:
        """No name, username, address or browser of the person is in any row of any table that
        belongs to the organisation; the other one's rows are the same, byte by byte."""
        org, other = somebody.org, somebody.other
        for each in (org, other):
            seal_now(runtime, each.id)
        # The search sees what is there.
        assert {hit.split(" in ")[1] for hit in traces.of(somebody, org)} >= {
            "public.events", "public.members", "public.invitations", "public.api_keys",
        }  # fmt: skip
        elsewhere = traces.of(somebody, other)
        assert elsewhere
        assert verified(runtime, org)

        request = approved(world, somebody)
        run(runtime, org, request)

        assert traces.of(somebody, org) == []
        assert traces.of(somebody, other) == elsewhere
        seal_now(runtime, org.id)
        assert verified(runtime, org)
        assert verified(runtime, other)
        shown = org.owner.get(f"{URL}/{request['id']}").json()
        assert (shown["state"], shown["reason"], shown["version"]) == ("done", None, 2)
        assert shown["events_checked"] > 10

    def test_is_a_deleted_user_wherever_something_names_them(
        self, world: World, runtime: Runtime, somebody: Somebody
    ) -> None:
        org, issue = somebody.org, somebody.issue
        run(runtime, org, approved(world, somebody))
        path = f"/api/issues/{issue['id']}"
        nobody = {
            "id": str(somebody.caller.id), "username": somebody.placeholder, "name": "Deleted user",
        }  # fmt: skip
        shown = org.owner.get(f"{path}?include=reporter,assignee").json()
        assert shown["reporter"] == shown["assignee"] == nobody
        listed = org.owner.get(f"/api/issues?reporter={somebody.caller.id}&include=reporter").json()
        assert listed["items"][0]["reporter"] == nobody
        comment = org.owner.get(f"{path}/comments").json()["items"][0]
        assert (comment["author_id"], comment["content"]) == (nobody["id"], "I have seen it.")
        user = org.owner.get(f"/api/users/{nobody['id']}").json()
        assert (user["email"], user["imported_from"], user["login_count"]) == (None, "erased", 0)
        assert org.owner.get(f"/api/users/{somebody.imported}").json()["name"] == "Deleted user"
        for listing in (f"{path}/history", "/api/audit?limit=100"):
            told = org.owner.get(listing).text
            assert not found(somebody.names, {listing: told})
        assert somebody.placeholder in org.owner.get(f"{path}/history").text

    def test_stays_what_others_wrote_about_them(
        self, world: World, runtime: Runtime, somebody: Somebody
    ) -> None:
        org, name = somebody.org, somebody.names["name"]
        org.owner.create_comment(somebody.issue, f"Ask {name}.")
        run(runtime, org, approved(world, somebody))
        comments = org.owner.get(f"/api/issues/{somebody.issue['id']}/comments").text
        assert f"Ask {name}." in comments

    def test_cannot_be_restored_or_linked_but_invited_again(
        self, world: World, runtime: Runtime, somebody: Somebody, worker: WorkerThread
    ) -> None:
        org, person = somebody.org, somebody.caller
        run(runtime, org, approved(world, somebody))
        path = f"/api/users/{person.id}"
        refused(org.owner.post(f"{path}/restore"), 409, "user_erased")
        link = {"user_id": str(org.developer.id)}
        refused(org.owner.post(f"{path}/link", link), 409, "user_erased")
        refused(org.owner.post(f"{path}/deletion-requests"), 409, "user_erased")
        made(invite(org.owner, person.email, "member"))
        eventually(lambda: accepts(world, person))
        back = org.owner.get(path).json()
        assert (back["username"], back["role"], back["imported_from"]) == (
            person.username, "member", None,
        )  # fmt: skip
        assert org.owner.get(f"/api/users/{somebody.imported}").json()["name"] == "Deleted user"


def accepts(world: World, person: Caller) -> bool:
    """Whether the link of the last invitation that was mailed is good."""
    mailed = [text_of(mail) for mail in mails_to(world.runtime, person)]
    tokens = re.findall(r"accept-invitation&token=(\S+)", "\n".join(mailed))
    body = {"token": tokens[-1] if tokens else "none"}
    return world.client().post("/api/invitations/accept", json=body).status_code == 200


@contextmanager
def dying(runtime: Runtime, admin: Engine, commits: int) -> Iterator[None]:
    """The database connection of this thread dies at its next commit after so many."""
    done, thread = 0, get_ident()

    def die(connection: Connection) -> None:
        nonlocal done
        if get_ident() != thread:
            return
        done += 1
        driver = connection.connection.driver_connection
        if done > commits and driver is not None:
            with admin.connect() as killer:
                kill = text("SELECT pg_terminate_backend(:pid, 5000)")
                killer.execute(kill, {"pid": driver.info.backend_pid})

    event.listen(runtime.db.engine, "commit", die)
    try:
        with suppress(DBAPIError):
            yield
    finally:
        event.remove(runtime.db.engine, "commit", die)


class TestErasing:
    def test_goes_on_where_it_was_killed(
        self,
        world: World,
        runtime: Runtime,
        somebody: Somebody,
        traces: Traces,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Killed at its first commit, then at its second, and so on, it gets to the same end."""
        admin = create_engine(traces.admin_url, poolclass=NullPool)
        monkeypatch.setattr(record, "BATCH", 7)
        org, request = somebody.org, approved(world, somebody)
        state, deaths = "approved", 0
        while state == "approved":
            with dying(runtime, admin, commits=deaths):
                run(runtime, org, request)
            state = org.owner.get(f"{URL}/{request['id']}").json()["state"]
            deaths += 1
        assert deaths > 5
        run(runtime, org, request)
        assert traces.of(somebody, org) == []
        actions = [event.action for event in world.events(org, request)]
        assert actions == ["deletion.requested", "deletion.done"]
        seal_now(runtime, org.id)
        assert verified(runtime, org)

    def test_that_failed_for_good_is_begun_again(
        self, world: World, runtime: Runtime, somebody: Somebody, worker: WorkerThread
    ) -> None:
        request = approved(world, somebody)
        assert resume(runtime) == 0
        earlier = utc_now() - OVERDUE
        with runtime.db.transaction(org_id=somebody.org.id) as session:
            session.execute(update(DeletionRequest).values(decided_at=earlier))
        assert resume(runtime) == 1
        eventually(lambda: _is_done(somebody.org, request))

    def test_several_at_once_come_to_one_end(
        self, world: World, runtime: Runtime, somebody: Somebody, traces: Traces
    ) -> None:
        org, request = somebody.org, approved(world, somebody)
        with ThreadPoolExecutor(5) as pool:
            for ended in [pool.submit(run, runtime, org, request) for _ in range(5)]:
                ended.result()
        assert traces.of(somebody, org) == []
        assert len(world.events(org, request)) == 2


class TestImport:
    def test_brings_nobody_back_who_was_erased(
        self, world: World, org: Org, traces: Traces, tmp_path: Path
    ) -> None:
        """The archive still has the login; what is new in it belongs to the same deleted user."""
        login = f"zuleika-{uuid4().hex[:8]}"
        target, asking = Target(org, tmp_path), org.owner
        target.take_issues(issue(1, author=login))
        (person,) = [row["user_id"] for row in target.people()]
        request = asked_for(asking, person)
        assert act(asking, request, "approve").status_code == 200
        run(world.runtime, org, request)
        target.take_issues(issue(1, author=login), issue(2, author=login.title()))
        assert [row["reporter_id"] for row in target.issues()] == [person, person]
        assert [row["imported_name"] for row in target.people()] == ["Deleted user"]
        assert found({"login": login}, tables_of(traces.admin_url)) == []


class TestAccount:
    def test_goes_with_the_last_organisation_and_a_mail_before(
        self,
        world: World,
        runtime: Runtime,
        somebody: Somebody,
        traces: Traces,
        worker: WorkerThread,
    ) -> None:
        """Erased by both of its organisations, through the API and the worker, the person is in no
        row of the whole database; the audit records of both hold."""
        person = somebody.caller
        with runtime.db.transaction() as session:
            assert session.scalar(select(func.erase_account(person.id))) is False
        for number, org in enumerate((somebody.org, somebody.other), 1):
            request = asked_for(org.owner, person.id)
            assert act(org.owner, request, "approve").status_code == 200
            eventually(lambda o=org, r=request: _is_done(o, r), 30)
            mails = [text_of(mail) for mail in mails_to(runtime, person)]
            assert len([mail for mail in mails if "checked who asked" in mail]) == number
            assert traces.of(somebody, org) == []
            seal_now(runtime, org.id)
            assert verified(runtime, org)
            assert bool(traces.anywhere(somebody)) is (number == 1)
        with runtime.db.transaction() as session:
            assert session.get(Account, person.id) is None
        refused(person.get("/api/auth/me"), 401, "token_invalid")

    def test_goes_with_the_last_of_two_organisations_at_once(
        self, world: World, runtime: Runtime, somebody: Somebody
    ) -> None:
        """Each would leave it to the other one, did they not wait for the account."""
        requests = approved(world, somebody), approved(world, somebody, somebody.other)
        closed = update(Account).where(Account.id == somebody.caller.id)
        with runtime.db.transaction() as session:
            session.execute(closed.values(is_active=False, deactivated_by_removal=True))
        with ThreadPoolExecutor(2) as pool:
            places = zip((somebody.org, somebody.other), requests, strict=True)
            for ended in [pool.submit(run, runtime, *place) for place in places]:
                ended.result()
        with runtime.db.transaction() as session:
            assert session.get(Account, somebody.caller.id) is None


def _is_done(org: Org, request: Json) -> bool:
    return bool(org.owner.get(f"{URL}/{request['id']}").json()["state"] == "done")

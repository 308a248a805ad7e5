"""After an approved deletion nothing in the organisation tells who it was, and all else is as it
was (O10): rows, events and their seals, other organisations, the account."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from threading import get_ident
from uuid import UUID, uuid4

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
from bugtracker.audit.verifying import verify
from bugtracker.clock import utc_now
from bugtracker.embedded import Cluster
from bugtracker.erasure import record
from bugtracker.erasure.jobs import run_deletion
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, DeletionRequest
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import new_token, token_hash
from bugtracker.services.events import Origin, Resource, append
from tests.handlers.test_deletion_requests import URL, act, asked_for
from tests.inviting import invite
from tests.jobs.running import eventually
from tests.proofs.searching import found, tables_of
from tests.proofs.visitor import mails_in
from tests.registering import text_of
from tests.world import Caller, Json, Org, World, made, refused

NAME = "Zuleika Dobson-{}"


@dataclass
class Somebody:
    """A developer with a name, who did everything that leaves a trace, here and elsewhere."""

    org: Org
    other: Org
    caller: Caller
    issue: Json
    imported: UUID
    names: dict[str, str] = field(default_factory=dict)

    @property
    def placeholder(self) -> str:
        return f"deleted-{self.caller.id.hex}"


def note_login(world: World, org: Org, person: Caller) -> None:
    """A login as an event has it, with where from."""
    by = Origin(utc_now(), org.id, person.id, person.id)
    values = {"ip": (None, "203.0.113.77"), "user_agent": (None, "Zuleikas browser")}
    with world.runtime.db.transaction(org_id=org.id, account_id=person.id) as session:
        append(session, by, "login.succeeded", Resource("session", person.session_id), values)


@pytest.fixture
def somebody(world: World, org: Org) -> Somebody:
    """The person; linked to an imported one, invited before, with an API key; a member of another
    organisation, too."""
    person = org.caller("admin", "zuleika")
    name, login = NAME.format(uuid4().hex[:8]), f"zuleika-{uuid4().hex[:8]}"
    changed = person.patch("/api/users/me", {"name": name}, headers={"If-Match": "*"})
    assert changed.status_code == 200
    imported = world.import_person(org, login)
    link = {"user_id": str(person.id)}
    assert org.owner.post(f"/api/users/{imported}/link", link).status_code == 200
    # As an earlier invitation that somebody sent and took back.
    world.remove(org, person)
    invitation = made(invite(org.owner, person.email))
    assert org.owner.delete(f"/api/invitations/{invitation['id']}").status_code == 204
    assert org.owner.post(f"/api/users/{person.id}/restore").status_code == 200
    key = person.create_api_key("issues.read", name=f"Key of {name}")
    assert world.with_key(key).get("/api/issues").status_code == 200
    issue = person.create_issue(person.create_project(), assignee_id=str(person.id))
    person.create_comment(issue, "I have seen it.")
    person.post("/api/projects", {"name": "Tides"}, headers={"Idempotency-Key": uuid4().hex})
    note_login(world, org, person)
    other = world.create_org()
    world.join(person.id, other.id, "member")
    note_login(world, other, person)
    names = {"name": name, "username": person.username, "address": person.email, "login": login}
    return Somebody(org, other, person, issue, imported, names)


def approved(world: World, person: Somebody) -> Json:
    """A request that was approved behind the API's back: no worker takes it from the test."""
    request = asked_for(person.caller)
    approve = (
        update(DeletionRequest)
        .where(DeletionRequest.id == UUID(request["id"]))
        .values(state="approved", decided_at=utc_now(), reason=f"As {person.names['name']} wants")
    )
    with world.runtime.db.transaction(org_id=person.org.id) as session:
        session.execute(approve)
    return request


def verified(runtime: Runtime, org: Org) -> bool:
    with runtime.db.transaction(org_id=org.id) as session:
        report = verify(session, runtime.keyring, org.id)
    assert report.sealed_to > 0
    return report.ok


def run(runtime: Runtime, org: Org, request: Json) -> None:
    run_deletion(runtime, str(org.id), request["id"])


class Traces:
    """The rows of an organisation as text, and those of the person's account."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        self.admin_url = cluster.admin_url(database)

    def of(self, person: Somebody, org: Org) -> list[str]:
        """Where in an organisation's rows the person is named."""
        rows = {
            table: "\n".join(line for line in lines.split("\n") if str(org.id) in line)
            for table, lines in tables_of(self.admin_url).items()
        }
        secrets = {**person.names, "address from": "203.0.113.77", "browser": "Zuleikas browser"}
        return found(secrets, rows)

    def anywhere(self, person: Somebody) -> list[str]:
        return found(person.names, tables_of(self.admin_url))


@pytest.fixture
def traces(cluster: Cluster, database: str) -> Traces:
    return Traces(cluster, database)


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
        assert (shown["state"], shown["reason"], shown["version"]) == ("done", None, 3)
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
        self, world: World, runtime: Runtime, somebody: Somebody
    ) -> None:
        org, person = somebody.org, somebody.caller
        run(runtime, org, approved(world, somebody))
        path = f"/api/users/{person.id}"
        refused(org.owner.post(f"{path}/restore"), 409, "user_erased")
        link = {"user_id": str(org.developer.id)}
        refused(org.owner.post(f"{path}/link", link), 409, "user_erased")
        refused(org.owner.post(f"{path}/deletion-requests"), 409, "user_erased")
        made(invite(org.owner, person.email, "member"))
        accept_behind_the_back(world, org, person.email)
        back = org.owner.get(path).json()
        assert (back["username"], back["role"], back["imported_from"]) == (
            person.username, "member", None,
        )  # fmt: skip
        assert org.owner.get(f"/api/users/{somebody.imported}").json()["name"] == "Deleted user"


def accept_behind_the_back(world: World, org: Org, email: str) -> None:
    """Gives the open invitation a token that the test knows, and uses it."""
    token = new_token()
    statement = text(
        "UPDATE invitations SET token_hash = :hash WHERE email = :email AND revoked_at IS NULL"
    )
    with world.runtime.db.transaction(org_id=org.id) as session:
        session.execute(statement, {"hash": token_hash(token), "email": email})
    answer = world.client().post("/api/invitations/accept", json={"token": token})
    assert answer.status_code == 200, answer.text


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

    def test_several_at_once_come_to_one_end(
        self, world: World, runtime: Runtime, somebody: Somebody, traces: Traces
    ) -> None:
        org, request = somebody.org, approved(world, somebody)
        with ThreadPoolExecutor(5) as pool:
            for ended in [pool.submit(run, runtime, org, request) for _ in range(5)]:
                ended.result()
        assert traces.of(somebody, org) == []
        assert len(world.events(org, request)) == 2


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


def mails_to(runtime: Runtime, person: Caller) -> list[EmailMessage]:
    return [mail for mail in mails_in(runtime.settings.mail_dir) if mail["To"] == person.email]


def _is_done(org: Org, request: Json) -> bool:
    return bool(org.owner.get(f"{URL}/{request['id']}").json()["state"] == "done")

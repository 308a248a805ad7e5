"""Somebody who did everything that leaves a trace, and the search for it."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from uuid import UUID

from sqlalchemy import update

from bugtracker.audit.verifying import verify
from bugtracker.clock import utc_now
from bugtracker.embedded import Cluster
from bugtracker.erasure.jobs import run_deletion
from bugtracker.models import DeletionRequest
from bugtracker.runtime import Runtime
from bugtracker.services.events import Origin, Resource, append
from tests.handlers.test_deletion_requests import asked_for
from tests.proofs.searching import found, tables_of
from tests.proofs.visitor import mails_in
from tests.world import Caller, Json, Org, World

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


def approved(world: World, person: Somebody, org: Org | None = None) -> Json:
    """A request that was approved behind the API's back: no worker takes it from the test."""
    org = org or person.org
    request = asked_for(org.owner, person.caller.id)
    approve = (
        update(DeletionRequest)
        .where(DeletionRequest.id == UUID(request["id"]))
        .values(state="approved", decided_at=utc_now(), reason=f"As {person.names['name']} wants")
    )
    with world.runtime.db.transaction(org_id=org.id) as session:
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


def mails_to(runtime: Runtime, person: Caller) -> list[EmailMessage]:
    return [mail for mail in mails_in(runtime.settings.mail_dir) if mail["To"] == person.email]

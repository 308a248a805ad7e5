"""A small organisation to try everything with: one login per role, three projects."""

from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.db import Database, lift_timeouts
from bugtracker.importing.archives import Progress
from bugtracker.models.organisation import ROLES, Role
from bugtracker.security.passwords import Hasher
from bugtracker.seeding import words
from bugtracker.seeding.drafts import AGE, Drafting
from bugtracker.seeding.organisations import (
    Login,
    Person,
    Seeded,
    create_organisation,
    find_organisation,
    organisation_of,
)
from bugtracker.seeding.tracker import ProjectWriter, create_project

SLUG = "demo"
NAME = "Demo"
_PEOPLE: dict[Role, str] = {
    "owner": "Olivia Sato",
    "admin": "Amara Okafor",
    "manager": "Marek Novak",
    "developer": "Deepa Iyer",
    "member": "Mina Larsen",
    "auditor": "Anders Dahl",
}
_TITLES = (
    (
        "Loans vanish at spring tide",
        "Returning a book twice makes the shelf count negative",
        "Search does not find titles with an apostrophe",
        "Reminder mail is sent to readers who returned everything",
        "Late fees ignore the public holidays",
        "Catalogue import stops at the first broken record",
        "Reading room calendar is off by one hour in summer",
        "Reservation of a lost book is accepted",
        "Printing a label cuts off long signatures",
        "Deleting a reader keeps their saved searches",
        "Catalogue page takes eight seconds for large series",
        "Password reset mail ends in the spam folder",
        "Cover pictures are loaded in full size",
        "Opening hours are not translated",
    ),
    (
        "Invoice total differs from the sum of its lines by one cent",
        "Payment callback is processed twice",
        "Reminder is sent although the payment came yesterday",
        "Credit notes are missing from the monthly report",
        "VAT rate of the old year is used in January",
        "Export to the tax office fails with umlauts",
        "Customer can see the invoices of their predecessor",
        "Direct debit file is rejected by the bank",
        "Currency of the preview does not match the invoice",
        "Closing the month locks the table for minutes",
        "Discount can be entered as a negative number",
        "Attachments over 5 MB are dropped silently",
        "Add the order number to the subject of the mail",
    ),
    (
        "Alerts repeat every minute during maintenance",
        "Graph of the last hour is empty after a restart",
        "On-call rota skips the person after a holiday",
        "Escalation calls the same number three times",
        "Dashboards forget the chosen time range",
        "Disk forecast divides by zero on a new host",
        "Muting an alert needs admin rights",
        "Text messages arrive in the wrong order",
        "Agent uses 2 GB of memory on hosts with many containers",
        "Certificate expiry is checked only once a week",
        "Status page shows green while the login is down",
        "Alert rules cannot be copied between teams",
        "Document how to add a new host",
    ),
)


def seed_demo(db: Database, hasher: Hasher, *, password: str, progress: Progress) -> Seeded:
    """Makes the demo organisation unless there is one: six people, three projects, forty issues.

    It is there under whatever slug, as long as one of its people is in it. ``progress`` counts
    issues and comments. Raises UsernameTaken, or ValueError for an address, when somebody outside
    any organisation has it.
    """
    now = utc_now()
    founded = now - timedelta(days=AGE)
    logins = demo_logins()
    with db.transaction() as session:
        lift_timeouts(session)
        if found := _present(session, logins):
            return Seeded(*found, created=False, logins=logins)
        hashed = hasher.hash(password)
        org_id, people = create_organisation(session, SLUG, NAME, logins, hashed, founded)
        writers = _write_projects(session, org_id, people, progress, now, founded)
    return Seeded(
        org_id,
        SLUG,
        created=True,
        logins=logins,
        issues=sum(writer.issues for writer in writers),
        comments=sum(writer.comments for writer in writers),
    )


def _present(session: Session, logins: tuple[Login, ...]) -> tuple[UUID, str] | None:
    org_id = find_organisation(session, SLUG)
    return (org_id, SLUG) if org_id else organisation_of(session, logins)


def demo_logins() -> tuple[Login, ...]:
    """One person per role; the local part of the address is the role."""
    return tuple(
        Login(f"demo-{role}", _PEOPLE[role], f"{role}@demo.example", role) for role in ROLES
    )


def _write_projects(
    session: Session,
    org_id: UUID,
    people: tuple[Person, ...],
    progress: Progress,
    now: datetime,
    founded: datetime,
) -> list[ProjectWriter]:
    writers = []
    manager = next(person for person in people if person.role == "manager")
    for seed, (titles, (name, description)) in enumerate(
        zip(_TITLES, words.PROJECTS, strict=False)
    ):
        project_id = create_project(session, org_id, name, description, manager, founded)
        writer = ProjectWriter(session, org_id, project_id, progress, name)
        # Each project begins elsewhere, so that together they show every state and priority.
        drafting = Drafting(Random(seed), people, now, offset=7 * seed)  # noqa: S311 - no secret
        writer.write(drafting.issues(titles))
        writers.append(writer)
    return writers

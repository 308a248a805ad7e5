"""What an organisation's events hold about a person. They are sealed first, so that the record can
still be verified: only the values go, and the salts of what stands for them."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from bugtracker.audit.sealing import seal_now
from bugtracker.db import lift_timeouts
from bugtracker.erasure.rows import Person
from bugtracker.models import ApiKey, DeletionRequest, EventSeal, Member
from bugtracker.runtime import Runtime

BATCH = 20_000
"""Events looked at in one transaction."""

# By whom an event is about, or by the address in it, whatever it is about: an invitation's, say.
FIND = text("""
    SELECT e.id FROM event_commitments c
    JOIN events e ON e.org_id = c.org_id AND e.number = c.number
    WHERE c.org_id = :org_id AND c.number > :after AND c.number <= :to AND c.salt IS NOT NULL
      AND (e.account_id = :user_id OR e.resource_id = ANY (:things)
           OR EXISTS (SELECT FROM unnest(c.fields) field
                      WHERE lower(:email) IN (lower(e.changes -> field ->> 0),
                                              lower(e.changes -> field ->> 1))))
""")
ANONYMISE = text(
    "SELECT count(*) FILTER (WHERE anonymise_event(id)) FROM unnest(CAST(:ids AS uuid[])) id"
)

log = structlog.get_logger()


def erase_record(runtime: Runtime, person: Person, request_id: UUID) -> None:
    """Anonymises every event about the person up to now, from where it was left."""
    things = _things(runtime, person)
    while True:
        seal_now(runtime, person.org_id)
        if not _sweep(runtime, person, request_id, things):
            return


def _things(runtime: Runtime, person: Person) -> list[UUID]:
    """What only they were or made: themselves, those who turned out to be them, their keys."""
    linked = select(Member.user_id).where(
        Member.org_id == person.org_id, Member.linked_to == person.user_id
    )
    keys = select(ApiKey.id).where(
        ApiKey.org_id == person.org_id, ApiKey.created_by_id == person.user_id
    )
    with runtime.db.transaction(org_id=person.org_id) as session:
        return [person.user_id, *session.scalars(linked), *session.scalars(keys)]


def _sweep(runtime: Runtime, person: Person, request_id: UUID, things: Sequence[UUID]) -> bool:
    """One batch; False when there was nothing left to look at."""
    with runtime.db.transaction(org_id=person.org_id) as session:
        # All of a batch may be about one busy person, on a slow machine.
        lift_timeouts(session)
        after, sealed_to = _progress(session, person.org_id, request_id)
        to = min(after + BATCH, sealed_to)
        if to <= after:
            return False
        found = session.scalars(
            FIND,
            {
                "org_id": person.org_id,
                "after": after,
                "to": to,
                "user_id": person.user_id,
                "things": list(things),
                "email": person.email,
            },
        ).all()
        erased = session.scalar(ANONYMISE, {"ids": list(found)})
        session.execute(
            update(DeletionRequest)
            .where(DeletionRequest.org_id == person.org_id, DeletionRequest.id == request_id)
            .values(events_checked=func.greatest(DeletionRequest.events_checked, to))
        )
    log.info("events_anonymised", request=str(request_id), checked_to=to, erased=erased)
    return True


def _progress(session: Session, org_id: UUID, request_id: UUID) -> tuple[int, int]:
    """The last event that was looked at, and the last that is sealed."""
    request = session.get_one(DeletionRequest, (org_id, request_id))
    sealed = select(func.max(EventSeal.to_number)).where(EventSeal.org_id == org_id)
    return request.events_checked, session.scalar(sealed) or 0

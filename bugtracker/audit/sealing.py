"""Seals numbered events in batches. Writers never wait for it: it only reads what they wrote."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from bugtracker.audit import leaves
from bugtracker.audit.chain import NO_SEAL, joined, seal_of
from bugtracker.clock import utc_now
from bugtracker.models import Event, EventCommitment, EventSeal
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import Keyring

BATCH = 500
"""Events of one seal at most: what sealing and verifying hold in memory at a time."""

UNSEALED = text("SELECT id FROM audited_organisations() WHERE unsealed")
NUMBER = text("SELECT number_events()")
# One sealer of an organisation at a time: a chain has no branches.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('bugtracker.seal_events'), hashtext(:org_id))")

EventRow = Row[*tuple[Any, ...]]

log = structlog.get_logger()


def seal_all(runtime: Runtime) -> int:
    """Seals what has been numbered in every organisation; returns how many events."""
    with runtime.db.read() as connection:
        waiting = list(connection.scalars(UNSEALED))
    return sum(seal_organisation(runtime, org_id) for org_id in waiting)


def seal_now(runtime: Runtime, org_id: UUID) -> int:
    """Numbers and seals what has been committed by now, without waiting for the worker."""
    with runtime.db.read() as connection:
        connection.execute(NUMBER)
    return seal_organisation(runtime, org_id)


def seal_organisation(runtime: Runtime, org_id: UUID) -> int:
    """Seals an organisation's numbered events to the last one, a batch per transaction."""
    sealed = 0
    while True:
        with runtime.db.transaction(org_id=org_id) as session:
            session.execute(LOCK, {"org_id": str(org_id)})
            link = _next_link(session, runtime.keyring, org_id, utc_now())
        if link is None:
            return sealed
        sealed += link.to_number - link.from_number + 1
        # Logs are kept elsewhere than the database: a note of each seal that nobody there can undo.
        log.info("events_sealed", org_id=str(org_id), to=link.to_number, seal=link.seal.hex())


def _next_link(session: Session, keyring: Keyring, org_id: UUID, now: datetime) -> EventSeal | None:
    last = session.scalar(
        select(EventSeal)
        .where(EventSeal.org_id == org_id)
        .order_by(EventSeal.to_number.desc())
        .limit(1)
    )
    rows = _run(_unsealed(session, org_id, last))
    if not rows:
        return None
    if rows[0].number != (last.to_number if last else 0) + 1:
        log.error("events_missing", org_id=str(org_id), before=rows[0].number)
    link = EventSeal(
        org_id=org_id,
        from_number=rows[0].number,
        to_number=rows[-1].number,
        leaves=_leaves(session, org_id, rows),
        previous=last.seal if last else NO_SEAL,
        key_id=keyring.seal_key_id,
        sealed_at=now,
    )
    link.seal = seal_of(keyring, link)
    session.add(link)
    return link


def _unsealed(session: Session, org_id: UUID, last: EventSeal | None) -> Sequence[EventRow]:
    statement = leaves.rows().where(
        Event.org_id == org_id, Event.number > (last.to_number if last else 0)
    )
    return session.execute(statement.order_by(Event.number).limit(BATCH)).all()


def _run(rows: Sequence[EventRow]) -> Sequence[EventRow]:
    """The rows up to the first gap: what is missing is told by the numbers of two links."""
    for place, row in enumerate(rows):
        if row.number != rows[0].number + place:
            return rows[:place]
    return rows


def _leaves(session: Session, org_id: UUID, rows: Sequence[EventRow]) -> bytes:
    """The leaves of a batch; stores commitments to what is personal in it."""
    found, commitments = [], []
    for row in rows:
        commitment = leaves.new_commitment(row)
        found.append(leaves.leaf(row, commitment))
        if commitment is not None:
            commitments.append(
                {
                    "org_id": org_id,
                    "number": row.number,
                    "fields": list(commitment.fields),
                    "salt": commitment.salt,
                    "commitment": commitment.value,
                }
            )
    if commitments:
        session.execute(insert(EventCommitment), commitments)
    return joined(found)

"""How an export ends: ready, failed, expired, replaced by the next one, or deleted with the person.

The row of an export is held by whoever builds it. So nobody touches it before the job has ended,
and cancelling is a change of the job alone: the builder, who notices, then leaves nothing.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Update, and_, func, or_, select, text, update
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.exporting.storage import ChunkWriter, Place, discard
from bugtracker.models import BackgroundJob, Export
from bugtracker.runtime import Runtime
from bugtracker.services import background_jobs, events

KIND = "user.export"
DUE = text("SELECT org_id, id FROM due_exports()")

log = structlog.get_logger()


def ready(session: Session, place: Place, written: ChunkWriter, total: int, lifetime: int) -> bool:
    """Ends the job well, in the transaction that has the pieces; they live for so many seconds.
    False when somebody ended it before."""
    now = utc_now()
    if not background_jobs.succeed(session, place.org_id, place.export_id, total, now):
        return False
    session.execute(
        _update(place).values(
            ready_at=now,
            expires_at=now + timedelta(seconds=lifetime),
            size_bytes=written.size,
            chunk_count=written.count,
        )
    )
    _record(session, "export.ready", place, now)
    return True


def fail(session: Session, place: Place, problem: str, now: datetime) -> bool:
    """Ends the job badly. False when somebody ended it before."""
    failed = background_jobs.fail(session, place.org_id, place.export_id, problem, now)
    if failed:
        _record(session, "export.failed", place, now)
    return failed


def replace_former(session: Session, org_id: UUID, subject_id: UUID, caller_id: UUID) -> None:
    """Deletes the archives about a person that this caller had made and did not fetch."""
    theirs = and_(BackgroundJob.subject_id == subject_id, BackgroundJob.created_by_id == caller_id)
    finished = BackgroundJob.finished_at.is_not(None)
    for place in _uncleared(session, org_id, and_(theirs, finished)):
        _clear(session, place, "export.replaced", Export.downloaded_at.is_(None))


def forget(session: Session, org_id: UUID, user_id: UUID, now: datetime) -> None:
    """Ends the exports that a person asked for and those about them, and deletes the archives:
    for when the person is anonymised or the account removed. The transaction must be in the tenant;
    for an account, call it in each of its organisations."""
    theirs = or_(BackgroundJob.subject_id == user_id, BackgroundJob.created_by_id == user_id)
    for place in _uncleared(session, org_id, theirs):
        if not background_jobs.cancel(session, org_id, place.export_id, now):
            _clear(session, place, "export.deleted")


def clear_due(runtime: Runtime) -> None:
    """Deletes what expired, and what a download that broke off left behind; gives up what was not
    made in time. Safe to run at any time, by any number of workers."""
    with runtime.db.read() as connection:
        due = [Place(row.org_id, row.id) for row in connection.execute(DUE)]
    for place in due:
        with runtime.db.transaction(org_id=place.org_id) as session:
            if not fail(session, place, background_jobs.EXPIRED, utc_now()):
                _clear(session, place, "export.expired", _is_due())
    if due:
        log.info("exports_cleared", count=len(due))


def _is_due() -> ColumnElement[bool]:
    """As due_exports() has it."""
    an_hour_ago = func.now() - timedelta(hours=1)
    return or_(Export.expires_at <= func.now(), Export.downloaded_at <= an_hour_ago)


def _uncleared(session: Session, org_id: UUID, jobs: ColumnElement[bool]) -> list[Place]:
    """The exports of these jobs of which something may be left, in the order of locks."""
    same = and_(BackgroundJob.org_id == Export.org_id, BackgroundJob.id == Export.id)
    found = (
        select(Export.id)
        .join(BackgroundJob, same)
        .where(Export.org_id == org_id, Export.cleared_at.is_(None), jobs)
        .order_by(Export.id)
    )
    return [Place(org_id, export_id) for export_id in session.scalars(found).all()]


def _clear(session: Session, place: Place, action: str, *conditions: ColumnElement[bool]) -> None:
    """Deletes the archive, once; an event tells of one that nobody had downloaded."""
    cleared = session.execute(
        _update(place)
        .where(Export.cleared_at.is_(None), *conditions)
        .values(cleared_at=func.now())
        .returning(Export.ready_at, Export.downloaded_at)
    ).one_or_none()
    if cleared is None:
        return
    discard(session, place)
    if cleared.ready_at is not None and cleared.downloaded_at is None:
        _record(session, action, place, utc_now())


def _update(place: Place) -> Update:
    return update(Export).where(Export.org_id == place.org_id, Export.id == place.export_id)


def _record(session: Session, action: str, place: Place, now: datetime) -> None:
    """An event that nobody in particular caused."""
    subject = select(BackgroundJob.subject_id).where(
        BackgroundJob.org_id == place.org_id, BackgroundJob.id == place.export_id
    )
    about = events.created(user_id=session.scalars(subject).one())
    resource = events.Resource("export", place.export_id)
    events.append(session, events.Origin(now, place.org_id), action, resource, about)

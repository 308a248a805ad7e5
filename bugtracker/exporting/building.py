"""The job that makes an archive: all of it in one transaction, or nothing.

It may be killed at any moment, and run twice at once when a worker was thought dead and was not:
whoever builds holds the row of the export, and who finds it held comes back later. Progress is told
in transactions of its own, which also notice when somebody cancelled the job.
"""

import time
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.db import lift_timeouts
from bugtracker.exporting import archive, contents, endings
from bugtracker.exporting.contents import Subject
from bugtracker.exporting.storage import ChunkWriter, Place
from bugtracker.jobs.retry import is_permanent
from bugtracker.messages import SOURCE
from bugtracker.models import Export, Member, Organisation
from bugtracker.runtime import Runtime
from bugtracker.services import background_jobs
from bugtracker.services.background_jobs import Begun

MOST_ATTEMPTS = 5
TOLD_EVERY = 0.5
"""Seconds between two notes of the progress."""

log = structlog.get_logger()


class Busy(Exception):
    """Another worker is at it; the queue tries again."""


class Cancelled(Exception):
    """The job was ended while it ran."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made, for whom, and the language of the request behind it."""

    place: Place
    job: Begun
    with_account: bool
    language: str


def build(runtime: Runtime, org_id: str, export_id: str, language: str = SOURCE) -> None:
    """Makes the archive and has its owner told. Nothing for one that is made, or was given up."""
    place = Place(UUID(org_id), UUID(export_id))
    with runtime.db.transaction(org_id=place.org_id, pooled=False) as session:
        with_account = _hold(session, place)
        job = _begin(runtime, place)
        if job is None:
            return
        try:
            _make(runtime, session, Order(place, job, with_account, language))
        except Cancelled:
            session.rollback()
            log.info("export_cancelled", export=export_id)
        except Exception as error:
            session.rollback()
            if job.attempts < MOST_ATTEMPTS and not is_permanent(error):
                raise
            log.exception("export_failed", export=export_id)
            _give_up(runtime, place)


def _hold(session: Session, place: Place) -> bool:
    """Keeps other workers away until the transaction ends; returns ``with_account``."""
    held = session.scalar(
        select(Export.with_account)
        .where(Export.org_id == place.org_id, Export.id == place.export_id)
        .with_for_update(skip_locked=True)
    )
    if held is None:
        raise Busy(f"export {place.export_id} is being made by another worker")
    return held


def _begin(runtime: Runtime, place: Place) -> Begun | None:
    """Counts the attempt. None when there is nothing to do (any more)."""
    now = utc_now()
    with runtime.db.transaction(org_id=place.org_id) as session:
        job = background_jobs.begin(session, place.org_id, place.export_id, now)
        if job is None:
            return None
        if not _is_member(session, place.org_id, job.created_by_id):
            background_jobs.cancel(session, place.org_id, place.export_id, now)
            return None
    if job.attempts > MOST_ATTEMPTS:
        # Each attempt before took its worker with it.
        log.error("export_failed", export=str(place.export_id), attempts=job.attempts)
        _give_up(runtime, place)
        return None
    return job


def _is_member(session: Session, org_id: UUID, user_id: UUID) -> bool:
    """Whether whoever asked is still there, and could download it."""
    present = select(Member.user_id).where(
        Member.org_id == org_id, Member.user_id == user_id, Member.removed_at.is_(None)
    )
    return session.scalar(present) is not None


def _give_up(runtime: Runtime, place: Place) -> None:
    with runtime.db.transaction(org_id=place.org_id) as session:
        endings.fail(session, place, background_jobs.ATTEMPTS_EXHAUSTED, utc_now())


def _make(runtime: Runtime, session: Session, order: Order) -> None:
    place, job = order.place, order.job
    account = job.subject_id if order.with_account else None
    writer = ChunkWriter(session, runtime.keyring, place)
    lift_timeouts(session)
    with runtime.db.snapshot(org_id=place.org_id, account_id=account) as source:
        lift_timeouts(source)
        # The moment of the snapshot, which its first statement fixes.
        now = source.scalars(select(func.now())).one()
        subject = Subject(place.org_id, job.subject_id, now)
        files = list(contents.files(subject, with_account=order.with_account))
        total = archive.count(source, files)
        progress = _Progress(runtime, place, total)
        progress(0)
        manifest = _manifest(source, order, subject)
        archive.write(writer, source, files, manifest, now, progress)
    writer.finish()
    if not endings.ready(session, place, writer, total, runtime.settings.export_seconds):
        raise Cancelled
    _tell(runtime, session, order)


def _tell(runtime: Runtime, session: Session, order: Order) -> None:
    ids = {"org_id": order.place.org_id, "export_id": order.place.export_id}
    runtime.queue.defer(session, "mail.export_ready", language=order.language, **ids)


def _manifest(source: Session, order: Order, subject: Subject) -> archive.Json:
    organisation = source.execute(
        select(Organisation.id, Organisation.slug, Organisation.name).where(
            Organisation.id == subject.org_id
        )
    ).one()
    return {
        "export_id": order.place.export_id,
        "organisation": dict(organisation._mapping),
        "user_id": subject.user_id,
        "requested_by": "the person" if order.with_account else "the organisation",
        "as_of": subject.now,
    }


class _Progress:
    """Writes down how far the job is, now and then; Cancelled when nobody wants it any more."""

    def __init__(self, runtime: Runtime, place: Place, total: int) -> None:
        self._runtime, self._place, self._total = runtime, place, total
        self._next = 0.0

    def __call__(self, done: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + TOLD_EVERY
        place = self._place
        with self._runtime.db.transaction(org_id=place.org_id) as session:
            wanted = background_jobs.note(session, place.org_id, place.export_id, done, self._total)
        if not wanted:
            raise Cancelled

"""Jobs as people see them: each change of state is one statement that only an unfinished one lets
happen, so that whoever ends it first has ended it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.context import Context
from bugtracker.errors import ServiceUnavailable
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import BackgroundJob
from bugtracker.models.job import JobState

ATTEMPTS_EXHAUSTED = "attempts_exhausted"
EXPIRED = "expired"

ROUNDS = 3
"""How often a job may finish between two statements before we call it a bad moment."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A job at work: who asked, about whom, and the how-manieth attempt this is."""

    created_by_id: UUID
    subject_id: UUID
    attempts: int


def start(ctx: Context, kind: str, subject_id: UUID) -> tuple[UUID, bool]:
    """A new job of the caller's, or the one of this kind about this person that they have
    unfinished already: its id, and whether it is new. The caller queues what does the work."""
    of_caller = (
        BackgroundJob.org_id == ctx.org_id,
        BackgroundJob.kind == kind,
        BackgroundJob.subject_id == subject_id,
        BackgroundJob.created_by_id == ctx.user_id,
        BackgroundJob.finished_at.is_(None),
    )
    row = {
        "org_id": ctx.org_id,
        "kind": kind,
        "state": "queued",
        "created_by_id": ctx.user_id,
        "subject_id": subject_id,
        "attempts": 0,
        "done": 0,
        "created_at": ctx.now,
    }
    for _round in range(ROUNDS):
        new = insert(BackgroundJob).values(id=new_id(), **row).on_conflict_do_nothing()
        made = ctx.session.scalar(new.returning(BackgroundJob.id))
        if made is not None:
            return made, True
        running = ctx.session.scalar(select(BackgroundJob.id).where(*of_caller))
        if running is not None:
            return running, False
    raise ServiceUnavailable(_("Try again in a moment."), headers={"Retry-After": "1"})


def _is_unfinished(org_id: UUID, job_id: UUID) -> ColumnElement[bool]:
    return and_(
        BackgroundJob.org_id == org_id,
        BackgroundJob.id == job_id,
        BackgroundJob.finished_at.is_(None),
    )


def begin(session: Session, org_id: UUID, job_id: UUID, now: datetime) -> Begun | None:
    """Marks that somebody works on it, again perhaps. None when it has ended."""
    row = session.execute(
        update(BackgroundJob)
        .where(_is_unfinished(org_id, job_id))
        .values(
            state="running",
            attempts=BackgroundJob.attempts + 1,
            done=0,
            started_at=func.coalesce(BackgroundJob.started_at, now),
        )
        .returning(BackgroundJob.created_by_id, BackgroundJob.subject_id, BackgroundJob.attempts)
    ).one_or_none()
    return None if row is None else Begun(*row)


def note(session: Session, org_id: UUID, job_id: UUID, done: int, total: int) -> bool:
    """Writes down how far it is. False when somebody ended it."""
    return _change(session, org_id, job_id, done=done, total=total)


def succeed(session: Session, org_id: UUID, job_id: UUID, total: int, now: datetime) -> bool:
    """False when somebody ended it before."""
    return _end(session, org_id, job_id, "succeeded", now, done=total, total=total)


def fail(session: Session, org_id: UUID, job_id: UUID, problem: str, now: datetime) -> bool:
    """False when somebody ended it before."""
    return _end(session, org_id, job_id, "failed", now, problem=problem)


def cancel(session: Session, org_id: UUID, job_id: UUID, now: datetime) -> bool:
    """False when it had ended before; whoever is at work on it finds out soon."""
    return _end(session, org_id, job_id, "cancelled", now)


def _end(
    session: Session, org_id: UUID, job_id: UUID, state: JobState, now: datetime, **values: object
) -> bool:
    return _change(session, org_id, job_id, state=state, finished_at=now, **values)


def _change(session: Session, org_id: UUID, job_id: UUID, **values: object) -> bool:
    changed = update(BackgroundJob).where(_is_unfinished(org_id, job_id)).values(**values)
    return session.scalar(changed.returning(BackgroundJob.id)) is not None

"""Asking for what an organisation holds about a person, and downloading it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from bugtracker.context import Context
from bugtracker.errors import ExportGone, ExportNotReady, UserLinked
from bugtracker.exporting.endings import KIND, replace_former
from bugtracker.exporting.storage import Place, take, take_rest
from bugtracker.messages import _
from bugtracker.models import BackgroundJob, Export
from bugtracker.queries import users as users_queries
from bugtracker.security.authentication import require_session
from bugtracker.security.permissions import Relations, authorise, authorise_over
from bugtracker.security.scoping import not_found
from bugtracker.services import background_jobs, events
from bugtracker.services.events import Origin

NOBODY = Relations()


def request(ctx: Context, user_id: UUID) -> UUID:
    """Starts an export of the caller's own data, or of a member's for whoever may approve what is
    asked about privacy; or finds the one that is at work. Returns the job's id.

    403 for API keys, for others and for those ranking above the caller; 404 for nobody of the
    organisation, 409 for somebody who was linked to a member.
    """
    require_session(ctx.principal)
    person = _subject(ctx, user_id)
    job_id, is_new = background_jobs.start(ctx, KIND, user_id)
    if is_new:
        replace_former(ctx.session, ctx.org_id, user_id, ctx.user_id)
        ctx.session.execute(
            insert(Export).values(
                org_id=ctx.org_id,
                id=job_id,
                with_account=user_id == ctx.user_id,
                expires_at=ctx.now + timedelta(seconds=ctx.runtime.settings.export_seconds),
            )
        )
        _record(ctx, "export.requested", job_id, person)
        ids = {"org_id": ctx.org_id, "export_id": job_id}
        ctx.runtime.queue.defer(ctx.session, "export.build", language=ctx.language, **ids)
    return job_id


def _subject(ctx: Context, user_id: UUID) -> Any:
    """The person, whose data the caller may have."""
    person = ctx.session.execute(users_queries.one(ctx, user_id)).one_or_none()
    if person is None:
        raise not_found("user")
    if user_id != ctx.user_id:
        authorise(ctx.principal, "privacy.approve", NOBODY)
        authorise_over(ctx.principal, person.role)
    if person.linked_to is not None:
        raise UserLinked(_("This person is the member {id}; export that one.", id=person.linked_to))
    return person


def _record(ctx: Context, action: str, export_id: UUID, person: Any) -> None:
    """The person finds it among their own activity, too, whoever asked."""
    account_id = None if person.imported_from else person.id
    by = Origin(ctx.now, ctx.org_id, ctx.user_id, account_id, ctx.request_id)
    about = events.created(user_id=person.id)
    events.append(ctx.session, by, action, events.Resource("export", export_id), about)


@dataclass(frozen=True, slots=True)
class Download:
    """An archive on its way out."""

    size: int
    content: Iterator[bytes]


def redeem(ctx: Context, export_id: UUID) -> Download:
    """The archive, for the one who asked for it, once: whether it arrives or not. 404 for others,
    409 before it is ready, 410 when it was redeemed, expired or will never be."""
    job = ctx.session.execute(
        select(BackgroundJob.subject_id, BackgroundJob.finished_at).where(
            BackgroundJob.org_id == ctx.org_id,
            BackgroundJob.id == export_id,
            BackgroundJob.kind == KIND,
            BackgroundJob.created_by_id == ctx.user_id,
        )
    ).one_or_none()
    if job is None:
        raise not_found("export")
    person = _subject(ctx, job.subject_id)
    if job.finished_at is None:
        raise ExportNotReady(_("Look at its job; when that has succeeded, ask again."))
    place = Place(ctx.org_id, export_id)
    size, chunks = _claim(ctx, place)
    _record(ctx, "export.downloaded", export_id, person)
    db, keyring = ctx.db, ctx.runtime.keyring
    # In this transaction: those who come too late each hold a connection and wait for it.
    first = take(ctx.session, keyring, place, 0)
    return Download(size, take_rest(db, keyring, place, first, chunks))


def _claim(ctx: Context, place: Place) -> tuple[int, int]:
    """Size and number of pieces for one caller, 410 for all after."""
    claimed = ctx.session.execute(
        update(Export)
        .where(
            Export.org_id == place.org_id,
            Export.id == place.export_id,
            Export.ready_at.is_not(None),
            Export.downloaded_at.is_(None),
            Export.cleared_at.is_(None),
            Export.expires_at > ctx.now,
        )
        .values(downloaded_at=ctx.now)
        .returning(Export.size_bytes, Export.chunk_count)
    ).one_or_none()
    if claimed is None:
        raise ExportGone(_("It was downloaded, replaced or has expired. Ask for a new export."))
    size, chunks = claimed
    return int(size or 0), int(chunks or 0)

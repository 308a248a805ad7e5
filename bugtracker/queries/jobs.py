"""Reading jobs as people see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import BackgroundJob, Export
from bugtracker.security.permissions import Relations, may


def one(ctx: Context, job_id: UUID) -> Rows:
    """The job of this id, for whoever started it; those that somebody started about another person
    also for whoever may approve what is asked about privacy."""
    made = and_(Export.org_id == BackgroundJob.org_id, Export.id == BackgroundJob.id)
    return (
        select(
            BackgroundJob.id,
            BackgroundJob.kind,
            BackgroundJob.state,
            BackgroundJob.created_by_id,
            BackgroundJob.subject_id,
            BackgroundJob.done,
            BackgroundJob.total,
            BackgroundJob.problem,
            BackgroundJob.created_at,
            BackgroundJob.started_at,
            BackgroundJob.finished_at,
            case((_is_there(ctx), Export.id)).label("export_id"),
            case((_is_there(ctx), Export.expires_at)).label("expires_at"),
        )
        .outerjoin(Export, made)
        .where(BackgroundJob.org_id == ctx.org_id, BackgroundJob.id == job_id, _is_visible(ctx))
    )


def _is_visible(ctx: Context) -> ColumnElement[bool]:
    own = BackgroundJob.created_by_id == ctx.user_id
    if may(ctx.principal, "privacy.approve", Relations()):
        return or_(own, BackgroundJob.subject_id != BackgroundJob.created_by_id)
    return own


def _is_there(ctx: Context) -> ColumnElement[Any]:
    """Whether the caller could download it now."""
    return and_(
        BackgroundJob.created_by_id == ctx.user_id,
        Export.ready_at.is_not(None),
        Export.downloaded_at.is_(None),
        Export.cleared_at.is_(None),
        Export.expires_at > func.now(),
    )

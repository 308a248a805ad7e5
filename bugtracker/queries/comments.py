"""Reading comments."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from bugtracker.context import Context
from bugtracker.db import Rows, given
from bugtracker.models import Comment, Issue
from bugtracker.paging import Page, Sorts, paginate, time_sort
from bugtracker.security.named import OfIssue

COLUMNS = (
    Comment.id,
    Comment.issue_id,
    Comment.author_id,
    Comment.content,
    Comment.created_at,
    Comment.updated_at,
    Comment.version,
)

SORTS = Sorts(
    by={"created_at": time_sort(Comment.created_at)}, identity=Comment.id, default="created_at"
)


OF_ISSUE = OfIssue(
    lambda is_named: select(*COLUMNS).where(
        Comment.org_id == given(Comment.org_id),
        Comment.issue_id == select(Issue.id).where(is_named).scalar_subquery(),
    )
)
BY_ID = select(*COLUMNS).where(
    Comment.org_id == given(Comment.org_id), Comment.id == given(Comment.id)
)


def page(ctx: Context, issue_ref: str) -> Page:
    """One page of the comments of an issue, named by id or key."""
    statement, values = OF_ISSUE.named(ctx.org_id, issue_ref)
    return paginate(ctx, statement, SORTS, **values)


def named(org_id: UUID, ref: str) -> tuple[Rows, dict[str, Any]]:
    """The statement about the comment of this id in an organisation, and its values."""
    return BY_ID, {"org_id": org_id, "id": UUID(ref)}


def find(ctx: Context, comment_id: str) -> Row[*tuple[Any, ...]] | None:
    """The comment of this id in the caller's organisation."""
    statement, values = named(ctx.org_id, comment_id)
    return ctx.read(statement, **values).one_or_none()

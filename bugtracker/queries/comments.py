"""Reading comments."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from bugtracker.context import Context
from bugtracker.db import Rows, given
from bugtracker.models import Comment, Issue
from bugtracker.paging import Sorts, time_sort
from bugtracker.security.named import issue_named

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


def listed(ctx: Context, issue_ref: str) -> Rows:
    """The comments of an issue, named by id or key."""
    issue = select(Issue.id).where(issue_named(ctx.org_id, issue_ref)).scalar_subquery()
    return select(*COLUMNS).where(Comment.org_id == ctx.org_id, Comment.issue_id == issue)


BY_ID = select(*COLUMNS).where(
    Comment.org_id == given(Comment.org_id), Comment.id == given(Comment.id)
)


def find(ctx: Context, comment_id: str) -> Row[*tuple[Any, ...]] | None:
    """The comment of this id in the caller's organisation."""
    return ctx.read(BY_ID, org_id=ctx.org_id, id=UUID(comment_id)).one_or_none()

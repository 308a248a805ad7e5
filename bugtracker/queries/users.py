"""Reading the people of an organisation."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, true

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.login_analytics.windows import INACTIVE
from bugtracker.models import Account, Member
from bugtracker.models.organisation import ROLES
from bugtracker.paging import Sort, Sorts, last_time_sort, time_sort
from bugtracker.queries.matching import matches, relevance
from bugtracker.queries.people import NAME, USERNAME, has_account
from bugtracker.rsql import Field, Fields, filtered, kinds
from bugtracker.security.permissions import Relations, authorise, may

VERIFIED: ColumnElement[bool] = Account.verified_at.is_not(None)
IS_ACTIVE: ColumnElement[bool] = and_(
    Member.removed_at.is_(None), func.coalesce(Account.is_active, true())
)

# An organisation has few enough people to look at each: there is no index to keep.
TEXTS = (USERNAME, NAME, Account.email)
"""What people are searched by."""

FIELDS: Fields = {
    "username": Field(USERNAME, kinds.Text()),
    "name": Field(NAME, kinds.Text(), nullable=True),
    "email": Field(Account.email, kinds.Text(), nullable=True),
    "verified": Field(VERIFIED, kinds.Boolean()),
    "role": Field(Member.role, kinds.Words(ROLES)),
    "is_active": Field(IS_ACTIVE, kinds.Boolean()),
    "imported": Field(Member.account_id.is_(None), kinds.Boolean()),
    "created_at": Field(Member.created_at, kinds.Timestamp()),
    "last_login": Field(Member.last_login, kinds.Timestamp(), nullable=True),
}

SORTS = Sorts(
    by={
        "username": Sort(func.lower(USERNAME)),
        "name": Sort(func.lower(func.coalesce(NAME, USERNAME))),
        "created_at": time_sort(Member.created_at),
        "last_login": last_time_sort(Member.last_login),
        "role": Sort(Member.role),
    },
    identity=Member.user_id,
    default="username",
)


def one(ctx: Context, user_id: UUID) -> Rows:
    """The person of this id in the caller's organisation; somebody who was removed only for those
    who may restore them."""
    found = _all(ctx).where(Member.user_id == user_id)
    if may(ctx.principal, "users.restore", Relations()):
        return found
    return found.where(Member.removed_at.is_(None))


def id_of(ctx: Context, ref: str) -> UUID:
    """An id, or ``me``."""
    return ctx.user_id if ref == "me" else UUID(ref)


def listed(ctx: Context) -> tuple[Rows, Sorts]:
    """The people of the organisation by the list's filters, and what they can be sorted by.

    A search without ``sort`` is ordered by relevance. 403 for those who were removed without the
    permission to restore them.
    """
    statement = _all(ctx).where(*_present(ctx), *filtered(ctx, FIELDS))
    search = ctx.query["search"]
    if search is None:
        return statement, SORTS
    by_relevance = {**SORTS.by, "relevance": Sort(relevance(TEXTS, search))}
    return statement.where(matches(TEXTS, search)), Sorts(
        by_relevance, SORTS.identity, "-relevance"
    )


def inactive(ctx: Context) -> tuple[Rows, Sorts]:
    """The members with an account whose last login into the organisation was before the window,
    or never was; the longest first."""
    last = last_time_sort(Member.last_login)
    statement = _all(ctx).where(
        Member.removed_at.is_(None),
        Member.account_id.is_not(None),
        last.expression < ctx.now - INACTIVE[ctx.query["window"]],
    )
    return statement, Sorts({"last_login": last}, Member.user_id, "last_login")


def _all(ctx: Context) -> Rows:
    return (
        select(
            Member.user_id.label("id"),
            USERNAME.label("username"),
            NAME.label("name"),
            Account.email,
            VERIFIED.label("verified"),
            Member.role,
            IS_ACTIVE.label("is_active"),
            Member.imported_from,
            Member.linked_to,
            Member.created_at,
            Member.removed_at,
            Member.last_login,
            Member.login_count,
            Member.updated_at,
            Member.version,
        )
        .outerjoin(Account, has_account())
        .where(Member.org_id == ctx.org_id)
    )


def _present(ctx: Context) -> list[ColumnElement[bool]]:
    removed = ctx.query["removed"]
    if removed == "no":
        return [Member.removed_at.is_(None)]
    authorise(ctx.principal, "users.restore", Relations())
    return [Member.removed_at.is_not(None)] if removed == "only" else []

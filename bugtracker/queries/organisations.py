"""Reading organisations and who is in them."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Account, Member, Organisation
from bugtracker.paging import Sort, Sorts
from bugtracker.queries.people import NAME, USERNAME, has_account

# Ids are made in the order of time, and each list's key ends with them.
SORTS = Sorts(
    by={"id": Sort(Organisation.id, decode=UUID, unique=True)},
    identity=Organisation.id,
    default="id",
)
MEMBER_SORTS = Sorts(
    by={"id": Sort(Member.user_id, decode=UUID, unique=True)},
    identity=Member.user_id,
    default="id",
)


def own(ctx: Context) -> Rows:
    """The caller's organisations, whichever the token is for, with their role in each."""
    return (
        select(
            Organisation.id,
            Organisation.slug,
            Organisation.name,
            Member.role,
            Organisation.created_at,
            Organisation.updated_at,
            Organisation.version,
        )
        .join(Member, Member.org_id == Organisation.id)
        .where(Member.account_id == ctx.user_id, Member.removed_at.is_(None))
    )


def one(ctx: Context, organisation_id: str) -> Rows:
    """The organisation of this id, if it is one of the caller's."""
    return own(ctx).where(Organisation.id == UUID(organisation_id))


def members(ctx: Context) -> Rows:
    """Who is in the caller's organisation, imported people included, by ``role``."""
    statement = _people(ctx).where(Member.removed_at.is_(None))
    if (role := ctx.query["role"]) is not None:
        statement = statement.where(Member.role == role)
    return statement


def member(ctx: Context, user_id: UUID) -> Rows:
    """One person of the caller's organisation, present or past."""
    return _people(ctx).where(Member.user_id == user_id)


def _people(ctx: Context) -> Rows:
    return (
        select(
            Member.user_id.label("id"),
            USERNAME.label("username"),
            NAME.label("name"),
            Account.email,
            Member.role,
            Member.imported_from,
            Member.created_at,
            Member.updated_at,
            Member.version,
        )
        .outerjoin(Account, has_account())
        .where(Member.org_id == ctx.org_id)
    )

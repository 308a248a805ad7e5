"""Reading API keys. The hash is not among the columns."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import ApiKey
from bugtracker.paging import Sorts, time_sort

COLUMNS = (
    ApiKey.id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.scopes,
    ApiKey.created_by_id,
    ApiKey.expires_at,
    ApiKey.last_used_at,
    ApiKey.last_used_ip,
    ApiKey.revoked_at,
    ApiKey.replaced_by_id,
    ApiKey.created_at,
    ApiKey.updated_at,
    ApiKey.version,
)

SORTS = Sorts(
    by={"created_at": time_sort(ApiKey.created_at)}, identity=ApiKey.id, default="-created_at"
)


def one(ctx: Context, api_key_id: str) -> Rows:
    """The API key of this id in the caller's organisation."""
    return select(*COLUMNS).where(ApiKey.org_id == ctx.org_id, ApiKey.id == UUID(api_key_id))


def listed(ctx: Context) -> Rows:
    """The organisation's API keys, by ``status``."""
    statement = select(*COLUMNS).where(ApiKey.org_id == ctx.org_id)
    if (status := ctx.query["status"]) is not None:
        statement = statement.where(_has_status(ctx, status))
    return statement


def _has_status(ctx: Context, status: str) -> ColumnElement[bool]:
    """As :func:`bugtracker.models.api_key.status_of` has it."""
    if status == "revoked":
        return ApiKey.revoked_at.is_not(None)
    has_time = ApiKey.expires_at > ctx.now
    return and_(ApiKey.revoked_at.is_(None), has_time if status == "active" else ~has_time)

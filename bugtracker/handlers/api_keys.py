"""API keys: list, create, read, rename, rotate, revoke."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import item
from bugtracker.models import ApiKey
from bugtracker.paging import paginate
from bugtracker.queries import api_keys as queries
from bugtracker.security.scoping import not_found
from bugtracker.serializers import api_keys as serializers
from bugtracker.services import api_keys as service


def list_api_keys(ctx: Context) -> Reply:
    """GET /api/api-keys"""
    page = paginate(ctx, queries.listed(ctx), queries.SORTS)
    return page.reply(ctx, serializers.api_key(ctx.now))


def create_api_key(ctx: Context) -> Reply:
    """POST /api/api-keys"""
    return _shown_once(ctx, *service.create_api_key(ctx))


def get_api_key(ctx: Context, api_key_id: str) -> Reply:
    """GET /api/api-keys/{api_key_id}"""
    row = ctx.session.execute(queries.one(ctx, api_key_id)).one_or_none()
    if row is None:
        raise not_found("API key")
    return item(row, serializers.api_key(ctx.now)(row))


def update_api_key(ctx: Context, api_key_id: str) -> Reply:
    """PATCH /api/api-keys/{api_key_id}"""
    key = service.update_api_key(ctx, api_key_id)
    return item(key, serializers.api_key(ctx.now)(key))


def rotate_api_key(ctx: Context, api_key_id: str) -> Reply:
    """POST /api/api-keys/{api_key_id}/rotate"""
    return _shown_once(ctx, *service.rotate_api_key(ctx, api_key_id))


def revoke_api_key(ctx: Context, api_key_id: str) -> Reply:
    """DELETE /api/api-keys/{api_key_id}"""
    service.revoke_api_key(ctx, api_key_id)
    return Reply(status=204)


def _shown_once(ctx: Context, key: ApiKey, secret: str) -> Reply:
    """Without a version: the answer holds a secret, and nobody may keep it."""
    body = {"key": secret, "api_key": serializers.api_key(ctx.now)(key)}
    return Reply(body, status=201, headers={"Location": f"/api/api-keys/{key.id}"})

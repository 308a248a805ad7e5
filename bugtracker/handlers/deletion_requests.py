"""Deletion requests: make, list, read, approve, refuse, take back; and deleting one's account."""

from uuid import UUID

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.paging import paginate
from bugtracker.queries import deletion_requests as queries
from bugtracker.queries.users import id_of
from bugtracker.serializers import deletion_requests as serializers
from bugtracker.services import closing
from bugtracker.services import deletions as service


def create_deletion_request(ctx: Context, user_id: str) -> Reply:
    """POST /api/users/{user_id}/deletion-requests"""
    request_id = service.create(ctx, id_of(ctx, user_id))
    row = ctx.session.execute(queries.one(ctx, request_id)).one()
    location = f"/api/deletion-requests/{request_id}"
    return created(row, serializers.deletion_request(row), location)


def list_deletion_requests(ctx: Context) -> Reply:
    """GET /api/deletion-requests"""
    page = paginate(ctx, queries.listed(ctx), queries.SORTS)
    return page.reply(ctx, serializers.deletion_request)


def get_deletion_request(ctx: Context, deletion_request_id: str) -> Reply:
    """GET /api/deletion-requests/{deletion_request_id}"""
    service.find(ctx, deletion_request_id)
    return _item(ctx, deletion_request_id)


def approve_deletion_request(ctx: Context, deletion_request_id: str) -> Reply:
    """POST /api/deletion-requests/{deletion_request_id}/approve"""
    service.approve(ctx, deletion_request_id)
    return _item(ctx, deletion_request_id)


def refuse_deletion_request(ctx: Context, deletion_request_id: str) -> Reply:
    """POST /api/deletion-requests/{deletion_request_id}/refuse"""
    service.refuse(ctx, deletion_request_id)
    return _item(ctx, deletion_request_id)


def cancel_deletion_request(ctx: Context, deletion_request_id: str) -> Reply:
    """POST /api/deletion-requests/{deletion_request_id}/cancel"""
    service.cancel(ctx, deletion_request_id)
    return _item(ctx, deletion_request_id)


def delete_account(ctx: Context) -> Reply:
    """POST /api/auth/me/deletion"""
    closing.delete_account(ctx)
    return Reply(serializers.ACCOUNT_DELETION, status=202)


def _item(ctx: Context, request_id: str) -> Reply:
    row = ctx.session.execute(queries.one(ctx, UUID(request_id))).one()
    return item(row, serializers.deletion_request(row))

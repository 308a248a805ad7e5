"""The people of the organisation: list, read, change, write down, delete, restore, link."""

from uuid import UUID

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.includes import shown_item, shown_page
from bugtracker.login_analytics.windows import Window
from bugtracker.paging import paginate
from bugtracker.queries import top_logins
from bugtracker.queries import users as queries
from bugtracker.queries.included import USER_INCLUDES
from bugtracker.security.scoping import not_found
from bugtracker.serializers import users as serializers
from bugtracker.services import members
from bugtracker.services import users as service


def list_users(ctx: Context) -> Reply:
    """GET /api/users"""
    page = paginate(ctx, *queries.listed(ctx))
    return shown_page(ctx, page, serializers.user, USER_INCLUDES)


def list_top_logins(ctx: Context) -> Reply:
    """GET /api/users/top-logins"""
    window = Window.ending(ctx.now, ctx.query["window"])
    rows = ctx.session.execute(top_logins.listed(ctx, window)).all()
    return Reply(serializers.top_logins(rows, window, ctx.query["limit"]))


def list_inactive_users(ctx: Context) -> Reply:
    """GET /api/users/inactive"""
    page = paginate(ctx, *queries.inactive(ctx))
    return shown_page(ctx, page, serializers.user, USER_INCLUDES)


def create_user(ctx: Context) -> Reply:
    """POST /api/users"""
    user_id = service.create_user(ctx)
    row = ctx.session.execute(queries.one(ctx, user_id)).one()
    return created(row, serializers.user(row), f"/api/users/{user_id}")


def get_user(ctx: Context, user_id: str) -> Reply:
    """GET /api/users/{user_id}"""
    found = queries.one(ctx, queries.id_of(ctx, user_id))
    row = ctx.session.execute(found).one_or_none()
    if row is None:
        raise not_found("user")
    return shown_item(ctx, row, serializers.user, USER_INCLUDES)


def update_user(ctx: Context, user_id: str) -> Reply:
    """PATCH /api/users/{user_id}"""
    changed = queries.id_of(ctx, user_id)
    service.update_user(ctx, changed)
    return _item(ctx, changed)


def delete_user(ctx: Context, user_id: str) -> Reply:
    """DELETE /api/users/{user_id}"""
    members.remove(ctx, queries.id_of(ctx, user_id))
    return Reply(status=204)


def restore_user(ctx: Context, user_id: str) -> Reply:
    """POST /api/users/{user_id}/restore"""
    members.restore(ctx, queries.id_of(ctx, user_id))
    return _item(ctx, queries.id_of(ctx, user_id))


def link_user(ctx: Context, user_id: str) -> Reply:
    """POST /api/users/{user_id}/link"""
    return _item(ctx, service.link_user(ctx, UUID(user_id)))


def _item(ctx: Context, user_id: UUID) -> Reply:
    row = ctx.session.execute(queries.one(ctx, user_id)).one()
    return item(row, serializers.user(row))

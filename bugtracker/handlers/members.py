"""Members of an organisation: list, give another role, remove or leave."""

from uuid import UUID

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import item
from bugtracker.paging import paginate
from bugtracker.queries import organisations as queries
from bugtracker.security.scoping import require_current
from bugtracker.serializers import organisations as serializers
from bugtracker.services import members as service


def list_members(ctx: Context, organisation_id: str) -> Reply:
    """GET /api/organisations/{organisation_id}/members"""
    require_current(ctx, organisation_id)
    page = paginate(ctx, queries.members(ctx), queries.MEMBER_SORTS)
    return page.reply(ctx, serializers.member)


def update_member(ctx: Context, organisation_id: str, user_id: str) -> Reply:
    """PATCH /api/organisations/{organisation_id}/members/{user_id}"""
    require_current(ctx, organisation_id)
    member = service.lock(ctx, UUID(user_id))
    service.change_role(ctx, member, ctx.body["role"])
    row = ctx.session.execute(queries.member(ctx, member.user_id)).one()
    return item(row, serializers.member(row))


def remove_member(ctx: Context, organisation_id: str, user_id: str) -> Reply:
    """DELETE /api/organisations/{organisation_id}/members/{user_id}"""
    require_current(ctx, organisation_id)
    service.remove(ctx, UUID(user_id))
    return Reply(status=204)

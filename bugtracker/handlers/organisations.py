"""Organisations: found one, list and read one's own, rename, hand over."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.paging import paginate
from bugtracker.queries import organisations as queries
from bugtracker.security.scoping import not_found
from bugtracker.serializers import organisations as serializers
from bugtracker.services import organisations as service
from bugtracker.services import transfer


def list_organisations(ctx: Context) -> Reply:
    """GET /api/organisations"""
    return paginate(ctx, queries.own(ctx), queries.SORTS).reply(ctx, serializers.organisation)


def create_organisation(ctx: Context) -> Reply:
    """POST /api/organisations"""
    org_id = service.create_organisation(ctx)
    row = ctx.session.execute(queries.one(ctx, str(org_id))).one()
    return created(row, serializers.organisation(row), f"/api/organisations/{org_id}")


def get_organisation(ctx: Context, organisation_id: str) -> Reply:
    """GET /api/organisations/{organisation_id}"""
    row = ctx.session.execute(queries.one(ctx, organisation_id)).one_or_none()
    if row is None:
        raise not_found("organisation")
    return item(row, serializers.organisation(row))


def update_organisation(ctx: Context, organisation_id: str) -> Reply:
    """PATCH /api/organisations/{organisation_id}"""
    service.update_organisation(ctx, organisation_id)
    row = ctx.session.execute(queries.one(ctx, organisation_id)).one()
    return item(row, serializers.organisation(row))


def transfer_organisation(ctx: Context, organisation_id: str) -> Reply:
    """POST /api/organisations/{organisation_id}/transfer"""
    transfer.transfer_organisation(ctx, organisation_id)
    row = ctx.session.execute(queries.one(ctx, organisation_id)).one()
    return item(row, serializers.organisation(row))

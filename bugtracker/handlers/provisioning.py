"""Organisations that partner systems ask for."""

from bugtracker.context import Context, Reply
from bugtracker.models.partner import UNFINISHED
from bugtracker.queries import provisioning as queries
from bugtracker.security.scoping import not_found
from bugtracker.serializers import provisioning as serializers
from bugtracker.services import provisioning as service


def provision_organisation(ctx: Context) -> Reply:
    """POST /api/provisioning/orgs"""
    service.provision(ctx)
    reference = ctx.body["reference"]
    rows = ctx.session.execute(queries.one(ctx, reference)).all()
    status = 202 if rows[0].state in UNFINISHED else 200
    location = {"Location": f"/api/provisioning/orgs/{reference}"}
    return Reply(serializers.provisioning(rows), status=status, headers=location)


def get_provisioning(ctx: Context, reference: str) -> Reply:
    """GET /api/provisioning/orgs/{reference}"""
    rows = ctx.session.execute(queries.one(ctx, reference)).all()
    if not rows:
        raise not_found("provisioning")
    return Reply(serializers.provisioning(rows))


def resend_owner_invitation(ctx: Context, reference: str) -> Reply:
    """POST /api/provisioning/orgs/{reference}/invitation"""
    service.resend_invitation(ctx, reference)
    return Reply(status=204)

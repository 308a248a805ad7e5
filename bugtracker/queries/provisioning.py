"""Reading how far it is with what a partner asked for."""

from sqlalchemy import select

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Provisioning, ProvisioningStep


def one(ctx: Context, reference: str) -> Rows:
    """The calling partner's saga of this reference: a row for each step, in their order."""
    return (
        select(
            Provisioning.reference,
            Provisioning.state,
            Provisioning.organisation_id,
            Provisioning.failure_code,
            Provisioning.failure_detail,
            Provisioning.created_at,
            Provisioning.updated_at,
            ProvisioningStep.name,
            ProvisioningStep.finished_at,
            ProvisioningStep.undone_at,
        )
        .join(ProvisioningStep, ProvisioningStep.provisioning_id == Provisioning.id)
        .where(Provisioning.partner_id == ctx.partner_id, Provisioning.reference == reference)
        .order_by(ProvisioningStep.position)
    )

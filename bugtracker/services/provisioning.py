"""What partners ask for: an organisation under a reference of theirs, once. The work itself is in
:mod:`provisioning_steps`, done by a worker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.context import Context
from bugtracker.db import enter_tenant
from bugtracker.errors import (
    InvitationClosed,
    ProvisioningNotCompleted,
    ProvisioningReferenceReused,
    Violation,
)
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options, Queue
from bugtracker.messages import _
from bugtracker.models import Invitation, Provisioning, ProvisioningStep
from bugtracker.models.partner import STEPS
from bugtracker.security.scoping import not_found
from bugtracker.services import invitations
from bugtracker.services.events import Origin


@dataclass(frozen=True, slots=True)
class Asked:
    """What a partner asks for; ``fingerprint`` stands for the body."""

    partner_id: UUID
    body: Mapping[str, Any]
    fingerprint: bytes
    now: datetime
    request_id: str | None = None


def provision(ctx: Context) -> None:
    """Begins a saga for the body's ``reference``, or finds the one of the same body.

    422 when the reference belongs to another body, unless that one has failed: nothing is left
    of it then, and the reference is free again.
    """
    asked = Asked(ctx.partner_id, ctx.body, _fingerprint(ctx), ctx.now, ctx.request_id)
    saga_id = begin(ctx.session, asked)
    if saga_id is None:
        _require_same(ctx.session, asked)
    else:
        defer(ctx.runtime.queue, ctx.session, saga_id)


def begin(session: Session, asked: Asked) -> UUID | None:
    """A new saga, or one that failed begun anew; None when there is one for the reference."""
    saga_id = _claim(session, asked)
    if saga_id is not None:
        _plan(session, saga_id)
    return saga_id


def defer(queue: Queue, session: Session, saga_id: UUID) -> None:
    """Queues the job that works on a saga, unless one waits.

    Without a ``lock``: the job of a dead worker would hold it, and one that waits for it would
    keep that job from being queued again. The saga's row is locked in each step anyway.
    """
    once = Options(queueing_lock=f"provisioning:{saga_id}")
    queue.defer(session, "provisioning.run", once, provisioning_id=saga_id)


def _fingerprint(ctx: Context) -> bytes:
    canonical = json.dumps(["provisioning", ctx.body], sort_keys=True)
    return ctx.runtime.keyring.fingerprint(canonical.encode())


def _claim(session: Session, asked: Asked) -> UUID | None:
    """One statement: of many requests at once one gets the reference."""
    fresh = {
        "fingerprint": asked.fingerprint,
        "request": asked.body,
        "state": "pending",
        "organisation_id": new_id(),
        "failure_code": None,
        "failure_detail": None,
        "attempts": 0,
        "request_id": asked.request_id,
        "created_at": asked.now,
        "updated_at": asked.now,
    }
    key = {"partner_id": asked.partner_id, "reference": asked.body["reference"]}
    return session.scalar(
        insert(Provisioning)
        .values(id=new_id(), **key, **fresh)
        .on_conflict_do_update(
            index_elements=[Provisioning.partner_id, Provisioning.reference],
            set_=fresh,
            where=Provisioning.state == "failed",
        )
        .returning(Provisioning.id)
    )


def _plan(session: Session, saga_id: UUID) -> None:
    """Writes down the steps, all still to be done."""
    undone: dict[str, datetime | None] = {"finished_at": None, "undone_at": None}
    rows = [
        {"provisioning_id": saga_id, "position": position, "name": name, **undone}
        for position, name in enumerate(STEPS, start=1)
    ]
    session.execute(
        insert(ProvisioningStep)
        .values(rows)
        .on_conflict_do_update(
            index_elements=[ProvisioningStep.provisioning_id, ProvisioningStep.position],
            set_=undone,
        )
    )


def _require_same(session: Session, asked: Asked) -> None:
    found = select(Provisioning.fingerprint).where(
        Provisioning.partner_id == asked.partner_id,
        Provisioning.reference == asked.body["reference"],
    )
    if session.scalar(found) != asked.fingerprint:
        reason = _("came with another body before")
        violation = Violation("provisioning_reference_reused", reason, pointer="/reference")
        raise ProvisioningReferenceReused(
            _(
                "Repeat the request with the same body, or take a reference of its own for another"
                " organisation."
            ),
            errors=[violation],
        )


def resend_invitation(ctx: Context, reference: str) -> None:
    """Mails the owner a new link. 404 for no saga of the partner's; 409 before it is completed,
    and once the invitation was answered or somebody of the organisation has seen to it."""
    saga = ctx.session.scalar(
        select(Provisioning).where(
            Provisioning.partner_id == ctx.partner_id, Provisioning.reference == reference
        )
    )
    if saga is None:
        raise not_found("provisioning")
    if saga.state != "completed":
        raise ProvisioningNotCompleted(
            _("There is no invitation before the organisation is whole.")
        )
    enter_tenant(ctx.session, saga.organisation_id)
    by = Origin(ctx.now, saga.organisation_id, actor_id=ctx.partner_id, request_id=ctx.request_id)
    invitation = _open_invitation(ctx.session, by)
    invitations.renew(ctx.runtime, ctx.session, invitation, by, ctx.language)


def _open_invitation(session: Session, by: Origin) -> Invitation:
    """The invitation that the saga sent, locked."""
    own = (Invitation.org_id == by.org_id, Invitation.invited_by_id == by.actor_id)
    invitation = session.scalar(select(Invitation).where(*own).with_for_update())
    if invitation is None:
        raise InvitationClosed(_("The organisation has seen to it itself."))
    invitation.require_open()
    return invitation

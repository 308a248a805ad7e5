"""What partners ask for: an organisation under a reference of theirs, once. The work itself is in
:mod:`provisioning_steps`, done by a worker."""

import json
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.context import Context
from bugtracker.errors import ProvisioningReferenceReused, Violation
from bugtracker.ids import new_id
from bugtracker.jobs.queue import Options, Queue
from bugtracker.models import Provisioning, ProvisioningStep
from bugtracker.models.partner import STEPS


def provision(ctx: Context) -> None:
    """Begins a saga for the body's ``reference``, or finds the one of the same body.

    422 when the reference belongs to another body, unless that one has failed: nothing is left
    of it then, and the reference is free again.
    """
    fingerprint = _fingerprint(ctx)
    saga_id = _claim(ctx, fingerprint)
    if saga_id is None:
        _require_same(ctx, fingerprint)
    else:
        _plan(ctx.session, saga_id)
        defer(ctx.runtime.queue, ctx.session, saga_id)


def defer(queue: Queue, session: Session, saga_id: UUID) -> None:
    """Queues the job that works on a saga, unless one waits; no two do so at a time."""
    name = f"provisioning:{saga_id}"
    alone = Options(lock=name, queueing_lock=name)
    queue.defer(session, "provisioning.run", alone, provisioning_id=saga_id)


def _fingerprint(ctx: Context) -> bytes:
    canonical = json.dumps(["provisioning", ctx.body], sort_keys=True)
    return ctx.runtime.keyring.fingerprint(canonical.encode())


def _claim(ctx: Context, fingerprint: bytes) -> UUID | None:
    """The saga that begins now, new or anew; None when there is one for the reference. One
    statement: of many requests at once one gets it."""
    fresh = {
        "fingerprint": fingerprint,
        "request": ctx.body,
        "state": "pending",
        "organisation_id": new_id(),
        "failure_code": None,
        "failure_detail": None,
        "attempts": 0,
        "request_id": ctx.request_id,
        "created_at": ctx.now,
        "updated_at": ctx.now,
    }
    key = {"partner_id": ctx.partner_id, "reference": ctx.body["reference"]}
    return ctx.session.scalar(
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


def _require_same(ctx: Context, fingerprint: bytes) -> None:
    reference = ctx.body["reference"]
    found = select(Provisioning.fingerprint).where(
        Provisioning.partner_id == ctx.partner_id, Provisioning.reference == reference
    )
    if ctx.session.scalar(found) != fingerprint:
        reason = "came with another body before"
        violation = Violation("provisioning_reference_reused", reason, pointer="/reference")
        raise ProvisioningReferenceReused(
            "Repeat the request with the same body, or take a reference of its own for another"
            " organisation.",
            errors=[violation],
        )

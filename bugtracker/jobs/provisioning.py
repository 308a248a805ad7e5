"""The job that works on a saga: one step per transaction, forwards until it is whole, or, once one
was refused, backwards until nothing is left. Killed anywhere, it goes on where the database says.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.db import enter_tenant
from bugtracker.errors import AppError
from bugtracker.messages import _
from bugtracker.models import Partner, Provisioning, ProvisioningStep
from bugtracker.models.partner import UNFINISHED
from bugtracker.runtime import Runtime
from bugtracker.services.provisioning import defer
from bugtracker.services.provisioning_steps import DOING, Work

MAX_ATTEMPTS = 5
"""So many runs may end without a step done; then what was done is undone."""

FORGOTTEN_AFTER = timedelta(minutes=1)

log = structlog.get_logger()


def run(runtime: Runtime, provisioning_id: str) -> None:
    """Works on a saga until it has ended."""
    saga_id = UUID(provisioning_id)
    _begin(runtime, saga_id)
    while _advance(runtime, saga_id):
        pass


def resume(runtime: Runtime) -> None:
    """Queues sagas that nobody has worked on for a while, unless their job waits."""
    forgotten = select(Provisioning.id).where(
        Provisioning.state.in_(UNFINISHED),
        Provisioning.updated_at < utc_now() - FORGOTTEN_AFTER,
    )
    with runtime.db.transaction() as session:
        for saga_id in session.scalars(forgotten):
            defer(runtime.queue, session, saga_id)


def _begin(runtime: Runtime, saga_id: UUID) -> None:
    """Counts the run."""
    with runtime.db.transaction() as session:
        saga = _lock(session, saga_id)
        if saga.state not in UNFINISHED:
            return
        if saga.state == "pending":
            saga.state = "running"
        if saga.state == "running" and saga.attempts >= MAX_ATTEMPTS:
            saga.fail("provisioning_failed", _("It could not be done; try again later."))
            log.error("provisioning_given_up", provisioning=str(saga_id))
        saga.attempts += 1
        saga.updated_at = utc_now()


def _advance(runtime: Runtime, saga_id: UUID) -> bool:
    """Does or undoes one step; False when there is none left."""
    try:
        with runtime.db.transaction() as session:
            saga = _lock(session, saga_id)
            if saga.state == "running":
                _do(runtime, session, saga)
            elif saga.state == "compensating":
                _undo(session, saga)
            return saga.state in UNFINISHED
    except AppError as refusal:
        _refuse(runtime, saga_id, refusal)
        return True


def _lock(session: Session, saga_id: UUID) -> Provisioning:
    """The saga, locked: of two workers who believe it is theirs one does a step."""
    return session.scalars(
        select(Provisioning).where(Provisioning.id == saga_id).with_for_update()
    ).one()


def _do(runtime: Runtime, session: Session, saga: Provisioning) -> None:
    """The first step that is not done."""
    now, partner = utc_now(), session.get_one(Partner, saga.partner_id)
    if partner.disabled_at is not None:
        saga.fail("partner_disabled", _("The partner was disabled meanwhile."))
        return
    step = next(step for step in _steps(session, saga) if step.finished_at is None)
    enter_tenant(session, saga.organisation_id)
    DOING[step.name](Work(runtime, session, saga, partner, now))
    step.finished_at = saga.updated_at = now
    saga.attempts = 0
    log.info("provisioning_step_done", provisioning=str(saga.id), step=step.name)


def _undo(session: Session, saga: Provisioning) -> None:
    """The last step that is done; when there is none, the saga has failed."""
    now, steps = utc_now(), reversed(_steps(session, saga))
    step = next((s for s in steps if s.finished_at and not s.undone_at), None)
    saga.updated_at = now
    if step is None:
        saga.state, saga.request = "failed", None
        log.warning("provisioning_failed", provisioning=str(saga.id), code=saga.failure_code)
        return
    session.execute(select(func.undo_provisioning_step(saga.id, step.name)))
    step.undone_at = now
    log.info("provisioning_step_undone", provisioning=str(saga.id), step=step.name)


def _steps(session: Session, saga: Provisioning) -> Sequence[ProvisioningStep]:
    return session.scalars(
        select(ProvisioningStep)
        .where(ProvisioningStep.provisioning_id == saga.id)
        .order_by(ProvisioningStep.position)
    ).all()


def _refuse(runtime: Runtime, saga_id: UUID, refusal: AppError) -> None:
    """What the step had done is gone with its transaction; now those before it."""
    with runtime.db.transaction() as session:
        saga = _lock(session, saga_id)
        if saga.state == "running":
            saga.fail(refusal.code, refusal.detail)

"""The jobs that erase. Each may be killed anywhere and run again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.erasure.record import erase_record
from bugtracker.erasure.rows import Person, erase_reasons, erase_rows
from bugtracker.jobs.queue import Options
from bugtracker.jobs.retry import is_permanent
from bugtracker.mail import farewells
from bugtracker.messages import SOURCE
from bugtracker.models import Account, DeletionRequest, Organisation
from bugtracker.runtime import Runtime
from bugtracker.services.events import Origin, Resource, append

PATIENCE = timedelta(hours=1)
"""How long a mail server that does not answer holds an erasure up."""

OVERDUE = timedelta(hours=6)
"""After so long a job has been tried as often as it is."""

WAITING = text("SELECT org_id, id FROM waiting_deletions(:before)")

log = structlog.get_logger()


def announce_deletion(
    runtime: Runtime, org_id: str, request_id: str, language: str = SOURCE
) -> None:
    """Mails the person that they are about to be erased, while there is an address; then queues
    it."""
    request = _approved(runtime, UUID(org_id), UUID(request_id))
    if request is None:
        return
    with _patient(request.decided_at):
        farewells.deletion_approved(runtime, request, language)
    with runtime.db.transaction(org_id=request.org_id) as session:
        ids = {"org_id": request.org_id, "request_id": request.id}
        options = Options(lock=f"deletion:{request.id}", queueing_lock=f"erase:{request.id}")
        runtime.queue.defer(session, "deletion.run", options, **ids)


def run_deletion(runtime: Runtime, org_id: str, request_id: str) -> None:
    """Erases the person of an approved request from the organisation, and the account when this
    was the last one that held anything of it."""
    request = _approved(runtime, UUID(org_id), UUID(request_id))
    if request is None:
        return
    with runtime.db.transaction(org_id=request.org_id) as session:
        person = _locked(session, request)
        erase_rows(session, runtime.keyring, person, utc_now())
    erase_record(runtime, person, request.id)
    with runtime.db.transaction(org_id=request.org_id) as session:
        _finish(session, _locked(session, request), request.id)
    log.info("person_erased", organisation=org_id, request=request_id)


def _approved(runtime: Runtime, org_id: UUID, request_id: UUID) -> DeletionRequest | None:
    with runtime.db.transaction(org_id=org_id) as session:
        request = session.get(DeletionRequest, (org_id, request_id))
    return request if request is not None and request.state == "approved" else None


def _locked(session: Session, request: DeletionRequest) -> Person:
    """The account before the organisation, as everywhere."""
    account = session.scalar(select(Account).where(Account.id == request.user_id).with_for_update())
    session.scalars(
        select(Organisation)
        .where(Organisation.id == request.org_id)
        .with_for_update(key_share=True)
    ).one()
    return Person(request.org_id, request.user_id, account.email if account else None)


def _finish(session: Session, person: Person, request_id: UUID) -> None:
    """The request is done, once. With the account locked, the last of several finds the others
    done."""
    now = utc_now()
    version = session.scalar(
        update(DeletionRequest)
        .where(
            DeletionRequest.org_id == person.org_id,
            DeletionRequest.id == request_id,
            DeletionRequest.state == "approved",
        )
        .values(
            state="done",
            reason=None,
            done_at=now,
            updated_at=now,
            version=DeletionRequest.version + 1,
        )
        .returning(DeletionRequest.version)
    )
    if version is None:
        return
    resource = Resource("deletion_request", request_id, version)
    changes = {"state": ("approved", "done")}
    append(session, Origin(now, person.org_id), "deletion.done", resource, changes)
    erase_reasons(session, person)
    session.scalar(select(func.erase_account(person.user_id)))


def announce_account_deletion(runtime: Runtime, account_id: str, language: str = SOURCE) -> None:
    """Mails whoever deleted their account; then queues the erasure."""
    with runtime.db.transaction() as session:
        account = session.get(Account, UUID(account_id))
        if account is None or account.erasing_since is None:
            return
    with _patient(account.erasing_since):
        farewells.account_deleted(runtime, account, language)
    with runtime.db.transaction() as session:
        options = Options(lock=f"erase:{account_id}", queueing_lock=f"erase:{account_id}")
        runtime.queue.defer(session, "account.erase", options, account_id=account_id)


def erase_account(runtime: Runtime, account_id: str) -> None:
    """Erases somebody from each of their organisations, and then the account."""
    person = UUID(account_id)
    with runtime.db.transaction(account_id=person) as session:
        waiting = session.scalars(
            select(DeletionRequest)
            .where(DeletionRequest.user_id == person, DeletionRequest.state == "approved")
            .order_by(DeletionRequest.org_id)
        ).all()
    for request in waiting:
        run_deletion(runtime, str(request.org_id), str(request.id))
    with runtime.db.transaction() as session:
        # There may have been no organisation at all.
        session.scalar(select(func.erase_account(person)))


def resume(runtime: Runtime) -> int:
    """Queues again what should have been erased long ago and was not, since its job failed for
    good. Safe to run at any time; returns how many."""
    before = utc_now() - OVERDUE
    with runtime.db.transaction() as session:
        overdue = session.execute(WAITING, {"before": before}).all()
        closing = session.scalars(select(Account.id).where(Account.erasing_since < before)).all()
        for row in overdue:
            options = Options(lock=f"deletion:{row.id}", queueing_lock=f"erase:{row.id}")
            ids = {"org_id": row.org_id, "request_id": row.id}
            runtime.queue.defer(session, "deletion.run", options, **ids)
        for account_id in closing:
            options = Options(lock=f"erase:{account_id}", queueing_lock=f"erase:{account_id}")
            runtime.queue.defer(session, "account.erase", options, account_id=account_id)
    if overdue or closing:
        log.error("erasure_overdue", requests=len(overdue), accounts=len(closing))
    return len(overdue) + len(closing)


@contextmanager
def _patient(since: datetime | None) -> Iterator[None]:
    """A mail that fails is tried again with its job, but not for ever: people have a right to be
    erased, and it must not hang on a mail server."""
    try:
        yield
    except (OSError, ValueError) as error:
        if not is_permanent(error) and since is not None and utc_now() < since + PATIENCE:
            raise
        log.warning("farewell_not_sent", reason=type(error).__name__)

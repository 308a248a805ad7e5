"""Mails about the deletion of a person or an account, sent while there still is an address."""

from uuid import UUID

from sqlalchemy import select

from bugtracker.mail.letters import send_to_account
from bugtracker.messages import SOURCE
from bugtracker.models import Account, DeletionRequest, Organisation
from bugtracker.runtime import Runtime


def deletion_refused(
    runtime: Runtime, org_id: str, request_id: str, language: str = SOURCE
) -> None:
    """Mails the person why their request was refused. Nothing for one that was not."""
    with runtime.db.transaction(org_id=UUID(org_id)) as session:
        request = session.get(DeletionRequest, (UUID(org_id), UUID(request_id)))
    if request is not None and request.state == "refused":
        _decided(runtime, "deletion_refused", request, language)


def deletion_approved(runtime: Runtime, request: DeletionRequest, language: str) -> None:
    """Mails the person that they are about to be erased, and why."""
    _decided(runtime, "deletion_approved", request, language)


def _decided(runtime: Runtime, kind: str, request: DeletionRequest, asked: str) -> None:
    """Nothing for somebody without an account: there is no address."""
    with runtime.db.transaction(org_id=request.org_id) as session:
        account = session.get(Account, request.user_id)
        organisation = session.scalars(
            select(Organisation.name).where(Organisation.id == request.org_id)
        ).one()
    if account is not None:
        values = {"organisation": organisation, "reason": request.reason or ""}
        send_to_account(runtime.settings, kind, account, values, asked)


def account_deleted(runtime: Runtime, account: Account, language: str) -> None:
    """Mails whoever deleted their account that it is closed."""
    send_to_account(runtime.settings, "account_deleted", account, {}, language)

"""The job that tells somebody who can do something about it that a webhook was suspended."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from bugtracker.mail.letters import send_to_account
from bugtracker.messages import SOURCE
from bugtracker.models import Account, Organisation, Webhook
from bugtracker.runtime import Runtime


def webhook_suspended(
    runtime: Runtime, org_id: str, webhook_id: str, account_id: str, language: str = SOURCE
) -> None:
    """Mails one admin. Nothing when it goes on already, or the account has ended."""
    with runtime.db.transaction(org_id=UUID(org_id)) as session:
        webhook = _suspended(session, UUID(org_id), UUID(webhook_id))
        account = session.scalar(
            select(Account).where(Account.id == UUID(account_id), Account.is_active)
        )
    if webhook is None or account is None:
        return
    values = {
        "organisation": webhook.name,
        "description": webhook.description or webhook_id,
        "reason": webhook.suspended_because,
        "endpoint": f"{runtime.settings.base_url}/api/webhooks/{webhook_id}",
    }
    send_to_account(runtime.settings, "webhook_suspended", account, values, language)


def _suspended(session: Session, org_id: UUID, webhook_id: UUID) -> Row[*tuple[Any, ...]] | None:
    """Not its URL: that may hold the receiver's secrets, and mails are no place for them."""
    return session.execute(
        select(Organisation.name, Webhook.description, Webhook.suspended_because)
        .join(Webhook, Webhook.org_id == Organisation.id)
        .where(
            Webhook.org_id == org_id,
            Webhook.id == webhook_id,
            Webhook.suspended_at.is_not(None),
            Webhook.deleted_at.is_(None),
        )
    ).one_or_none()

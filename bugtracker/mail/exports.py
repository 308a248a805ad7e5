"""The job that tells somebody that the archive they asked for is ready. There is nothing secret in
the mail: the archive can be had with the caller's session only."""

from uuid import UUID

import structlog
from sqlalchemy import and_, select

from bugtracker.clock import utc_now
from bugtracker.mail.message import compose, duration, language_for
from bugtracker.mail.sending import send_mail
from bugtracker.messages import SOURCE
from bugtracker.models import Account, BackgroundJob, Export, Organisation
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.runtime import Runtime

log = structlog.get_logger()


def export_ready(runtime: Runtime, org_id: str, export_id: str, language: str = SOURCE) -> None:
    """Nothing for an archive that was downloaded or is gone, or an account that was disabled."""
    made = and_(BackgroundJob.org_id == Export.org_id, BackgroundJob.id == Export.id)
    with runtime.db.transaction(org_id=UUID(org_id)) as session:
        row = session.execute(
            select(
                Account.email,
                Account.username,
                Account.language,
                Organisation.name.label("organisation"),
                PEOPLE.c.username.label("person"),
            )
            .select_from(Export)
            .join(BackgroundJob, made)
            .join(Account, and_(Account.id == BackgroundJob.created_by_id, Account.is_active))
            .join(Organisation, Organisation.id == Export.org_id)
            .join(PEOPLE, is_person(BackgroundJob.org_id, BackgroundJob.subject_id))
            .where(
                Export.org_id == UUID(org_id),
                Export.id == UUID(export_id),
                Export.downloaded_at.is_(None),
                Export.cleared_at.is_(None),
            )
        ).one_or_none()
    if row is None:
        return
    settings = runtime.settings
    values = {
        "username": row.username,
        "organisation": row.organisation,
        "person": row.person,
        "lifetime": duration(settings.export_seconds),
        "endpoint": f"{settings.base_url}/api/exports/{export_id}/download",
        "base_url": settings.base_url,
    }
    message = compose(
        "export_ready",
        sender=settings.mail_from,
        recipient=row.email,
        now=utc_now(),
        values=values,
        language=language_for(row.language, language),
    )
    send_mail(settings, message)
    log.info("mail_sent", kind="export_ready", export=export_id)

"""The job that tells somebody that the archive they asked for is ready. There is nothing secret in
the mail: the archive can be had with the caller's session only."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select

from bugtracker.mail.letters import send_letter
from bugtracker.mail.message import duration, language_for
from bugtracker.messages import SOURCE
from bugtracker.models import Account, BackgroundJob, Export, Organisation
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.runtime import Runtime


def export_ready(runtime: Runtime, org_id: str, export_id: str, language: str = SOURCE) -> None:
    """Nothing for an archive that was downloaded or is gone, or an account that was disabled."""
    with runtime.db.transaction(org_id=UUID(org_id)) as session:
        row = session.execute(_waiting(UUID(org_id), UUID(export_id))).one_or_none()
    if row is None:
        return
    settings = runtime.settings
    values = {
        "username": row.username,
        "organisation": row.organisation,
        "person": row.person,
        "lifetime": duration(settings.export_seconds),
        "endpoint": f"{settings.base_url}/api/exports/{export_id}/download",
    }
    language = language_for(row.language, language)
    send_letter(settings, "export_ready", row.email, values, language, export=export_id)


def _waiting(org_id: UUID, export_id: UUID) -> Select[*tuple[Any, ...]]:
    """Whom to tell, and of what: one row while the archive waits to be downloaded."""
    made = and_(BackgroundJob.org_id == Export.org_id, BackgroundJob.id == Export.id)
    return (
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
            Export.org_id == org_id,
            Export.id == export_id,
            Export.downloaded_at.is_(None),
            Export.cleared_at.is_(None),
        )
    )

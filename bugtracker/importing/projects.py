"""The project that an archive becomes, or has become before."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from bugtracker.ids import new_id
from bugtracker.importing.bulk import Bulk, insert_bulks
from bugtracker.importing.fields import Refused
from bugtracker.importing.people import People
from bugtracker.importing.reading import Archive
from bugtracker.importing.rows import event_row
from bugtracker.models import Event, Project
from bugtracker.services.project_keys import derive_key

IMPORTED = "project.imported"


def lock_imports(session: Session, org_id: UUID) -> None:
    """One import at a time per organisation, so that two never make the same person."""
    key = func.hashtextextended(f"bugtracker.import:{org_id}", 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))


def open_project(
    session: Session, org_id: UUID, archive: Archive, people: People, now: datetime
) -> tuple[UUID, str]:
    """Id and key of the archive's project, made if it is new.

    Raises Refused when its name belongs to a project that did not come from this repository, or
    when it has been archived since.
    """
    found = _find(session, org_id, archive)
    if found is None:
        return _create(session, org_id, archive, people, now)
    _count_up(session, org_id, found[0], archive.highest_number)
    return found


def _find(session: Session, org_id: UUID, archive: Archive) -> tuple[UUID, str] | None:
    repository = Event.changes["repository"][1].astext
    is_import = and_(
        Event.org_id == Project.org_id,
        Event.resource_id == Project.id,
        Event.action == IMPORTED,
    )
    statement = (
        select(Project.id, Project.key, Project.name, Project.is_archived, repository)
        .outerjoin(Event, is_import)
        .where(
            Project.org_id == org_id,
            or_(
                func.lower(repository) == archive.repository.lower(),
                func.lower(Project.name) == archive.name.lower(),
            ),
        )
    )
    rows = session.execute(statement).all()
    for project_id, key, name, is_archived, source in rows:
        if source and source.lower() == archive.repository.lower():
            if is_archived:
                raise Refused("repo", f"project {name} is archived; unarchive it first")
            return project_id, key
    for _, _, name, _, source in rows:
        where = f"was imported from {source}" if source else "was not made by an import"
        raise Refused("repo", f"there is a project {name} already, which {where}")
    return None


def _create(
    session: Session, org_id: UUID, archive: Archive, people: People, now: datetime
) -> tuple[UUID, str]:
    taken = set(session.scalars(select(Project.key).where(Project.org_id == org_id)))
    project_id, key = new_id(), derive_key(archive.name, taken)
    created_by_id = people.manager()
    people.flush()
    row = {
        "org_id": org_id,
        "id": project_id,
        "key": key,
        "name": archive.name,
        "description": archive.repository,
        "created_by_id": created_by_id,
        "is_archived": False,
        "last_issue_number": archive.highest_number,
        # No issue is older than its project.
        "created_at": min((issue.created_at for issue in archive.issues), default=now),
        "updated_at": now,
        "version": 1,
    }
    created = {"repository": archive.repository, "name": archive.name, "key": key}
    event = event_row(
        org_id, IMPORTED, ("project", project_id), created, now, project_id=project_id
    )
    insert_bulks(session, [Bulk(Project, [row], {}), Bulk(Event, [event], {})])
    return project_id, key


def _count_up(session: Session, org_id: UUID, project_id: UUID, number: int) -> None:
    """New issues get numbers behind all that the archive has used."""
    session.execute(
        update(Project)
        .where(
            Project.org_id == org_id, Project.id == project_id, Project.last_issue_number < number
        )
        .values(last_issue_number=number)
    )

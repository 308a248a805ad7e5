"""Creating, editing and archiving projects."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import AppError, ProjectKeyTaken, ProjectNameTaken
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import Project
from bugtracker.security.permissions import Relations, authorise
from bugtracker.security.scoping import lock_organisation, lock_project
from bugtracker.services import events
from bugtracker.services.changes import apply_patch, cleared
from bugtracker.services.project_keys import derive_key


def create_project(ctx: Context) -> Project:
    """A new project from the request's body. 409 when its name or key is taken."""
    body = ctx.body
    key = body.get("key") or derive_key(body["name"], _taken_keys(ctx))
    by = events.by_caller(ctx)
    return add_project(ctx.session, by, key, body["name"], body.get("description", ""))


def add_project(
    session: Session, by: events.Origin, key: str, name: str, description: str = ""
) -> Project:
    """A new project of whoever does it, in their organisation. 409 as :func:`create_project`."""
    project = Project(
        org_id=by.org_id,
        id=new_id(),
        key=key,
        name=name,
        description=description,
        created_by_id=by.actor_id,
        is_archived=False,
        last_issue_number=0,
        created_at=by.now,
        updated_at=by.now,
        version=1,
    )
    session.add(project)
    _flush(session)
    changes = events.created(key=key, name=name, description=description)
    events.append(session, by, "project.created", events.of_project(project), changes)
    return project


def _taken_keys(ctx: Context) -> set[str]:
    """The keys of the organisation, whose row is locked: keys are derived one after the other."""
    lock_organisation(ctx)
    return set(ctx.session.scalars(select(Project.key).where(Project.org_id == ctx.org_id)))


def _flush(session: Session) -> None:
    """Writes the project. 409 when its name or key is taken, maybe since a moment ago."""
    try:
        session.flush()
    except IntegrityError as error:
        raise (_taken(error) or error) from error


def _taken(error: IntegrityError) -> AppError | None:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    if constraint == "projects_org_id_name_key":
        return ProjectNameTaken(_("Another project of this organisation has this name."))
    if constraint == "projects_org_id_key_key":
        return ProjectKeyTaken(_("Another project of this organisation has this key."))
    return None


def update_project(ctx: Context, project_id: str) -> Project:
    """Applies a merge patch. Archiving is a permission of its own (403)."""
    project = lock_project(ctx, project_id)
    relations = Relations(creator=project.created_by_id)
    if ctx.body.keys() - {"is_archived"}:
        authorise(ctx.principal, "projects.update", relations)
    if ctx.body.get("is_archived", project.is_archived) != project.is_archived:
        authorise(ctx.principal, "projects.archive", relations)
    check_if_match(ctx, project, project.id)
    _apply(ctx, project, cleared(ctx.body, "description"))
    return project


def archive_project(ctx: Context, project_id: str) -> None:
    """Archives the project; again is no change."""
    project = lock_project(ctx, project_id)
    authorise(ctx.principal, "projects.archive", Relations(creator=project.created_by_id))
    check_if_match(ctx, project, project.id)
    _apply(ctx, project, {"is_archived": True})


def _apply(ctx: Context, project: Project, patch: dict[str, Any]) -> None:
    changes = apply_patch(project, patch)
    if not changes:
        return
    project.touch(ctx.now)
    _flush(ctx.session)
    action = "project.updated"
    if "is_archived" in changes:
        action = "project.archived" if project.is_archived else "project.unarchived"
    events.record(ctx, action, events.of_project(project), changes)

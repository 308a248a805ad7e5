"""What may I do here, and why not? Asked of the very functions that refuse the real thing."""

from collections.abc import Callable
from dataclasses import dataclass

from bugtracker.context import Context
from bugtracker.errors import AppError
from bugtracker.models import Issue, Project
from bugtracker.models.issue import STATUSES, Status
from bugtracker.security.permissions import Relations, authorise
from bugtracker.security.scoping import find_issue, find_project
from bugtracker.services.issues import relations, require_comment_when_critical

Check = Callable[[], None]
"""Raises the refusal, if there is one."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do: a permission, or ``transition:<status>``; and what would refuse it now."""

    name: str
    refusal: AppError | None


def _action(name: str, *checks: Check) -> Action:
    try:
        for check in checks:
            check()
    except AppError as error:
        return Action(name, error)
    return Action(name, None)


def of_issue(ctx: Context, ref: str) -> list[Action]:
    """What the caller may do to an issue. 404 when there is none."""
    issue, project = find_issue(ctx, ref)
    related, own = relations(issue, project), Relations(reporter=ctx.user_id)
    return [
        _action("issues.update", *_writing(ctx, "issues.update", related, project)),
        _action(
            "issues.assign",
            # Assigning is a part of updating: who may update nothing at all is told that.
            lambda: authorise(ctx.principal, "issues.update", own),
            *_writing(ctx, "issues.assign", related, project),
        ),
        _action("comments.create", *_writing(ctx, "comments.create", related, project)),
        *(_transition(ctx, issue, project, to) for to in STATUSES if to != issue.status),
    ]


def _writing(ctx: Context, permission: str, to: Relations, project: Project) -> tuple[Check, Check]:
    return lambda: authorise(ctx.principal, permission, to), project.require_writable


def _transition(ctx: Context, issue: Issue, project: Project, to: Status) -> Action:
    return _action(
        f"transition:{to}",
        *_writing(ctx, "issues.update", relations(issue, project), project),
        lambda: issue.require_transition(to),
        lambda: require_comment_when_critical(ctx, issue, to),
    )


def of_project(ctx: Context, project_id: str) -> list[Action]:
    """What the caller may do to a project, and in it. 404 when there is none."""
    project = find_project(ctx, project_id)
    related = Relations(creator=project.created_by_id)
    permitted = ("projects.update", "projects.archive")
    return [
        *(_action(name, _writing(ctx, name, related, project)[0]) for name in permitted),
        _action("issues.create", *_writing(ctx, "issues.create", related, project)),
    ]

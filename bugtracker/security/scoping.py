"""Loads what a request names, in the caller's organisation only, for changing it.

A missing object and another organisation's answer alike: 404. Rows are locked in one order,
organisation before project before issue before comment, so that writers wait and never deadlock.
"""

import re
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, select

from bugtracker.context import Context
from bugtracker.errors import OrganisationNotCurrent, ResourceNotFound
from bugtracker.messages import Message, _
from bugtracker.models import Comment, Issue, Member, Organisation, Project

ISSUE_KEY = re.compile(r"([A-Za-z][A-Za-z0-9]{1,9})-([1-9][0-9]{0,8})")


Kind = Literal[
    "API key",
    "comment",
    "deletion request",
    "delivery",
    "export",
    "invitation",
    "issue",
    "job",
    "member",
    "organisation",
    "project",
    "provisioning",
    "session",
    "user",
    "webhook",
]
MISSING: dict[Kind, Message] = {
    "API key": _("There is no such API key in this organisation."),
    "comment": _("There is no such comment in this organisation."),
    "deletion request": _("There is no such deletion request in this organisation."),
    "delivery": _("There is no such delivery of this webhook."),
    "export": _("There is no such export among yours."),
    "invitation": _("There is no such invitation in this organisation."),
    "issue": _("There is no such issue in this organisation."),
    "job": _("There is no such job in this organisation."),
    "member": _("There is no such member in this organisation."),
    "organisation": _("There is no such organisation among yours."),
    "project": _("There is no such project in this organisation."),
    "provisioning": _("There is no such provisioning of yours."),
    "session": _("There is no such session of yours."),
    "user": _("There is no such user in this organisation."),
    "webhook": _("There is no such webhook in this organisation."),
}
"""Whole sentences: the words of a language depend on each other."""


def not_found(kind: Kind) -> ResourceNotFound:
    """The 404 of a missing object, or of one that is not the caller's to know of."""
    return ResourceNotFound(MISSING[kind])


def issue_named(ctx: Context, ref: str) -> ColumnElement[bool]:
    """The condition on Issue for an issue's id or key in the caller's organisation."""
    here = Issue.org_id == ctx.org_id
    if (parsed := parse_issue_key(ref)) is None:
        return and_(here, Issue.id == UUID(ref))
    key, number = parsed
    # Looked up first rather than joined: all three columns of the unique index are known.
    return and_(here, Issue.project_id == project_of_key(ctx.org_id, key), Issue.number == number)


def parse_issue_key(ref: str) -> tuple[str, int] | None:
    """The project's key and the issue's number; None for what is an id."""
    match = ISSUE_KEY.fullmatch(ref)
    return None if match is None else (match[1].upper(), int(match[2]))


def project_of_key(org_id: Any, key: Any) -> ScalarSelect[UUID]:
    """The id of an organisation's project of this key."""
    named = select(Project.id).where(Project.org_id == org_id, Project.key == key)
    return named.scalar_subquery()


def in_same_project() -> ColumnElement[bool]:
    """Joins issues with their project."""
    return and_(Project.org_id == Issue.org_id, Project.id == Issue.project_id)


def require_current(ctx: Context, organisation_id: str) -> None:
    """Refuses an organisation other than the token's: 403 with what to do for another one of the
    caller's, 404 for all others."""
    org_id = UUID(organisation_id)
    if org_id == ctx.org_id:
        return
    joined = select(Member.role).where(
        Member.org_id == org_id, Member.account_id == ctx.user_id, Member.removed_at.is_(None)
    )
    if ctx.session.scalar(joined) is None:
        raise not_found("organisation")
    raise OrganisationNotCurrent(
        _(
            "To work in it, send the refresh token with org_id {org_id} to /api/auth/refresh.",
            org_id=org_id,
        )
    )


def lock_organisation(ctx: Context, org_id: UUID | None = None) -> Organisation:
    """The caller's organisation, or the one that the transaction is in, locked: what happens once
    at a time in it waits here."""
    return ctx.session.scalars(
        select(Organisation)
        .where(Organisation.id == (org_id or ctx.org_id))
        # Not FOR UPDATE: everything that is written meanwhile refers to it.
        .with_for_update(key_share=True)
        # Whoever waited sees what the others did.
        .execution_options(populate_existing=True)
    ).one()


def find_project(ctx: Context, project_id: str) -> Project:
    """The project as it is now, for telling about it. 404 when there is none."""
    return _project(ctx, _named(ctx, project_id))


def lock_project(ctx: Context, project_id: str) -> Project:
    """The project, locked for changing it. 404 when there is none."""
    return _project(ctx, _named(ctx, project_id).with_for_update())


def _named(ctx: Context, project_id: str) -> Select[Project]:
    return select(Project).where(Project.org_id == ctx.org_id, Project.id == UUID(project_id))


def _project(ctx: Context, statement: Select[Project]) -> Project:
    project = ctx.session.scalar(statement)
    if project is None:
        raise not_found("project")
    return project


def lock_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """The issue, locked for changing it, and its project, kept from being archived meanwhile."""
    return _locked(ctx, issue_named(ctx, ref))


def find_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """The issue and its project as they are now, for telling about them."""
    return _issue_and_project(ctx, _with_project(ctx, ref))


def share_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """The issue and its project, both kept as they are while something is added to the issue."""
    return _issue_and_project(ctx, _with_project(ctx, ref).with_for_update(read=True))


def _with_project(ctx: Context, ref: str) -> Select[Issue, Project]:
    # Rows are locked in the order of FROM.
    together = select(Issue, Project).select_from(Project).join(Issue, in_same_project())
    return together.where(issue_named(ctx, ref))


def _issue_and_project(ctx: Context, statement: Select[Issue, Project]) -> tuple[Issue, Project]:
    row = ctx.session.execute(statement).one_or_none()
    if row is None:
        raise not_found("issue")
    issue, project = row
    return issue, project


def lock_comment(ctx: Context, comment_id: str) -> tuple[Comment, Issue, Project]:
    """The comment, locked for changing it, with its issue and project.

    The issue is locked too: its search document is made anew of all its comments, and two who
    edit would each miss the other's words, or wait for each other for ever.
    """
    found = select(Comment).where(Comment.org_id == ctx.org_id, Comment.id == UUID(comment_id))
    issue_id = ctx.session.scalar(found.with_only_columns(Comment.issue_id))
    if issue_id is None:
        raise not_found("comment")
    issue, project = _locked(ctx, and_(Issue.org_id == ctx.org_id, Issue.id == issue_id))
    comment = ctx.session.scalars(found.with_for_update()).one()
    return comment, issue, project


def _locked(ctx: Context, this_issue: ColumnElement[bool]) -> tuple[Issue, Project]:
    """The project shared, then the issue locked. 404 where there is none."""
    project = ctx.session.scalar(
        select(Project)
        .join(Issue, in_same_project())
        .where(this_issue)
        .with_for_update(read=True, of=Project)
    )
    issue = ctx.session.scalar(select(Issue).where(this_issue).with_for_update())
    if project is None or issue is None:
        raise not_found("issue")
    return issue, project

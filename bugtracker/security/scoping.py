"""Loads what a request names, in the caller's organisation only, for changing it.

A missing object and another organisation's answer alike: 404. Rows are locked in one order,
organisation before project before issue before comment, so that writers wait and never deadlock.
"""

from typing import Literal, cast
from uuid import UUID

from sqlalchemy import Connection, Executable, Table, and_, bindparam, select, text, update

from bugtracker.context import Context
from bugtracker.errors import OrganisationNotCurrent, ResourceNotFound
from bugtracker.messages import Message, _
from bugtracker.models import Comment, Issue, Member, Organisation, Project
from bugtracker.security.named import OfIssue, in_same_project, project_named
from bugtracker.security.principal import Principal

IS_PROJECT = and_(
    Project.org_id == bindparam("of_org", type_=Project.org_id.type),
    Project.id == bindparam("this", type_=Project.id.type),
)
# Whoever waited for a lock sees what the others did, also of what it had read before.
AFRESH = {"populate_existing": True}
PROJECT = select(Project).where(IS_PROJECT)
PROJECT_LOCKED = PROJECT.with_for_update().execution_options(**AFRESH)
PROJECTS = cast(Table, Project.__table__)
# A statement on the table: what the ORM does around an UPDATE of its own takes a third longer.
PROJECT_COUNTING = (
    select(Project)
    .from_statement(
        update(PROJECTS)
        .where(IS_PROJECT)
        .values(last_issue_number=PROJECTS.c.last_issue_number + 1)
        .returning(*PROJECTS.c)
    )
    .execution_options(**AFRESH)
)

ISSUE = select(Issue, Project).select_from(Project).join(Issue, in_same_project())
# The weakest lock that lock_project waits for, so that a project is not archived meanwhile, and
# count_issue does not: creating issues would starve where many edit. Rows are locked in this order.
ISSUE_KEPT = ISSUE.with_for_update(read=True, key_share=True, of=Project).execution_options(
    **AFRESH
)
ISSUE_FOUND = OfIssue(ISSUE.where)
# SQLAlchemy writes one locking clause only.
ISSUE_SHARED = OfIssue(ISSUE_KEPT.suffix_with(text("FOR SHARE OF issues")).where)
ISSUE_LOCKED = OfIssue(ISSUE_KEPT.suffix_with(text("FOR UPDATE OF issues")).where)

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


def require_current(ctx: Context, organisation_id: str) -> None:
    """Refuses an organisation other than the token's: 403 with what to do for another one of the
    caller's, 404 for all others."""
    org_id = UUID(organisation_id)
    if org_id == ctx.org_id:
        return
    refuse_elsewhere(ctx.session.connection(), ctx.principal, org_id)
    raise not_found("organisation")


def refuse_elsewhere(connection: Connection, caller: Principal, org_id: UUID) -> None:
    """403 for an organisation of the caller's that is not the token's; their role in the token's
    says nothing about that one. In a transaction of the caller's."""
    joined = select(Member.role).where(
        Member.org_id == org_id, Member.account_id == caller.account_id, Member.removed_at.is_(None)
    )
    if org_id != caller.org_id and connection.scalar(joined) is not None:
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
    return _project(ctx, project_id, PROJECT)


def lock_project(ctx: Context, project_id: str) -> Project:
    """The project, locked for changing it; nobody archives one without. 404 when there is none."""
    return _project(ctx, project_id, PROJECT_LOCKED)


def count_issue(ctx: Context, project_id: str) -> Project:
    """The project with one more issue counted, and so locked. 404 when there is none."""
    return _project(ctx, project_id, PROJECT_COUNTING)


def _project(ctx: Context, project_id: str, statement: Executable) -> Project:
    named = {"of_org": ctx.org_id, "this": project_named(ctx, project_id)}
    project: Project | None = ctx.session.scalar(statement, named)
    if project is None:
        raise not_found("project")
    return project


def lock_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """The issue, locked for changing it, and its project, kept from being archived meanwhile."""
    return _issue_and_project(ctx, ref, ISSUE_LOCKED)


def find_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """The issue and its project as they are now, for telling about them."""
    return _issue_and_project(ctx, ref, ISSUE_FOUND)


def share_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """The issue and its project, both kept as they are while something is added to the issue."""
    return _issue_and_project(ctx, ref, ISSUE_SHARED)


def _issue_and_project(ctx: Context, ref: str, of: OfIssue) -> tuple[Issue, Project]:
    statement, named = of.named(ctx.org_id, ref)
    row = ctx.session.execute(statement, named).one_or_none()
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
    issue, project = lock_issue(ctx, str(issue_id))
    comment = ctx.session.scalars(found.with_for_update()).one()
    return comment, issue, project

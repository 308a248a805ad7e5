"""Creating and editing issues."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.errors import AssigneeInvalid, IssueCommentRequired, Violation
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import Account, Comment, Issue, Member, Project
from bugtracker.models.issue import Status
from bugtracker.security.permissions import Relations, authorise, grant_of
from bugtracker.security.scoping import count_issue, lock_issue
from bugtracker.services import events
from bugtracker.services.changes import apply_patch, cleared
from bugtracker.services.texts import MAX_DESCRIPTION, harmless

CREATED_FIELDS = ("title", "description", "status", "priority", "assignee_id", "due_date")


def create_issue(ctx: Context, project_id: str) -> tuple[Issue, Project]:
    """A new issue, reported by the caller. 409 in an archived project, 422 for an assignee who
    cannot be one."""
    project = count_issue(ctx, project_id)
    project.require_writable()
    body = _parsed(ctx.body)
    issue = Issue(
        org_id=ctx.org_id,
        id=new_id(),
        project_id=project.id,
        number=project.last_issue_number,
        title=body["title"],
        description=body.get("description", ""),
        status="open",
        priority=body.get("priority", "medium"),
        reporter_id=ctx.user_id,
        assignee_id=body.get("assignee_id"),
        due_date=body.get("due_date"),
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    if issue.assignee_id is not None:
        authorise(ctx.principal, "issues.assign", relations(issue, project))
        _require_assignable(ctx, issue.assignee_id)
    ctx.session.add(issue)
    fields = {name: getattr(issue, name) for name in CREATED_FIELDS}
    events.record(ctx, "issue.created", events.of_issue(issue), events.created(**fields))
    return issue, project


def relations(issue: Issue, project: Project) -> Relations:
    """Who stands where to an issue."""
    return Relations(
        creator=project.created_by_id, reporter=issue.reporter_id, assignee=issue.assignee_id
    )


def update_issue(ctx: Context, ref: str) -> tuple[Issue, Project]:
    """Applies a merge patch under the issue's rules; what is already so is no change."""
    issue, project = lock_issue(ctx, ref)
    patch = _parsed(ctx.body)
    _authorise_patch(ctx, issue, project, patch)
    check_if_match(ctx, issue, issue.id)
    project.require_writable()
    issue.require_transition(patch.get("status", issue.status))
    if patch.get("assignee_id") not in (None, issue.assignee_id):
        _require_assignable(ctx, patch["assignee_id"])
    changes = apply_patch(issue, patch)
    if changes:
        if changes.keys() & {"status", "priority"}:
            require_comment_when_critical(ctx, issue, issue.status)
        issue.touch(ctx.now)
        events.record(ctx, "issue.updated", events.of_issue(issue), changes)
    return issue, project


def _parsed(body: dict[str, Any]) -> dict[str, Any]:
    """The body in the model's types, its Markdown made harmless."""
    parsed = cleared(body, "description")
    if "description" in body:
        text = parsed["description"]
        parsed["description"] = harmless(text, "/description", longest=MAX_DESCRIPTION)
    if body.get("assignee_id") is not None:
        parsed["assignee_id"] = UUID(body["assignee_id"])
    if body.get("due_date") is not None:
        parsed["due_date"] = date.fromisoformat(body["due_date"])
    return parsed


def _authorise_patch(ctx: Context, issue: Issue, project: Project, patch: dict[str, Any]) -> None:
    related = relations(issue, project)
    if patch.keys() - {"assignee_id"}:
        authorise(ctx.principal, "issues.update", related)
    alone = patch.keys() == {"assignee_id"}
    if alone or patch.get("assignee_id", issue.assignee_id) != issue.assignee_id:
        authorise(ctx.principal, "issues.assign", related)


def _require_assignable(ctx: Context, user_id: UUID) -> None:
    """422 unless the person is an active member whose role can be assigned work.

    Imported people have no account: what the import assigned stays, new work they cannot get.
    """
    role = ctx.session.scalar(
        select(Member.role)
        .join(Account, Account.id == Member.account_id)
        .where(
            Member.org_id == ctx.org_id,
            Member.user_id == user_id,
            Member.removed_at.is_(None),
            Account.is_active,
        )
        .with_for_update(read=True, of=Member)
    )
    if grant_of(role, "issues.be_assigned") is None:
        reason = _("is no member of this organisation whose role can be assigned work")
        violation = Violation("assignee_invalid", reason, pointer="/assignee_id")
        raise AssigneeInvalid(_("The assignee {reason}.", reason=reason), errors=[violation])


def require_comment_when_critical(ctx: Context, issue: Issue, status: Status) -> None:
    """T6: 409 for an issue that needs a comment to be in this status and has none. With the
    issue's row locked the answer stays true: comments are never deleted."""
    if not issue.needs_comment(status):
        return
    has_comment = ctx.session.scalar(
        select(exists().where(Comment.org_id == issue.org_id, Comment.issue_id == issue.id))
    )
    if not has_comment:
        raise IssueCommentRequired(_("Say in a comment how it was solved, then close it."))

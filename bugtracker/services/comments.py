"""Adding and editing comments."""

from bugtracker.conditional import check_if_match
from bugtracker.context import Context
from bugtracker.ids import new_id
from bugtracker.models import Comment
from bugtracker.security.permissions import Relations, authorise
from bugtracker.security.scoping import lock_comment, share_issue
from bugtracker.services import events
from bugtracker.services.changes import apply_patch
from bugtracker.services.texts import MAX_COMMENT, harmless_and_not_empty


def create_comment(ctx: Context, issue_ref: str) -> Comment:
    """A new comment by the caller. 409 in an archived project."""
    issue, project = share_issue(ctx, issue_ref)
    project.require_writable()
    comment = Comment(
        org_id=ctx.org_id,
        id=new_id(),
        issue_id=issue.id,
        author_id=ctx.user_id,
        content=_content(ctx),
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    ctx.session.add(comment)
    created = events.created(content=comment.content)
    events.record(ctx, "comment.created", events.of_comment(comment, issue), created)
    return comment


def update_comment(ctx: Context, comment_id: str) -> Comment:
    """New content, by the author only. The same content is no change."""
    comment, issue, project = lock_comment(ctx, comment_id)
    authorise(ctx.principal, "comments.update", Relations(author=comment.author_id))
    check_if_match(ctx, comment, comment.id)
    project.require_writable()
    changes = apply_patch(comment, {"content": _content(ctx)})
    if changes:
        comment.touch(ctx.now)
        events.record(ctx, "comment.updated", events.of_comment(comment, issue), changes)
    return comment


def _content(ctx: Context) -> str:
    return harmless_and_not_empty(ctx.body["content"], "/content", longest=MAX_COMMENT)

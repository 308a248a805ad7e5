"""Comments: list, add, read, edit. There is no delete."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.queries import comments as queries
from bugtracker.queries import issues
from bugtracker.security.scoping import not_found
from bugtracker.serializers import tracker as serializers
from bugtracker.services import comments as service


def list_comments(ctx: Context, issue_id: str) -> Reply:
    """GET /api/issues/{issue_id}/comments"""
    html = ctx.query["render"] == "html"
    page = queries.page(ctx, issue_id)
    if not page.rows and issues.find(ctx, issue_id) is None:
        raise not_found("issue")
    return page.reply(ctx, lambda row: serializers.comment(row, html=html))


def create_comment(ctx: Context, issue_id: str) -> Reply:
    """POST /api/issues/{issue_id}/comments"""
    comment = service.create_comment(ctx, issue_id)
    return created(comment, serializers.comment(comment), f"/api/comments/{comment.id}")


def get_comment(ctx: Context, comment_id: str) -> Reply:
    """GET /api/comments/{comment_id}"""
    row = queries.find(ctx, comment_id)
    if row is None:
        raise not_found("comment")
    return item(row, serializers.comment(row, html=ctx.query["render"] == "html"))


def update_comment(ctx: Context, comment_id: str) -> Reply:
    """PATCH /api/comments/{comment_id}"""
    comment = service.update_comment(ctx, comment_id)
    return item(comment, serializers.comment(comment))

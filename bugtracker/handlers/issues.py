"""Issues: list, create, read, edit, history."""

from functools import partial

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.includes import shown_item, shown_page
from bugtracker.paging import Serialise
from bugtracker.queries import history, projects
from bugtracker.queries import issues as queries
from bugtracker.queries.included import ISSUE_INCLUDES
from bugtracker.security.named import project_named
from bugtracker.security.scoping import not_found
from bugtracker.serializers import tracker as serializers
from bugtracker.services import issues as service


def list_issues(ctx: Context, project_id: str) -> Reply:
    """GET /api/projects/{project_id}/issues"""
    project = project_named(ctx, project_id)
    page = queries.page(ctx, project)
    if not page.rows and projects.find(ctx, str(project)) is None:
        raise not_found("project")
    return shown_page(ctx, page, _as_asked(ctx), ISSUE_INCLUDES)


def list_all_issues(ctx: Context) -> Reply:
    """GET /api/issues"""
    page = queries.page(ctx)
    return shown_page(ctx, page, _as_asked(ctx), ISSUE_INCLUDES)


def _as_asked(ctx: Context) -> Serialise:
    return partial(serializers.issue, html=ctx.query["render"] == "html")


def create_issue(ctx: Context, project_id: str) -> Reply:
    """POST /api/projects/{project_id}/issues"""
    issue, project = service.create_issue(ctx, project_id)
    body = serializers.issue(issue, project_key=project.key)
    return created(issue, body, f"/api/issues/{issue.id}")


def get_issue(ctx: Context, issue_id: str) -> Reply:
    """GET /api/issues/{issue_id}"""
    row = queries.find(ctx, issue_id)
    if row is None:
        raise not_found("issue")
    return shown_item(ctx, row, _as_asked(ctx), ISSUE_INCLUDES)


def update_issue(ctx: Context, issue_id: str) -> Reply:
    """PATCH /api/issues/{issue_id}"""
    issue, project = service.update_issue(ctx, issue_id)
    return item(issue, serializers.issue(issue, project_key=project.key))


def list_issue_history(ctx: Context, issue_id: str) -> Reply:
    """GET /api/issues/{issue_id}/history"""
    page = history.page(ctx, issue_id)
    if not page.rows and queries.find(ctx, issue_id) is None:
        raise not_found("issue")
    return page.reply(ctx, serializers.history_entry)

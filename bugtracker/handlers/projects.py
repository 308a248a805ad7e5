"""Projects: list, create, read, edit, archive."""

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import created, item
from bugtracker.paging import paginate
from bugtracker.periods import Days
from bugtracker.queries import projects as queries
from bugtracker.queries import statistics
from bugtracker.security.scoping import not_found
from bugtracker.serializers import statistics as shown
from bugtracker.serializers import tracker as serializers
from bugtracker.services import projects as service


def list_projects(ctx: Context) -> Reply:
    """GET /api/projects"""
    return paginate(ctx, queries.listed(ctx), queries.SORTS).reply(ctx, serializers.project)


def create_project(ctx: Context) -> Reply:
    """POST /api/projects"""
    project = service.create_project(ctx)
    return created(project, serializers.project(project), f"/api/projects/{project.id}")


def get_project(ctx: Context, project_id: str) -> Reply:
    """GET /api/projects/{project_id}"""
    row = queries.find(ctx, project_id)
    if row is None:
        raise not_found("project")
    return item(row, serializers.project(row))


def update_project(ctx: Context, project_id: str) -> Reply:
    """PATCH /api/projects/{project_id}"""
    project = service.update_project(ctx, project_id)
    return item(project, serializers.project(project))


def delete_project(ctx: Context, project_id: str) -> Reply:
    """DELETE /api/projects/{project_id}: archives"""
    service.archive_project(ctx, project_id)
    return Reply(status=204)


def get_project_statistics(ctx: Context, project_id: str) -> Reply:
    """GET /api/projects/{project_id}/statistics"""
    period = Days.asked(ctx.query, ctx.now)
    row = ctx.session.execute(statistics.of_project(ctx, project_id, period)).one_or_none()
    if row is None:
        raise not_found("project")
    return Reply(shown.of_project(row, period))

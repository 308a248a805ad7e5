"""Work that is done later: how far is it?"""

from uuid import UUID

from bugtracker.context import Context, Reply
from bugtracker.queries import jobs as queries
from bugtracker.security.scoping import not_found
from bugtracker.serializers import jobs as serializers


def get_job(ctx: Context, job_id: str) -> Reply:
    """GET /api/jobs/{job_id}"""
    row = ctx.session.execute(queries.one(ctx, UUID(job_id))).one_or_none()
    if row is None:
        raise not_found("job")
    return Reply(serializers.job(row))

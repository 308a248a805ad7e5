"""What the organisation holds about somebody, as an archive: ask for it, download it."""

from uuid import UUID

from bugtracker.context import Context, Reply
from bugtracker.handlers.items import accepted
from bugtracker.queries import jobs
from bugtracker.queries.users import id_of
from bugtracker.serializers.jobs import job
from bugtracker.services import exports as service


def export_user(ctx: Context, user_id: str) -> Reply:
    """POST /api/users/{user_id}/export"""
    job_id = service.request(ctx, id_of(ctx, user_id))
    return accepted(job(ctx.session.execute(jobs.one(ctx, job_id)).one()))


def download_export(ctx: Context, export_id: str) -> Reply:
    """POST /api/exports/{export_id}/download"""
    download = service.redeem(ctx, UUID(export_id))
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f'attachment; filename="export-{ctx.now:%Y%m%dT%H%M%SZ}.zip"',
        "Content-Length": str(download.size),
        "Cache-Control": "no-store",
    }
    return Reply(headers=headers, stream=download.content)

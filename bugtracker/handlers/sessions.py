"""One's own sessions: list, end one, end all."""

from uuid import UUID

from bugtracker.context import Context, Reply
from bugtracker.paging import paginate
from bugtracker.queries import sessions as queries
from bugtracker.serializers import sessions as serializers
from bugtracker.services import revocation


def list_sessions(ctx: Context) -> Reply:
    """GET /api/auth/sessions"""
    page = paginate(ctx, queries.live(ctx), queries.SORTS)
    return page.reply(ctx, serializers.session(ctx.principal.session_id))


def delete_session(ctx: Context, session_id: str) -> Reply:
    """DELETE /api/auth/sessions/{session_id}"""
    revocation.end_own(ctx, UUID(session_id))
    return Reply(status=204)


def logout_all(ctx: Context) -> Reply:
    """POST /api/auth/logout-all"""
    revocation.log_out_everywhere(ctx)
    return Reply(status=204)

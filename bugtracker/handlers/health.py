"""Is the process alive, and can it serve?"""

from bugtracker import __version__
from bugtracker.context import Context, Reply
from bugtracker.services.readiness import checks


def get_health(_: Context) -> Reply:
    """GET /healthz"""
    return Reply({"status": "ok", "version": __version__})


def get_readiness(ctx: Context) -> Reply:
    """GET /readyz"""
    found = checks(ctx.db)
    ready = all(result == "ok" for result in found.values())
    body = {"status": "ready" if ready else "unready", "checks": found}
    return Reply(body, status=200 if ready else 503)

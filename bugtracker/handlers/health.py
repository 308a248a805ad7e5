"""Is the process alive, and can it serve?"""

from bugtracker import __version__
from bugtracker.context import Context, Reply
from bugtracker.services.readiness import checks, dispensable


def get_health(_: Context) -> Reply:
    """GET /healthz"""
    return Reply({"status": "ok", "version": __version__})


def get_readiness(ctx: Context) -> Reply:
    """GET /readyz"""
    needed, other = checks(ctx.db), dispensable(ctx.db, ctx.runtime.settings)
    ready = all(result == "ok" for result in needed.values())
    complete = all(result in ("ok", "off") for result in other.values())
    status = ("ready" if complete else "degraded") if ready else "unready"
    return Reply({"status": status, "checks": {**needed, **other}}, status=200 if ready else 503)

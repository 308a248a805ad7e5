"""The event feed."""

from bugtracker.context import Context, Reply
from bugtracker.feed import reading


def follow_events(ctx: Context) -> Reply:
    """GET /api/events"""
    return reading.follow(ctx)

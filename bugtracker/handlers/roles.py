"""Roles, and what the caller may do to one thing."""

from bugtracker.context import Context, Reply
from bugtracker.models.organisation import ROLES
from bugtracker.serializers import permissions as serializers
from bugtracker.services import actions


def list_roles(_: Context) -> Reply:
    """GET /api/roles"""
    return Reply({"items": [serializers.role(role) for role in ROLES]})


def list_issue_actions(ctx: Context, issue_id: str) -> Reply:
    """GET /api/issues/{issue_id}/actions"""
    return Reply(serializers.actions(actions.of_issue(ctx, issue_id)))


def list_project_actions(ctx: Context, project_id: str) -> Reply:
    """GET /api/projects/{project_id}/actions"""
    return Reply(serializers.actions(actions.of_project(ctx, project_id)))

"""Roles and what may be done, as the contract shows them."""

from typing import Any

from bugtracker.models.organisation import ROLES, Role
from bugtracker.security.permissions import ROLE_DESCRIPTIONS, grants_of
from bugtracker.services.actions import Action

Json = dict[str, Any]


def role(name: Role) -> Json:
    """``RoleDescription`` of the contract."""
    grants = sorted(grants_of(name).items())
    return {
        "role": name,
        "rank": ROLES.index(name),
        "description": ROLE_DESCRIPTIONS[name],
        "permissions": [{"permission": each, "grant": grant.value} for each, grant in grants],
    }


def actions(found: list[Action]) -> Json:
    """``ActionList`` of the contract."""
    return {"items": [_action(each) for each in found]}


def _action(action: Action) -> Json:
    refusal = action.refusal
    return {
        "action": action.name,
        "allowed": refusal is None,
        "code": None if refusal is None else refusal.code,
        "reason": None if refusal is None else refusal.detail,
    }

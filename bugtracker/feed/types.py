"""Which types of events a caller sees: those of things that they may read."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bugtracker.security.permissions import grant_to, require_permission
from bugtracker.security.principal import Principal
from bugtracker.webhooks.types import LOGIN_BATCH, SUBSCRIBABLE, TYPES, actions_of

EVERYTHING = ("*",)
SELECTABLE: tuple[str, ...] = tuple(name for name in SUBSCRIBABLE if name != LOGIN_BATCH)
"""What can be asked for. Batches of logins are made for webhooks; they are no events."""

READ_WITH: Mapping[str, str] = MappingProxyType(
    {
        "user": "users.read",
        "project": "projects.read",
        "issue": "issues.read",
        "comment": "comments.read",
    }
)
"""Noun of a type → the permission to read such things."""
EXCEPT: Mapping[str, str] = MappingProxyType({"user.invited": "users.invite"})
"""Types about something else than their noun says."""


def permission_for(action: str) -> str:
    """What a caller needs to see the events of an action that leaves the house."""
    name = TYPES[action]
    return EXCEPT.get(name) or READ_WITH[name.partition(".")[0]]


def visible_actions(principal: Principal, patterns: Sequence[str] | None) -> list[str]:
    """The actions of these types (None: of all) that the caller may see. 403 when there is one
    among the patterns of which they may see nothing: silence would look like peace."""
    for pattern in patterns or EVERYTHING:
        actions = actions_of([pattern])
        if not any(_may_see(principal, action) for action in actions):
            require_permission(principal, permission_for(actions[0]))
    wanted = actions_of(patterns or EVERYTHING)
    return [action for action in wanted if _may_see(principal, action)]


def _may_see(principal: Principal, action: str) -> bool:
    return grant_to(principal, permission_for(action)) is not None

"""Which events leave the house, and what they are called there. Everything else stays inside."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

LOGIN_BATCH = "login.batch"
"""Not an event: many logins in one message."""
LOGIN = "login.succeeded"
PING = "webhook.ping"
PING_ACTION = "webhook.tested"

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "user.verified": "user.verified",
        "invitation.created": "user.invited",
        "member.joined": "user.joined",
        "user.created": "user.created",
        "user.updated": "user.updated",
        "user.linked": "user.linked",
        "member.role_changed": "user.role_changed",
        "member.removed": "user.deleted",
        "member.restored": "user.restored",
        "project.created": "project.created",
        "project.updated": "project.updated",
        "project.archived": "project.archived",
        "project.unarchived": "project.unarchived",
        "issue.created": "issue.created",
        "issue.updated": "issue.updated",
        "comment.created": "comment.created",
        "comment.updated": "comment.updated",
    }
)
"""Action of an event → type of the message."""

SUBSCRIBABLE: tuple[str, ...] = (
    "*",
    *(f"{noun}.*" for noun in ("user", "project", "issue", "comment")),
    *TYPES.values(),
    LOGIN_BATCH,
)
"""What a subscription may list: types, or all types of a noun, or all."""


def wants(patterns: Iterable[str], name: str) -> bool:
    """Whether a subscription to these patterns is to a type."""
    noun = name.partition(".")[0]
    return not {"*", f"{noun}.*", name}.isdisjoint(patterns)


def actions_of(patterns: Iterable[str]) -> list[str]:
    """The actions whose events a subscription to these patterns gets."""
    wanted = list(patterns)
    return [action for action, name in TYPES.items() if wants(wanted, name)]

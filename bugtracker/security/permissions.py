"""May you? One table of role by permission, and one policy function per resource.

The coarse check (:func:`require_permission`) asks whether the caller has a permission at all. The
fine one (:func:`authorise`) asks about one object: an *own* grant holds only for the object the
caller stands in the permission's relation to. ``GET …/actions`` answers from the same functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from bugtracker.errors import PermissionDenied
from bugtracker.messages import Message, _
from bugtracker.models.organisation import ROLES, Role
from bugtracker.security.principal import Principal

ROLE_DESCRIPTIONS: Mapping[Role, Message] = MappingProxyType(
    {
        "owner": _("Everything, handing the organisation over included."),
        "admin": _("Everything but what is for owners."),
        "manager": _("Makes projects, edits and assigns all issues, invites up to developers."),
        "developer": _("Reports, comments and is assigned work."),
        "member": _("Reports and comments, but is not assigned work."),
        "auditor": _("Reads everything, also analytics and audit log, and changes nothing."),
    }
)

ACCOUNT = "account"
"""Pseudo-permission of operations that need a live session and nothing else: no API key."""

PARTNER = "partner"
"""Pseudo-permission of operations for partner systems, which sign their requests."""


class Grant(Enum):
    """How far a permission reaches."""

    OWN = "own"
    ANY = "any"
    # Only for users.invite: the highest role that may be given (CEILINGS).
    UP_TO_DEVELOPER = "up_to_developer"
    UP_TO_ADMIN = "up_to_admin"
    UP_TO_OWNER = "up_to_owner"


def _grants(*ranked: str | Grant) -> dict[Role, Grant]:
    """Grants for auditor, member, developer, manager, admin, owner, in the table's order."""
    words = {"-": None, "own": Grant.OWN, "any": Grant.ANY}
    grants = [words[grant] if isinstance(grant, str) else grant for grant in ranked]
    return {role: g for role, g in zip(reversed(ROLES), grants, strict=True) if g is not None}


_EVERYBODY = _grants("any", "any", "any", "any", "any", "any")
_REPORTERS = _grants("-", "any", "any", "any", "any", "any")
_MANAGERS = _grants("-", "-", "-", "any", "any", "any")
_ADMINS = _grants("-", "-", "-", "-", "any", "any")
_OWNERS = _grants("-", "-", "-", "-", "-", "any")

PERMISSIONS: Mapping[str, Mapping[Role, Grant]] = MappingProxyType(
    {
        "projects.read": _EVERYBODY,
        "issues.read": _EVERYBODY,
        "comments.read": _EVERYBODY,
        "users.read": _EVERYBODY,
        "issues.create": _REPORTERS,
        "comments.create": _REPORTERS,
        "comments.update": _grants("-", "own", "own", "own", "own", "own"),
        "issues.update": _grants("-", "own", "own", "any", "any", "any"),
        "issues.assign": _grants("-", "own", "own", "any", "any", "any"),
        "issues.be_assigned": _grants("-", "-", "any", "any", "any", "any"),
        "projects.create": _MANAGERS,
        "projects.update": _MANAGERS,
        "projects.archive": _grants("-", "-", "-", "own", "any", "any"),
        "users.invite": _grants(
            "-", "-", "-", Grant.UP_TO_DEVELOPER, Grant.UP_TO_ADMIN, Grant.UP_TO_OWNER
        ),
        "users.update": _ADMINS,
        "users.delete": _ADMINS,
        "users.restore": _ADMINS,
        "privacy.approve": _ADMINS,
        "analytics.read": _grants("any", "-", "-", "any", "any", "any"),
        "audit.read": _grants("any", "-", "-", "-", "any", "any"),
        "webhooks.manage": _ADMINS,
        "api_keys.manage": _ADMINS,
        "organisation.update": _ADMINS,
        "organisation.transfer": _OWNERS,
        "organisation.delete": _OWNERS,
    }
)


CEILINGS: Mapping[Grant, Role] = MappingProxyType(
    {
        Grant.UP_TO_DEVELOPER: "developer",
        Grant.UP_TO_ADMIN: "admin",
        Grant.UP_TO_OWNER: "owner",
    }
)
"""The highest role that a grant of users.invite gives."""


def is_above(role: Role, other: Role) -> bool:
    """Whether a role ranks above another."""
    return ROLES.index(role) < ROLES.index(other)


def grant_of(role: Role | None, permission: str) -> Grant | None:
    """How far the role's permission reaches; None when it has not got it."""
    return None if role is None else PERMISSIONS[permission].get(role)


FOR_PEOPLE = ("api_keys.manage", "issues.be_assigned", "organisation.transfer")

SCOPES: tuple[str, ...] = tuple(name for name in PERMISSIONS if name not in FOR_PEOPLE)
"""What an API key can be given: all that a caller can use, but for managing API keys and what needs
the password."""


def permissions_of(role: Role | None) -> list[str]:
    """The names of the permissions a role has, own or any."""
    return sorted(name for name in PERMISSIONS if grant_of(role, name) is not None)


def grant_to(principal: Principal, permission: str) -> Grant | None:
    """How far the caller's permission reaches: the role's grant, within the scopes of a key."""
    if not _in_scope(principal, permission):
        return None
    return grant_of(principal.role, permission)


def _in_scope(principal: Principal, permission: str) -> bool:
    return principal.scopes is None or permission in principal.scopes


def require_permission(principal: Principal, permission: str) -> None:
    """403 when the caller has not got the permission at all."""
    if grant_to(principal, permission) is None:
        raise _denied(principal, permission)


def _denied(principal: Principal, permission: str) -> PermissionDenied:
    if not _in_scope(principal, permission):
        return PermissionDenied(
            _("This API key does not have the scope {permission}.", permission=permission)
        )
    detail = _(
        "The role {role} does not have the permission {permission}.",
        role=principal.role,
        permission=permission,
    )
    return PermissionDenied(detail)


def grants_of(role: Role) -> Mapping[str, Grant]:
    """The permissions a role has, and how far each reaches."""
    found = {name: grant_of(role, name) for name in PERMISSIONS}
    return {name: grant for name, grant in found.items() if grant is not None}


@dataclass(frozen=True, slots=True)
class Relations:
    """Who stands where to one object; what an *own* grant is decided by."""

    creator: UUID | None = None
    reporter: UUID | None = None
    assignee: UUID | None = None
    author: UUID | None = None


def _edits_issue(user: UUID, to: Relations) -> bool:
    # A project's creator may edit its issues like a manager (requirements, decisions).
    return user in (to.reporter, to.assignee, to.creator)


def _assigns_issue(user: UUID, to: Relations) -> bool:
    return user in (to.reporter, to.creator)


OWN_MEANS: Mapping[str, tuple[Callable[[UUID, Relations], bool], Message]] = MappingProxyType(
    {
        "projects.archive": (
            lambda user, to: user == to.creator,
            _("Only the project's creator, an admin or the owner may do this."),
        ),
        "issues.update": (
            _edits_issue,
            _(
                "Only the issue's reporter or assignee, a manager, an admin or the owner may do"
                " this."
            ),
        ),
        "issues.assign": (
            _assigns_issue,
            _(
                "Only the issue's reporter, a manager, an admin or the owner may change the"
                " assignee."
            ),
        ),
        "comments.update": (
            lambda user, to: user == to.author,
            _("Only its author may edit a comment."),
        ),
    }
)


def may(principal: Principal, permission: str, to: Relations) -> bool:
    """Whether the caller may do this to the object it relates to so."""
    grant = grant_to(principal, permission)
    if grant is Grant.OWN:
        is_own, _ = OWN_MEANS[permission]
        return is_own(principal.account_id, to)
    return grant is not None


def authorise(principal: Principal, permission: str, to: Relations) -> None:
    """403 with the reason when :func:`may` says no."""
    if may(principal, permission, to):
        return
    if grant_to(principal, permission) is Grant.OWN:
        raise PermissionDenied(OWN_MEANS[permission][1])
    raise _denied(principal, permission)


def ceiling_of(giver: Role | None) -> Role | None:
    """The highest role that somebody of this role may give, if any."""
    grant = grant_of(giver, "users.invite")
    return None if grant is None else CEILINGS[grant]


def may_give(giver: Role | None, role: Role) -> bool:
    """Whether somebody of one role may give another: nobody gives one above their own."""
    ceiling = ceiling_of(giver)
    return ceiling is not None and not is_above(role, ceiling)


def authorise_granting(principal: Principal, role: Role) -> None:
    """403 when :func:`may_give` says no. About the role alone: which scope a key needs, the
    operation's permission says."""
    if not may_give(principal.role, role):
        ceiling = ceiling_of(principal.role)
        if ceiling is None:
            detail = _(
                "The role {own} can give no role, not {role}.", own=principal.role, role=role
            )
        else:
            detail = _(
                "The role {own} can give roles up to {most}, not {role}.",
                own=principal.role,
                most=ceiling,
                role=role,
            )
        raise PermissionDenied(detail)


def authorise_over(principal: Principal, role: Role) -> None:
    """403 when somebody of this role ranks above the caller."""
    if principal.role is None or is_above(role, principal.role):
        raise PermissionDenied(
            _("The role {own} has no say over the role {role}.", own=principal.role, role=role)
        )

"""The permission matrix of organisations, members and invitations: who may, and what to try."""

from dataclasses import dataclass
from uuid import uuid4

from tests.world import PASSWORD, Json, Org, made

# From the permissions by role of the requirements. What somebody may do to themselves is "self".
MATRIX = """
see members         | yes  | yes  | yes  | no | no | yes  | yes | yes
change organisation | no   | no   | no   | no | no | no   | yes | yes
change role         | no   | no   | no   | no | no | no   | yes | yes
remove member       | self | self | self | no | no | self | yes | yes
invite              | no   | no   | no   | no | no | yes  | yes | yes
hand over           | no   | no   | no   | no | no | no   | no  | yes
edit user           | self | self | self | no | no | self | yes | yes
manage users        | no   | no   | no   | no | no | no   | yes | yes
export user         | self | self | self | no | no | self | yes | yes
ask for deletion    | self | self | self | no | no | self | yes | yes
see deletion        | self | self | self | no | no | self | yes | yes
decide deletion     | no   | no   | no   | no | no | no   | yes | yes
cancel deletion     | self | self | self | no | no | self | self | self
read analytics      | yes  | no   | no   | no | no | yes  | yes | yes
"""

OPERATIONS: dict[str, str | tuple[str, ...]] = {
    "list_invitations": ("invite",),
    "create_invitation": ("invite",),
    "get_invitation": ("invite",),
    "resend_invitation": ("invite",),
    "revoke_invitation": ("invite",),
    "accept_invitation": "public",
    "list_users": ("see members",),
    "get_user": ("see members",),
    "list_top_logins": ("read analytics",),
    "list_inactive_users": ("read analytics",),
    "get_rate_limit_analytics": ("read analytics",),
    "create_user": ("invite",),
    "update_user": ("edit user",),
    "delete_user": ("manage users",),
    "restore_user": ("manage users",),
    "link_user": ("manage users",),
    "export_user": ("export user",),
    "download_export": "account",
    "get_job": "account",
    "create_deletion_request": ("ask for deletion",),
    "list_deletion_requests": ("see members",),
    "get_deletion_request": ("see deletion",),
    "approve_deletion_request": ("decide deletion",),
    "refuse_deletion_request": ("decide deletion",),
    "cancel_deletion_request": ("cancel deletion",),
    "list_roles": "account",
    "list_issue_actions": ("view",),
    "list_project_actions": ("view",),
    "list_organisations": "account",
    "create_organisation": "account",
    "get_organisation": "account",
    "update_organisation": ("change organisation",),
    "transfer_organisation": ("hand over",),
    "list_members": ("see members",),
    "update_member": ("change role",),
    "remove_member": ("remove member",),
}

Row = tuple[str, str, str, Json | None]
"""Action, operation, path and body."""

MISSING = "01955b4e-2e03-7a42-8503-ac43ac35012b"


@dataclass(frozen=True)
class Things:
    """An organisation, two members whom everybody who may remove others may remove, somebody
    without a login, and two people's wishes to be erased."""

    organisation: str = MISSING
    leaver: str = MISSING
    invitation: str = MISSING
    user: str = MISSING
    imported: str = MISSING
    erasures: tuple[str, str] = (MISSING, MISSING)


NOWHERE = Things()


def things(org: Org) -> Things:
    body = {"email": f"{uuid4()}@example.com", "role": "member"}
    invitation = made(org.caller("owner", "other").post("/api/invitations", body))
    people = (org.caller("auditor", name) for name in ("leaver", "user"))
    leaver, user = (str(person.id) for person in people)
    imported = str(org.world.import_person(org, f"tidewatch-{uuid4().hex[:8]}", "auditor"))
    erasures = deletion_requested(org, "weary"), deletion_requested(org, "wary")
    return Things(str(org.id), leaver, invitation["id"], user, imported, erasures)


def deletion_requested(org: Org, name: str) -> str:
    """The id of a member's request to be erased."""
    path = "/api/users/me/deletion-requests"
    request_id: str = made(org.caller("auditor", name).post(path))["id"]
    return request_id


def reads(t: Things) -> list[Row]:
    return [
        ("see members", "list_members", f"/api/organisations/{t.organisation}/members", None),
        ("invite", "list_invitations", "/api/invitations", None),
        ("invite", "get_invitation", f"/api/invitations/{t.invitation}", None),
        ("see members", "list_users", "/api/users", None),
        ("read analytics", "list_top_logins", "/api/users/top-logins", None),
        ("read analytics", "list_inactive_users", "/api/users/inactive", None),
        ("read analytics", "get_rate_limit_analytics", "/api/analytics/rate-limits", None),
        ("see members", "get_user", f"/api/users/{t.user}", None),
        ("see members", "list_deletion_requests", "/api/deletion-requests", None),
        ("see deletion", "get_deletion_request", erasure(t.erasures[0]), None),
    ]


def erasure(request_id: str, action: str = "") -> str:
    return f"/api/deletion-requests/{request_id}{action}"


def writes(t: Things, heir: str) -> list[Row]:
    """Handing over comes last: who did is an admin then."""
    organisation = f"/api/organisations/{t.organisation}"
    leaver = f"{organisation}/members/{t.leaver}"
    invitation = f"/api/invitations/{t.invitation}"
    invited = {"email": f"{uuid4()}@example.com", "role": "developer"}
    handed = {"user_id": heir, "current_password": PASSWORD}
    user, imported = f"/api/users/{t.user}", f"/api/users/{t.imported}"
    (first, second), why = t.erasures, {"reason": "It was asked for"}
    noted = {"username": f"caller-{uuid4().hex[:8]}", "role": "member"}
    return [
        ("edit user", "update_user", user, {"role": "member"}),
        ("edit user", "update_user", imported, {"name": "Tide Watch"}),
        ("manage users", "delete_user", user, None),
        ("manage users", "restore_user", f"{user}/restore", None),
        ("export user", "export_user", f"{user}/export", None),
        ("manage users", "link_user", f"{imported}/link", {"user_id": heir}),
        ("ask for deletion", "create_deletion_request", f"{user}/deletion-requests", None),
        ("cancel deletion", "cancel_deletion_request", erasure(first, "/cancel"), None),
        ("decide deletion", "approve_deletion_request", erasure(first, "/approve"), why),
        ("decide deletion", "refuse_deletion_request", erasure(second, "/refuse"), why),
        ("invite", "create_user", "/api/users", noted),
        ("change organisation", "update_organisation", organisation, {"name": "Renamed"}),
        ("change role", "update_member", leaver, {"role": "member"}),
        ("remove member", "remove_member", leaver, None),
        ("invite", "create_invitation", "/api/invitations", invited),
        ("invite", "resend_invitation", f"{invitation}/resend", None),
        ("invite", "revoke_invitation", invitation, None),
        ("hand over", "transfer_organisation", f"{organisation}/transfer", handed),
    ]

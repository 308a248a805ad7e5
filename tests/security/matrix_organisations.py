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
"""

OPERATIONS: dict[str, str | tuple[str, ...]] = {
    "list_invitations": ("invite",),
    "create_invitation": ("invite",),
    "get_invitation": ("invite",),
    "resend_invitation": ("invite",),
    "revoke_invitation": ("invite",),
    "accept_invitation": "public",
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
    """An organisation and a member of it, whom everybody who may remove others may remove."""

    organisation: str = MISSING
    leaver: str = MISSING
    invitation: str = MISSING


NOWHERE = Things()


def things(org: Org) -> Things:
    body = {"email": f"{uuid4()}@example.com", "role": "member"}
    invitation = made(org.caller("owner", "other").post("/api/invitations", body))
    return Things(str(org.id), str(org.caller("auditor", "leaver").id), invitation["id"])


def reads(t: Things) -> list[Row]:
    return [
        ("see members", "list_members", f"/api/organisations/{t.organisation}/members", None),
        ("invite", "list_invitations", "/api/invitations", None),
        ("invite", "get_invitation", f"/api/invitations/{t.invitation}", None),
    ]


def writes(t: Things, heir: str) -> list[Row]:
    """Handing over comes last: who did is an admin then."""
    organisation = f"/api/organisations/{t.organisation}"
    leaver = f"{organisation}/members/{t.leaver}"
    invitation = f"/api/invitations/{t.invitation}"
    invited = {"email": f"{uuid4()}@example.com", "role": "developer"}
    handed = {"user_id": heir, "current_password": PASSWORD}
    return [
        ("change organisation", "update_organisation", organisation, {"name": "Renamed"}),
        ("change role", "update_member", leaver, {"role": "member"}),
        ("remove member", "remove_member", leaver, None),
        ("invite", "create_invitation", "/api/invitations", invited),
        ("invite", "resend_invitation", f"{invitation}/resend", None),
        ("invite", "revoke_invitation", invitation, None),
        ("hand over", "transfer_organisation", f"{organisation}/transfer", handed),
    ]

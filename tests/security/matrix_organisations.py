"""The permission matrix of organisations, members and invitations: who may, and what to try."""

from dataclasses import dataclass

from tests.world import PASSWORD, Json, Org

# From the permissions by role of the requirements. What somebody may do to themselves is "self".
MATRIX = """
see members         | yes  | yes  | yes  | no | no | yes  | yes | yes
change organisation | no   | no   | no   | no | no | no   | yes | yes
change role         | no   | no   | no   | no | no | no   | yes | yes
remove member       | self | self | self | no | no | self | yes | yes
hand over           | no   | no   | no   | no | no | no   | no  | yes
"""

OPERATIONS: dict[str, str | tuple[str, ...]] = {
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


NOWHERE = Things()


def things(org: Org) -> Things:
    return Things(str(org.id), str(org.caller("auditor", "leaver").id))


def reads(t: Things) -> list[Row]:
    return [("see members", "list_members", f"/api/organisations/{t.organisation}/members", None)]


def writes(t: Things, heir: str) -> list[Row]:
    """Handing over comes last: who did is an admin then."""
    organisation = f"/api/organisations/{t.organisation}"
    leaver = f"{organisation}/members/{t.leaver}"
    handed = {"user_id": heir, "current_password": PASSWORD}
    return [
        ("change organisation", "update_organisation", organisation, {"name": "Renamed"}),
        ("change role", "update_member", leaver, {"role": "member"}),
        ("remove member", "remove_member", leaver, None),
        ("hand over", "transfer_organisation", f"{organisation}/transfer", handed),
    ]

"""The table of roles and permissions, as data (O2)."""

from tests.world import Org, World

# Rows of the requirements, written as they stand there: auditor to owner.
TABLE = """
projects.read         any any any any any any
issues.read           any any any any any any
comments.read         any any any any any any
users.read            any any any any any any
issues.create         -   any any any any any
comments.create       -   any any any any any
comments.update       -   own own own own own
issues.update         -   own own any any any
issues.assign         -   own own any any any
issues.be_assigned    -   -   any any any any
projects.create       -   -   -   any any any
projects.update       -   -   -   any any any
projects.archive      -   -   -   own any any
users.invite          -   -   -   up_to_developer up_to_admin up_to_owner
users.update          -   -   -   -   any any
users.delete          -   -   -   -   any any
users.restore         -   -   -   -   any any
privacy.approve       -   -   -   -   any any
analytics.read        any -   -   any any any
audit.read            any -   -   -   any any
webhooks.manage       -   -   -   -   any any
api_keys.manage       -   -   -   -   any any
organisation.update   -   -   -   -   any any
organisation.transfer -   -   -   -   -   any
organisation.delete   -   -   -   -   -   any
"""
NAMES = ("auditor", "member", "developer", "manager", "admin", "owner")


class TestListRoles:
    def test_is_the_table_of_the_requirements(self, org: Org) -> None:
        expected: dict[str, dict[str, str]] = {name: {} for name in NAMES}
        for line in TABLE.strip().split("\n"):
            permission, *grants = line.split()
            for name, grant in zip(NAMES, grants, strict=True):
                if grant != "-":
                    expected[name][permission] = grant
        found = {
            role["role"]: {each["permission"]: each["grant"] for each in role["permissions"]}
            for role in org.auditor.get("/api/roles").json()["items"]
        }
        assert found == expected

    def test_ranks_the_owner_first_and_describes_each(self, org: Org) -> None:
        items = org.member.get("/api/roles").json()["items"]
        assert [item["role"] for item in items] == list(reversed(NAMES))
        assert [item["rank"] for item in items] == list(range(6))
        assert len({item["description"] for item in items}) == 6

    def test_needs_no_organisation(self, world: World, org: Org) -> None:
        loner = world.create_loner()
        assert loner.get("/api/roles").json() == org.owner.get("/api/roles").json()

    def test_me_has_the_permissions_of_its_role(self, org: Org) -> None:
        items = org.manager.get("/api/roles").json()["items"]
        (manager,) = (item for item in items if item["role"] == "manager")
        names = [each["permission"] for each in manager["permissions"]]
        assert org.manager.get("/api/auth/me").json()["permissions"] == names

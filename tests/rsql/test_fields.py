"""Fields as another resource declares them: those of docs/adding-an-endpoint.md, word for word."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.errors import FilterInvalid
from bugtracker.models import Account, Member
from bugtracker.models.organisation import ROLES
from bugtracker.queries.people import PEOPLE, is_person
from bugtracker.rsql import Field, Fields, Scope, compile_filter, kinds
from tests.world import Org, World

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-endpoint.md"
SCOPE = Scope(UUID(int=1), UUID(int=2), utc_now())


@pytest.fixture(scope="module")
def fields() -> Fields:
    [block] = re.findall(r"```python\n(FIELDS: .*?)```", PAGE.read_text(), re.DOTALL)
    names = {
        "Account": Account, "Field": Field, "Fields": Fields, "Member": Member, "PEOPLE": PEOPLE,
        "ROLES": ROLES, "kinds": kinds,
    }  # fmt: skip
    exec(block, names)
    declared: Fields = names["FIELDS"]
    return declared


def found(world: World, org: Org, fields: Fields, text: str) -> set[UUID]:
    scope = Scope(org.id, org.manager.id, utc_now())
    statement = (
        select(Member.user_id)
        .join(Account, Account.id == Member.account_id)
        .join(PEOPLE, is_person(Member.org_id, Member.user_id))
        .where(Member.org_id == org.id, compile_filter(text, fields, scope))
    )
    with world.runtime.db.transaction(org_id=org.id) as session:
        return set(session.scalars(statement))


class TestDocumentedFields:
    def test_select_people(self, world: World, org: Org, fields: Fields) -> None:
        everybody = {org.manager.id, org.admin.id, org.auditor.id}
        for text, expected in {
            "verified==true;created_at>=2025-01-01": everybody,
            "verified!=true": set(),
            "name==*jo*": set(),
            "name==null;last_login==null": everybody,
            f"email=='{org.admin.email.upper()}'": {org.admin.id},
            "role<=manager": {org.manager.id, org.admin.id},
            "role=out=(owner,admin,manager)": {org.auditor.id},
            "last_login>-1d": set(),
        }.items():
            assert found(world, org, fields, text) == expected, text

    def test_refuse_what_they_do_not_name(self, fields: Fields) -> None:
        text = "password_hash==x;verified>true;role==boss;email==null"
        with pytest.raises(FilterInvalid) as caught:
            compile_filter(text, fields, SCOPE)
        places = [(error.position, error.code) for error in caught.value.errors]
        assert places == [(0, "field"), (25, "operator"), (37, "value"), (49, "value")]
        assert caught.value.errors[0].detail == (
            "there is no field `password_hash`; fields are name, email, verified, role, "
            "created_at or last_login"
        )
        assert caught.value.errors[1].detail == "`>` is not for verified; use == or !="

"""People of tests are as the program makes them."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.models import Account, Credential, Event, Member, Username
from bugtracker.services import accounts, organisations
from bugtracker.services.events import Origin
from tests.people import Person
from tests.world import Org, World

TABLES = {
    Account: Account.id,
    Credential: Credential.account_id,
    Member: Member.user_id,
    Event: Event.resource_id,
}


def registered(world: World, org: Org) -> Person:
    """A manager, made by the program."""
    username = f"user-{org.slug}"
    email = f"{username}@example.com"
    with world.runtime.db.transaction() as session:
        now = utc_now()
        by = Origin(now, None)
        account_id = accounts.create_account(
            session, email=email, username=username, password_hash="a hash", by=by
        )
        by = Origin(now, None, account_id=account_id)
        organisations.add_member(session, org.id, account_id, "manager", by)
    return Person(account_id, username)


def kept(world: World, org: Org, person: Person) -> dict[str, list[dict[str, Any]]]:
    """All rows about somebody, but for what no two people have in common."""
    found: dict[str, list[dict[str, Any]]] = {}
    with world.runtime.db.transaction(org_id=org.id, account_id=person.id) as session:
        for model, column in TABLES.items():
            statement = select(*model.__table__.columns).where(column == person.id)
            rows = session.execute(statement).mappings()
            found[model.__tablename__] = [common(row, person) for row in rows]
        names = select(*Username.__table__.columns)
        mine = names.where(Username.username_key == person.username)
        rows = session.execute(mine).mappings()
        found["usernames"] = [common(row, person) for row in rows]
    found["events"].sort(key=lambda event: event["action"])
    return found


def common(row: Any, person: Person) -> dict[str, Any]:
    return {name: alike(name, value, person) for name, value in row.items()}


def alike(name: str, value: Any, person: Person) -> Any:
    """A value, or what it is of this person."""
    if value == person.id:
        return "their id"
    if name.endswith("_at") and value is not None:
        return "a moment"
    if isinstance(value, UUID) and name == "id":
        return "an id"
    if name == "password_hash":
        return "a hash"
    if isinstance(value, str):
        return value.replace(person.username, "user")
    if isinstance(value, dict):
        return {key: [alike("", each, person) for each in pair] for key, pair in value.items()}
    return value


class TestCaller:
    def test_leaves_the_rows_of_somebody_who_registered_and_joined(
        self, world: World, org: Org
    ) -> None:
        manager = org.manager
        rows = kept(world, org, Person(manager.id, manager.username))
        assert rows == kept(world, org, registered(world, org))
        assert {table: len(found) for table, found in rows.items()} == {
            "accounts": 1, "credentials": 1, "members": 1, "events": 2, "usernames": 1,
        }  # fmt: skip

    def test_has_a_session_and_can_log_in(self, world: World, org: Org) -> None:
        assert org.member.get("/api/auth/me").json()["id"] == str(org.member.id)
        login = {"email": org.member.email, "password": "Tide-Table-1843"}
        with world.client() as http:
            assert http.post("/api/auth/login", json=login).status_code == 200

"""Personal values can be erased from a sealed event, and the record still holds."""

import pytest
from sqlalchemy import select, text

from bugtracker.audit.personal import PERSONAL, personal_fields
from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.models import Event, EventCommitment
from bugtracker.services.events import Origin, Resource, append
from tests.world import World

from .conftest import Record

ANONYMISE = text("SELECT anonymise_event(:id)")
PERSON = {"email": (None, "ada@example.com"), "name": (None, "Ada"), "role": (None, "developer")}


def add_person(record: Record) -> Event:
    """An event with personal values, not sealed yet."""
    with record.runtime.db.transaction(org_id=record.org.id) as session:
        origin = Origin(utc_now(), record.org.id)
        append(session, origin, "user.updated", Resource("user", new_id(), 2), PERSON)
        return session.scalars(
            select(Event).order_by(Event.id.desc()).where(Event.org_id == record.org.id).limit(1)
        ).one()


def anonymise(record: Record, event: Event) -> bool:
    with record.runtime.db.transaction(org_id=record.org.id) as session:
        return bool(session.scalar(ANONYMISE, {"id": event.id}))


def stored(record: Record, event: Event) -> Event:
    with record.runtime.db.transaction(org_id=record.org.id) as session:
        return session.get_one(Event, event.id)


@pytest.fixture
def sealed(record: Record) -> Event:
    """An event with personal values, sealed."""
    event = add_person(record)
    record.seal()
    return stored(record, event)


class TestAnonymisedEvent:
    def test_has_lost_its_personal_values_and_nothing_else(
        self, record: Record, sealed: Event
    ) -> None:
        assert anonymise(record, sealed)
        assert stored(record, sealed).changes == {
            "email": [None, None],
            "name": [None, None],
            "role": [None, "developer"],
        }

    def test_does_not_break_the_record(self, record: Record, sealed: Event) -> None:
        record.add(events=2)
        assert anonymise(record, sealed)
        report = record.verify()
        assert (report.ok, report.checked_to) == (True, record.last)

    def test_leaves_nothing_that_tells_what_it_was(self, record: Record, sealed: Event) -> None:
        assert anonymise(record, sealed)
        with record.runtime.db.transaction(org_id=record.org.id) as session:
            row = session.get_one(EventCommitment, (record.org.id, sealed.number))
            assert row.salt is None
        dump = "SELECT string_agg(t::text, '') FROM ({}) t"
        for table in ("events", "event_commitments", "event_seals"):
            with record.superuser.connect() as connection:
                query = dump.format(f"SELECT * FROM {table} WHERE org_id = :org")
                told = connection.scalar(text(query), {"org": record.org.id})
            assert "ada@example.com" not in told

    def test_is_anonymised_once(self, record: Record, sealed: Event) -> None:
        assert [anonymise(record, sealed) for _ in range(2)] == [True, False]
        assert record.verify().ok

    def test_cannot_be_given_other_values_again(self, record: Record, sealed: Event) -> None:
        anonymise(record, sealed)
        change = "jsonb_set(changes, '{email,1}', '\"eve@example.com\"')"
        record.tamper(f"UPDATE events SET changes = {change} WHERE org_id = :org AND id = :id",
                      id=sealed.id)  # fmt: skip
        assert record.problems() == [(sealed.number, "changed")]


class TestPersonalValues:
    def test_cannot_be_changed_unnoticed(self, record: Record, sealed: Event) -> None:
        change = "jsonb_set(changes, '{email,1}', '\"eve@example.com\"')"
        record.tamper(f"UPDATE events SET changes = {change} WHERE org_id = :org AND id = :id",
                      id=sealed.id)  # fmt: skip
        assert record.problems() == [(sealed.number, "changed")]

    def test_cannot_be_erased_without_their_salt(self, record: Record, sealed: Event) -> None:
        change = "jsonb_set(changes, '{email}', '[null, null]')"
        record.tamper(f"UPDATE events SET changes = {change} WHERE org_id = :org AND id = :id",
                      id=sealed.id)  # fmt: skip
        assert record.problems() == [(sealed.number, "changed")]

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM event_commitments WHERE org_id = :org",
            "UPDATE event_commitments SET fields = '{email}' WHERE org_id = :org",
            "UPDATE event_commitments SET salt = decode(md5('x'), 'hex') WHERE org_id = :org",
            "UPDATE event_commitments SET salt = NULL WHERE org_id = :org",
            "UPDATE event_commitments SET commitment = decode(md5('x'), 'hex') WHERE org_id = :org",
        ],
    )
    def test_their_commitment_cannot_be_changed_unnoticed(
        self, record: Record, sealed: Event, statement: str
    ) -> None:
        assert record.tamper(statement) == 1
        assert record.problems() == [(sealed.number, "changed")]

    def test_of_an_event_that_is_not_sealed_yet_stay(self, record: Record) -> None:
        event = add_person(record)
        assert not anonymise(record, event)
        assert stored(record, event).changes["email"] == [None, "ada@example.com"]

    def test_of_another_organisation_stay(
        self, record: Record, sealed: Event, world: World
    ) -> None:
        with record.runtime.db.transaction(org_id=world.create_org().id) as session:
            assert session.scalar(ANONYMISE, {"id": sealed.id}) is False
        with record.runtime.db.transaction() as session:
            assert session.scalar(ANONYMISE, {"id": sealed.id}) is False
        assert stored(record, sealed).changes["name"] == [None, "Ada"]

    def test_are_known_by_the_kind_of_thing(self) -> None:
        changes = {"name": ["a", "b"], "email": [None, "x"], "title": [None, "y"]}
        assert personal_fields("user", changes) == ["email", "name"]
        assert personal_fields("project", changes) == ["email"]
        assert all(fields for fields in PERSONAL.values())

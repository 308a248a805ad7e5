"""Whoever rewrites the record is found out, with all rights in the database but without the key."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, text

from bugtracker.app import create_runtime
from bugtracker.audit.sealing import seal_now
from bugtracker.audit.verifying import is_noted, verify
from bugtracker.embedded import Cluster
from bugtracker.runtime import Runtime
from bugtracker.security.secrets import Keyring
from bugtracker.settings import Settings
from tests.world import Org, World

from .conftest import Record

# Each column of an event, and another value for it.
OTHERWISE = {
    "id": "gen_random_uuid()",
    "action": "'issue.updated'",
    "actor_id": "gen_random_uuid()",
    "account_id": "gen_random_uuid()",
    "resource_type": "'issue'",
    "resource_id": "gen_random_uuid()",
    "resource_version": "resource_version + 1",
    "project_id": "gen_random_uuid()",
    "issue_id": "gen_random_uuid()",
    "changes": "jsonb_set(changes, '{name,1}', '\"Other\"')",
    "request_id": "'another-request'",
    "api_key_id": "gen_random_uuid()",
    "created_at": "created_at + interval '1 microsecond'",
}
PLACES = ("first", "middle", "last")


def place(record: Record, where: str) -> int:
    return {"first": 1, "middle": record.last // 2, "last": record.last}[where]


class TestEvent:
    @pytest.mark.parametrize("column", OTHERWISE)
    def test_a_change_of_any_column_is_found(self, record: Record, column: str) -> None:
        number = record.last - 4
        update = f"UPDATE events SET {column} = {OTHERWISE[column]}"
        assert record.tamper(f"{update} WHERE org_id = :org AND number = :n", n=number) == 1
        report = record.verify()
        assert record.problems() == [(number, "changed")]
        assert (report.ok, report.sealed_to, report.checked_to) == (False, number + 4, number + 4)

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("created_at", "'infinity'"),
            ("created_at", "'-infinity'"),
            ("created_at", "'4000-01-01 BC'"),
            ("changes", "'[]'"),
            ("changes", "'null'"),
            ("changes", "'{\"name\": 1}'"),
            ("changes", "'{}'"),
            ("resource_version", "NULL"),
            ("request_id", "NULL"),
        ],
    )
    def test_odd_values_are_found_like_others(
        self, record: Record, column: str, value: str
    ) -> None:
        update = f"UPDATE events SET {column} = {value} WHERE org_id = :org AND number = 5"
        assert record.tamper(update) == 1
        assert record.problems() == [(5, "changed")]

    @pytest.mark.parametrize("where", PLACES)
    def test_a_change_is_found_wherever_it_is(self, record: Record, where: str) -> None:
        number = place(record, where)
        update = "UPDATE events SET request_id = 'other' WHERE org_id = :org AND number = :n"
        assert record.tamper(update, n=number) == 1
        assert record.problems() == [(number, "changed")]

    @pytest.mark.parametrize("where", PLACES)
    def test_a_missing_event_is_found(self, record: Record, where: str) -> None:
        number = place(record, where)
        assert record.tamper("DELETE FROM events WHERE org_id = :org AND number = :n", n=number)
        assert record.problems() == [(number, "removed")]

    @pytest.mark.parametrize("where", PLACES)
    def test_one_that_takes_the_place_of_another_is_found(self, record: Record, where: str) -> None:
        number = place(record, where)
        record.tamper("DELETE FROM events WHERE org_id = :org AND number = :n", n=number)
        assert record.tamper(INSERT, number=number) == 1
        assert record.problems() == [(number, "changed")]

    @pytest.mark.parametrize("number", [0, -1])
    def test_one_before_the_first_is_found(self, record: Record, number: int) -> None:
        assert record.tamper(INSERT, number=number) == 1
        assert record.problems() == [(number, "inserted")]
        first = record.verify().first_problem
        assert first is not None
        assert first.number == number

    def test_one_far_behind_the_last_leaves_a_gap(self, record: Record) -> None:
        expected = record.last + 1
        assert record.tamper(INSERT, number=expected + 1000) == 1
        assert record.problems() == [(expected, "removed")]
        record.seal()
        assert record.problems() == [(expected, "removed")]

    def test_two_that_changed_places_are_found(self, record: Record) -> None:
        number = record.last - 1
        swap = (
            "UPDATE events SET number = -number WHERE org_id = :org AND number IN (:a, :b)",
            "UPDATE events SET number = :b WHERE org_id = :org AND number = -:a",
            "UPDATE events SET number = :a WHERE org_id = :org AND number = -:b",
        )
        for statement in swap:
            record.tamper(statement, a=number, b=number - 3)
        assert record.problems() == [(number - 3, "changed"), (number, "changed")]

    def test_one_that_lost_its_number_is_missed_in_its_old_place(self, record: Record) -> None:
        record.tamper("UPDATE events SET number = NULL WHERE org_id = :org AND number = 4")
        record.seal()
        assert record.problems() == [(4, "removed")]

    def test_one_that_went_to_another_organisation_is_missed(
        self, record: Record, world: World
    ) -> None:
        move = "UPDATE events SET org_id = :other, number = NULL WHERE org_id = :org AND number = 4"
        assert record.tamper(move, other=world.create_org().id) == 1
        assert record.problems() == [(4, "removed")]

    def test_many_problems_are_counted_and_the_first_is_named(self, record: Record) -> None:
        record.tamper("UPDATE events SET request_id = 'x' WHERE org_id = :org AND number > 2")
        report = record.verify()
        assert report.problem_count == record.last - 2
        assert report.first_problem is not None
        assert report.first_problem.number == 3


INSERT = """
    INSERT INTO events (id, org_id, number, action, resource_type, resource_id, changes, created_at)
    VALUES (gen_random_uuid(), :org, :number, 'project.created', 'project', gen_random_uuid(),
            '{}', now())
"""


class TestSeal:
    def test_one_that_was_fitted_to_changed_events_is_found(self, record: Record) -> None:
        """Who has no key can compute leaves, but not the seal over them."""
        record.tamper("UPDATE events SET request_id = 'x' WHERE org_id = :org AND number = 1")
        forged = hashlib.sha256(b"the event as it is now").digest()
        fit = "UPDATE event_seals SET leaves = overlay(leaves PLACING :leaf FROM 1)"
        assert record.tamper(f"{fit} WHERE org_id = :org AND from_number = 1", leaf=forged) == 1
        assert record.problems()[0] == (1, "seal_changed")

    @pytest.mark.parametrize(
        "change",
        [
            "seal = decode(md5('x') || md5('y'), 'hex')",
            "sealed_at = sealed_at + interval '1 microsecond'",
            "leaves = substr(leaves, 1, 32)",
            "leaves = ''",
            "from_number = from_number + 1",
            "to_number = to_number + 1000000",
        ],
    )
    def test_any_change_of_the_last_one_is_found(self, record: Record, change: str) -> None:
        of_last = "(SELECT max(to_number) FROM event_seals WHERE org_id = :org)"
        update = f"UPDATE event_seals SET {change} WHERE org_id = :org AND to_number = {of_last}"
        assert record.tamper(update) == 1
        assert "seal_changed" in {kind for _, kind in record.problems()}

    @pytest.mark.parametrize("link", [0, 1])
    def test_a_missing_one_is_found_by_the_next(self, record: Record, link: int) -> None:
        remove = (
            "DELETE FROM event_seals WHERE ctid = (SELECT ctid FROM event_seals"
            " WHERE org_id = :org ORDER BY to_number OFFSET :link LIMIT 1) RETURNING from_number"
        )
        with record.superuser.connect() as connection:
            values = {"org": record.org.id, "link": link}
            number = connection.scalar(text(remove), values)
        assert record.problems() == [(number, "seal_removed")]

    def test_without_the_newest_the_record_is_sealed_anew_and_only_a_note_tells(
        self, record: Record
    ) -> None:
        noted = record.verify()
        assert noted.seal is not None
        remove = "DELETE FROM event_seals WHERE org_id = :org AND to_number = :last"
        assert record.tamper(remove, last=noted.sealed_to) == 1
        assert record.verify().sealed_to < noted.sealed_to
        record.tamper("UPDATE events SET request_id = 'x' WHERE org_id = :org AND number = :n",
                      n=noted.sealed_to)  # fmt: skip
        record.seal()
        assert record.verify().ok
        with record.runtime.db.transaction(org_id=record.org.id) as session:
            assert not is_noted(session, record.org.id, noted.sealed_to, noted.seal)

    def test_a_note_of_any_earlier_seal_is_confirmed(self, record: Record) -> None:
        noted = record.verify()
        assert noted.seal is not None
        record.add(events=2)
        with record.runtime.db.transaction(org_id=record.org.id) as session:
            assert is_noted(session, record.org.id, noted.sealed_to, noted.seal)
            assert not is_noted(session, record.org.id, noted.sealed_to + 1, noted.seal)

    def test_one_under_another_key_is_called_that(self, record: Record) -> None:
        key = Keyring("another secret of more than 32 characters")
        with record.runtime.db.transaction(org_id=record.org.id) as session:
            report = verify(session, key, record.org.id)
        assert {problem.kind for problem in report.problems} == {"key_unknown"}


class TestParts:
    def test_the_record_is_checked_part_by_part(self, record: Record) -> None:
        first = record.verify(most=1)
        assert (first.checked_from, first.ok) == (1, True)
        assert first.next_number == first.checked_to + 1
        checked, report = [first], first
        while report.next_number is not None:
            report = record.verify(most=1, from_number=report.next_number)
            checked.append(report)
        assert [part.checked_from for part in checked[1:]] == [
            part.checked_to + 1 for part in checked[:-1]
        ]
        assert (len(checked), checked[-1].checked_to) == (3, record.last)

    def test_a_part_begins_with_the_batch_of_the_number(self, record: Record) -> None:
        whole = record.verify(most=1)
        assert record.verify(most=1, from_number=whole.checked_to).checked_from == 1
        beyond = record.verify(from_number=10**15)
        assert (beyond.checked_from, beyond.ok) == (record.last + 1, True)

    def test_a_change_is_found_in_its_part_only(self, record: Record) -> None:
        record.tamper("UPDATE events SET request_id = 'x' WHERE org_id = :org AND number = 1")
        assert record.problems(most=1) == [(1, "changed")]
        assert record.problems(from_number=record.last) == []


@pytest.fixture
def alone(
    own_database: str, cluster: Cluster, settings: Settings, world: World
) -> Iterator[Record]:
    """A record in a database whose schema may be broken."""
    url = SecretStr(cluster.api_url(own_database))
    runtime = create_runtime(settings.model_copy(update={"database_url": url}))
    engine = create_engine(
        cluster.admin_url(own_database), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    record = Record(Org(world, uuid4(), "alone"), runtime, engine)
    record.tamper("INSERT INTO organisations VALUES (:org, 'alone', 'Alone', now(), now(), 1)")
    yield record
    engine.dispose()
    runtime.db.close()


FILL = """
    INSERT INTO events (id, org_id, action, resource_type, resource_id, resource_version, changes,
                        request_id, created_at)
    SELECT gen_random_uuid(), :org, 'issue.updated', CASE WHEN n % 100 = 0 THEN 'user'
           ELSE 'issue' END, gen_random_uuid(), 1,
           jsonb_build_object('name', jsonb_build_array(repeat('old ', 100), n)), 'request', now()
    FROM generate_series(1, :count) n
"""
EVENTS = 20_000
MEMORY = 16 * 2**20


class TestBrokenSchema:
    def test_a_second_event_of_one_number_is_found(self, alone: Record) -> None:
        alone.tamper(FILL, count=20)
        alone.seal()
        alone.tamper("DROP INDEX events_org_id_number_key")
        assert alone.tamper(INSERT, number=7) == 1
        assert alone.problems() == [(7, "inserted")]


class TestMemory:
    def test_twenty_thousand_events_are_sealed_and_checked_a_batch_at_a_time(
        self, alone: Record
    ) -> None:
        alone.tamper(FILL, count=EVENTS)
        tracemalloc.start()
        try:
            seal_now(alone.runtime, alone.org.id)
            report = alone.verify()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (report.ok, report.sealed_to, report.checked_to) == (True, EVENTS, EVENTS)
        assert peak < MEMORY, f"{peak / 2**20:.1f} MB"


class TestRuntime:
    def test_a_runtime_of_the_same_secret_verifies_what_another_sealed(
        self, record: Record, settings: Settings
    ) -> None:
        other: Runtime = create_runtime(settings)
        assert Record(record.org, other, record.superuser).verify().ok
        other.db.close()

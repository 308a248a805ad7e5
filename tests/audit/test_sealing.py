"""Events are sealed into a chain, whoever writes meanwhile."""

import threading
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from bugtracker.audit.sealing import BATCH, seal_all, seal_now
from bugtracker.models import Event, EventSeal
from bugtracker.runtime import Runtime
from tests.parallel import at_once
from tests.world import World

from .conftest import Record

WRITERS = 50


def links(record: Record) -> list[tuple[int, int]]:
    """From and to of every link, in order."""
    statement = select(EventSeal.from_number, EventSeal.to_number)
    with record.runtime.db.transaction(org_id=record.org.id) as session:
        rows = session.execute(statement.order_by(EventSeal.to_number)).all()
        return [(row.from_number, row.to_number) for row in rows]


class TestSealing:
    def test_links_follow_each_other_without_gap(self, record: Record) -> None:
        ends = [0, *(to for _, to in links(record))]
        assert [first for first, _ in links(record)] == [end + 1 for end in ends[:-1]]
        assert len(links(record)) == 3

    def test_what_is_sealed_is_not_sealed_again(self, record: Record) -> None:
        before = links(record)
        assert seal_now(record.runtime, record.org.id) == 0
        assert links(record) == before

    def test_every_organisation_gets_its_own_chain(
        self, record: Record, world: World, runtime: Runtime
    ) -> None:
        other = Record(world.create_org(), runtime, record.superuser)
        other.org.manager.create_project()
        with runtime.db.read() as connection:
            connection.execute(text("SELECT number_events()"))
        assert seal_all(runtime) >= 2
        assert other.verify().sealed_to == other.verify().numbered_to >= 2
        assert (record.verify().ok, other.verify().ok) == (True, True)

    def test_fifty_writers_and_two_sealers_at_once_leave_a_whole_chain(
        self, record: Record
    ) -> None:
        issue = record.org.manager.create_issue(record.org.manager.create_project())
        done = threading.Event()

        def keep_sealing() -> None:
            while not done.is_set():
                seal_now(record.runtime, record.org.id)

        sealers = [threading.Thread(target=keep_sealing) for _ in range(2)]
        for sealer in sealers:
            sealer.start()
        path = f"/api/issues/{issue['id']}/comments"
        write = partial(record.org.manager.post, path, {"content": "At once."})
        answers = at_once([write] * WRITERS)
        done.set()
        for sealer in sealers:
            sealer.join()
        assert {answer.status_code for answer in answers} == {201}
        record.seal()
        with record.runtime.db.transaction(org_id=record.org.id) as session:
            count = session.scalar(select(func.count()).where(Event.org_id == record.org.id))
        report = record.verify()
        assert (report.ok, report.sealed_to, report.numbered_to) == (True, count, count)
        ends = [0, *(to for _, to in links(record))]
        assert [first for first, _ in links(record)] == [end + 1 for end in ends[:-1]]
        assert all(to - first < BATCH for first, to in links(record))

    @pytest.mark.parametrize("table", ["event_seals", "event_commitments", "events"])
    def test_the_apis_role_can_neither_change_nor_remove_it(
        self, record: Record, table: str
    ) -> None:
        for statement in (f"UPDATE {table} SET number = 1", f"DELETE FROM {table}"):
            statement = statement.replace("seals SET number", "seals SET to_number")
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                record.runtime.db.transaction(org_id=record.org.id) as session,
            ):
                session.execute(text(statement))

    def test_what_vanished_before_it_was_sealed_stops_nothing_and_is_told(
        self, record: Record
    ) -> None:
        lost = record.last + 1
        for _ in range(3):
            record.org.manager.create_project()
        with record.runtime.db.read() as connection:
            connection.execute(text("SELECT number_events()"))
        record.tamper("DELETE FROM events WHERE org_id = :org AND number = :lost", lost=lost)
        assert record.problems() == [(lost, "removed")]
        record.seal()
        assert record.problems() == [(lost, "removed")]
        assert record.verify().sealed_to == record.last > lost
        record.add(events=1)
        assert record.problems() == [(lost, "removed")]

    def test_a_link_of_another_organisation_cannot_be_seen(
        self, record: Record, world: World
    ) -> None:
        stranger = world.create_org()
        with record.runtime.db.transaction(org_id=stranger.id) as session:
            seen = session.scalars(select(EventSeal.org_id)).all()
        assert UUID(str(record.org.id)) not in seen

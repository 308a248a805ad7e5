"""Counting by day: always all of a day, whenever its logins arrive."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, create_engine, func, select, text

from bugtracker.app import create_runtime
from bugtracker.clock import midnight, utc_now
from bugtracker.embedded import Cluster
from bugtracker.login_analytics.rollup import kept_from, nightly, roll_up, roll_up_past
from bugtracker.runtime import Runtime
from bugtracker.services import accounts, organisations
from bugtracker.services.events import Origin
from bugtracker.settings import Settings
from tests.logins import events, logged_in, login, marked, recorded, rolled_up, succeeded, write
from tests.world import Org, World

A_MOMENT = timedelta(microseconds=1)


def days_ago(days: int) -> date:
    return utc_now().date() - timedelta(days=days)


class TestRollUp:
    def test_a_day_begins_at_midnight_in_utc(self, runtime: Runtime, org: Org) -> None:
        user, day = org.member.id, days_ago(3)
        begins, ends = midnight(day), midnight(days_ago(2))
        logged_in(runtime, org, user, begins - A_MOMENT, begins, ends - A_MOMENT, ends)
        roll_up_past(runtime)
        around = {(user, days_ago(4)): 1, (user, day): 2, (user, days_ago(2)): 1}
        assert rolled_up(runtime, org) == around

    def test_counts_anew_whatever_it_had_counted(self, runtime: Runtime, org: Org) -> None:
        one, other, day = org.member.id, org.developer.id, days_ago(2)
        noon = midnight(day) + timedelta(hours=12)
        logged_in(runtime, org, one, noon, noon)
        assert roll_up(runtime, day) >= 1
        late = login(other, noon)
        for _ in range(3):
            write(runtime, org, [late])
            assert roll_up(runtime, day, again=True) >= 1
        assert rolled_up(runtime, org) == {(one, day): 2, (other, day): 1}

    def test_what_is_written_late_marks_its_day_once(self, runtime: Runtime, org: Org) -> None:
        day = days_ago(2)
        late = login(org.member.id, midnight(day))
        write(runtime, org, [late])
        roll_up_past(runtime)
        assert marked(runtime, org) == set()
        write(runtime, org, [late])
        assert marked(runtime, org) == set()
        logged_in(runtime, org, org.member.id, midnight(day))
        assert marked(runtime, org) == {day}

    def test_today_is_counted_when_it_is_over(self, runtime: Runtime, org: Org) -> None:
        logged_in(runtime, org, org.member.id, utc_now())
        roll_up_past(runtime)
        assert (marked(runtime, org), rolled_up(runtime, org)) == ({days_ago(0)}, {})


@pytest.fixture
def old(settings: Settings, cluster: Cluster, own_database: str) -> Iterator[Runtime]:
    """A database whose first partition is of January 2025."""
    admin = create_engine(cluster.admin_url(own_database))
    with admin.begin() as connection:
        for month in range(1, 13):
            _partition(connection, date(2025, month, 1))
    admin.dispose()
    update = {"database_url": SecretStr(cluster.api_url(own_database)), "login_event_months": 2}
    runtime = create_runtime(settings.model_copy(update=update))
    yield runtime
    runtime.db.close()


def _partition(connection: Connection, month: date) -> None:
    name = f"login_partitions.y{month.year}m{month.month:02}"
    begin, end = midnight(month), midnight((month + timedelta(days=31)).replace(day=1))
    connection.execute(
        text(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF login_events"
            f" FOR VALUES FROM ('{begin}') TO ('{end}')"
        )
    )


@pytest.fixture
def club(old: Runtime, world: World) -> Org:
    """An organisation there, with one member."""
    now = Origin(utc_now(), None)
    with old.db.transaction() as session:
        org_id = organisations.ensure(session, "club", "Club", now)
        member = accounts.create_account(
            session, email="ada@example.com", username="ada", password_hash="x", by=now
        )
        by = Origin(utc_now(), None, account_id=member)
        organisations.add_member(session, org_id, member, "member", by)
    return Org(world, org_id, "club")


def months() -> int:
    """Of the present month, since the year nought."""
    return utc_now().year * 12 + utc_now().month - 1


def first_of(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


class TestNightly:
    def test_drops_what_is_too_old_and_keeps_its_counts(self, old: Runtime, club: Org) -> None:
        with old.db.transaction(org_id=club.id) as session:
            user = session.execute(text("SELECT user_id FROM members")).scalar_one()
        day, today = date(2025, 3, 30), utc_now().date()
        moments = [midnight(day), midnight(day) + timedelta(hours=1)]
        logged_in(old, club, user, *moments, midnight(today))
        succeeded(old, club, login(user, utc_now() - timedelta(minutes=1)))
        nightly(old)
        assert kept_from(old) == first_of(months() - 2)
        assert events(old, club) == {user: 2}
        assert rolled_up(old, club) == {(user, day): 2}
        # Too late for March: neither counted nor in the way of what is.
        assert roll_up(old, day, again=True) == 0
        late = login(user, midnight(day))
        succeeded(old, club, late)
        recorded(old, club, late)
        nightly(old)
        assert rolled_up(old, club) == {(user, day): 2}

    def test_makes_partitions_ahead(self, old: Runtime) -> None:
        nightly(old)
        newest = (
            select(func.max(text("relname::text")))
            .select_from(text("pg_class"))
            .where(text("relnamespace = 'login_partitions'::regnamespace AND relkind = 'r'"))
        )
        ahead = months() + 2
        with old.db.read() as connection:
            assert connection.scalar(newest) == f"y{ahead // 12}m{ahead % 12 + 1:02}"

    def test_nobody_can_drop_what_is_recent(self, old: Runtime) -> None:
        with old.db.transaction() as session:
            while session.scalar(select(func.drop_login_partition(date(2999, 1, 1)))):
                pass
        assert kept_from(old) == first_of(months() - 1)

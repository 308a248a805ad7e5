"""Login events: written once, by a job, with the time of the login."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import create_engine, select, text, update

from bugtracker.clock import utc_now
from bugtracker.embedded import Cluster
from bugtracker.login_analytics.recording import forget, record_login, record_missing
from bugtracker.login_analytics.rollup import roll_up
from bugtracker.models import Account, LoginEvent, Member, Session
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import employee, events_of
from tests.logins import (
    counters,
    events,
    logged_in,
    login,
    marked,
    recorded,
    rolled_up,
    succeeded,
)
from tests.registering import Newcomer, refresh, tokens_of
from tests.world import Org, World


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer with a password."""
    return employee(world, org, anonymous, settings)


def jobs_of(runtime: Runtime, org: Org) -> list[dict[str, str]]:
    """The arguments of the organisation's jobs, oldest first."""
    query = text(
        "SELECT args FROM procrastinate_jobs WHERE task_name = 'analytics.record_login'"
        " AND args ->> 'org_id' = :org ORDER BY id"
    )
    with runtime.db.read() as connection:
        return list(connection.scalars(query, {"org": str(org.id)}))


class TestRecordLogin:
    def test_a_login_queues_one_job_which_may_run_often_and_late(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        person.me()
        (job,) = jobs_of(runtime, org)
        for _ in range(3):
            record_login(runtime, **job)
        (succeeded,) = events_of(runtime, org, "login.succeeded")
        with runtime.db.transaction(org_id=org.id) as session:
            (row,) = session.scalars(select(LoginEvent)).all()
        assert job == {"org_id": str(org.id), "login_id": str(row.id)}
        assert row.id == succeeded.resource_id
        assert (row.user_id, row.created_at) == (succeeded.account_id, succeeded.created_at)
        assert marked(runtime, org) == {succeeded.created_at.date()}

    def test_only_logins_of_members_are_recorded(
        self, runtime: Runtime, world: World, anonymous: httpx.Client, settings: Settings
    ) -> None:
        account_id, username = world.create_account()
        loner = Newcomer(anonymous, settings.mail_dir, f"{username}@example.com", username)
        assert loner.me()["login_count"] == 1
        with runtime.db.transaction() as session:
            started = session.scalars(
                select(Session.id).where(Session.account_id == account_id)
            ).one()
            queued = text("SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'login_id' = :id")
            assert session.scalar(queued, {"id": str(started)}) == 0

    def test_refreshing_and_refused_logins_are_none(
        self, runtime: Runtime, org: Org, person: Newcomer, anonymous: httpx.Client
    ) -> None:
        tokens = tokens_of(person.login())
        tokens_of(refresh(anonymous, tokens["refresh_token"]))
        assert person.login(password="Wrong-Words-12").status_code == 401
        assert len(jobs_of(runtime, org)) == 1
        assert list(counters(runtime, org).values()) == [(1, 1)]

    def test_a_login_before_the_last_one_leaves_its_time(
        self, runtime: Runtime, org: Org, person: Newcomer
    ) -> None:
        ahead = utc_now() + timedelta(minutes=5)
        with runtime.db.transaction(org_id=org.id) as session:
            is_person = Account.username == person.username
            user_id = session.scalars(
                update(Account).where(is_person).values(last_login=ahead).returning(Account.id)
            ).one()
            session.execute(
                update(Member).where(Member.user_id == user_id).values(last_login=ahead)
            )
        person.me()
        with runtime.db.transaction(org_id=org.id) as session:
            times = (
                select(Account.last_login, Member.last_login)
                .join(Member, Member.account_id == Account.id)
                .where(Account.id == user_id)
            )
            assert session.execute(times).one() == (ahead, ahead)


class TestRecordMissing:
    def test_adds_the_logins_whose_jobs_were_lost(self, runtime: Runtime, org: Org) -> None:
        now = utc_now()
        logins = [login(org.member.id, now - timedelta(hours=n)) for n in range(3)]
        succeeded(runtime, org, *logins)
        recorded(runtime, org, logins[1])
        record_missing(runtime, now + timedelta(seconds=1), now + timedelta(days=1))
        assert events(runtime, org).total() == 1
        for _ in range(2):
            record_missing(runtime, now - timedelta(hours=2), now + timedelta(seconds=1))
            assert events(runtime, org) == {org.member.id: 3}

    def test_a_partition_that_is_missing_is_made_and_one_that_was_dropped_is_not(
        self, runtime: Runtime, org: Org
    ) -> None:
        now = utc_now()
        moments = [now + timedelta(days=31 * months) for months in (4, 5, -240)]
        logins = [login(org.member.id, moment) for moment in moments]
        succeeded(runtime, org, *logins)
        recorded(runtime, org, *logins)
        assert events(runtime, org) == {org.member.id: 2}


class TestForget:
    def test_leaves_nothing_of_one_person_and_everything_of_others(
        self, runtime: Runtime, org: Org
    ) -> None:
        now, gone = utc_now(), org.developer.id
        late = login(gone, now)
        succeeded(runtime, org, late)
        recorded(runtime, org, late)
        logged_in(runtime, org, org.member.id, now, now)
        roll_up(runtime, now.date(), again=True)
        assert set(rolled_up(runtime, org)) == {(id_, now.date()) for id_ in (gone, org.member.id)}
        values = {"account_id": None, "imported_username": "gone", "imported_from": "deleted"}
        of_gone = update(Member).where(Member.user_id == gone)
        with runtime.db.transaction(org_id=org.id) as session:
            session.execute(of_gone.values(login_count=1, last_login=now, **values))
            forget(session, org.id, gone)
        assert set(rolled_up(runtime, org)) == {(org.member.id, now.date())}
        # Neither a late job nor the night brings it back.
        recorded(runtime, org, late)
        record_missing(runtime, now - timedelta(minutes=5), utc_now())
        assert events(runtime, org) == {org.member.id: 2}
        with runtime.db.transaction(org_id=org.id) as session:
            counted = select(Member.last_login, Member.login_count)
            assert session.execute(counted.where(Member.user_id == gone)).one() == (None, 0)

    def test_an_organisation_takes_its_logins_with_it(
        self, runtime: Runtime, world: World, cluster: Cluster, database: str
    ) -> None:
        org = world.create_org()
        user_id = world.create_account()[0]
        world.join(user_id, org.id, "member")
        logged_in(runtime, org, user_id, utc_now())
        engine = create_engine(cluster.admin_url(database))
        with engine.begin() as connection:
            gone = {"org": org.id}
            connection.execute(text("DELETE FROM organisations WHERE id = :org"), gone)
            for table in ("login_events", "login_days", "login_daily"):
                left = text(f"SELECT count(*) FROM {table} WHERE org_id = :org")
                assert connection.scalar(left, gone) == 0
        engine.dispose()

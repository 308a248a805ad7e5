"""Logins as analytics see them, written and read behind the API's back."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from bugtracker.ids import new_id
from bugtracker.login_analytics.recording import record_login
from bugtracker.models import Account, LoginDaily, LoginDay, LoginEvent, Member
from bugtracker.runtime import Runtime
from bugtracker.services.events import Origin, Resource, append
from tests.world import Org

Login = tuple[UUID, UUID, datetime]
"""Its id, whose it is, and when."""

PerDay = Counter[tuple[UUID, date]]


def login(user_id: UUID, moment: datetime) -> Login:
    return new_id(), user_id, moment


def write(runtime: Runtime, org: Org, logins: Iterable[Login]) -> None:
    """Writes login events, each id once, in one statement."""
    rows = [
        {"org_id": org.id, "id": id_, "user_id": user_id, "created_at": moment}
        for id_, user_id, moment in logins
    ]
    with runtime.db.transaction(org_id=org.id) as session:
        session.execute(insert(LoginEvent).values(rows).on_conflict_do_nothing())


def logged_in(runtime: Runtime, org: Org, user_id: UUID, *moments: datetime) -> None:
    """Logins at these moments, not counted yet."""
    write(runtime, org, [login(user_id, moment) for moment in moments])


def succeeded(runtime: Runtime, org: Org, *logins: Login) -> None:
    """What the record of events has after logins whose jobs did not run."""
    with runtime.db.transaction(org_id=org.id) as session:
        for id_, user_id, moment in logins:
            by, resource = Origin(moment, org.id, user_id, user_id), Resource("session", id_)
            append(session, by, "login.succeeded", resource, {})


def recorded(runtime: Runtime, org: Org, *logins: Login) -> None:
    """Runs the jobs of these logins."""
    for id_, _, _ in logins:
        record_login(runtime, str(org.id), str(id_))


def events(runtime: Runtime, org: Org) -> Counter[UUID]:
    """How many login events each person has."""
    wanted = select(LoginEvent.user_id, func.count()).group_by(LoginEvent.user_id)
    with runtime.db.transaction(org_id=org.id) as session:
        return Counter(dict(session.execute(wanted).all()))


def rolled_up(runtime: Runtime, org: Org) -> PerDay:
    """What the roll-up has."""
    wanted = select(LoginDaily.user_id, LoginDaily.date, LoginDaily.count)
    with runtime.db.transaction(org_id=org.id) as session:
        return Counter({(user, day): count for user, day, count in session.execute(wanted)})


def marked(runtime: Runtime, org: Org) -> set[date]:
    """The days that are to be counted."""
    wanted = select(LoginDay.date).where(LoginDay.rolled_up_at.is_(None))
    with runtime.db.transaction(org_id=org.id) as session:
        return set(session.scalars(wanted))


def counters(runtime: Runtime, org: Org) -> dict[UUID, tuple[int, int]]:
    """``login_count`` of each member who logged in, and of their account."""
    wanted = (
        select(Member.user_id, Member.login_count, Account.login_count)
        .join(Account, Account.id == Member.account_id)
        .where(Account.login_count > 0)
    )
    with runtime.db.transaction(org_id=org.id) as session:
        return {row[0]: (row[1], row[2]) for row in session.execute(wanted)}

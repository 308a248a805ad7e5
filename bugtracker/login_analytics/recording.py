"""Login events: a copy of the record's ``login.succeeded``, made by a job after each login.

The record has the truth, so an event is written once however often its job runs, with the time of
the login however late, and what a lost job left out can be added.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from bugtracker.models import Event, LoginEvent, Member
from bugtracker.runtime import Runtime

ORGANISATIONS = text("SELECT id FROM audited_organisations()")


def record_login(runtime: Runtime, org_id: str, login_id: str) -> None:
    """The job after a login: ``login_id`` is the session that began."""
    here, login = UUID(org_id), UUID(login_id)
    with runtime.db.transaction(org_id=here) as session:
        _record(session, here, Event.resource_id == login)


def record_missing(runtime: Runtime, since: datetime, until: datetime) -> int:
    """Adds the logins of a time, ``until`` excluded, that have no login event; returns how many."""
    with runtime.db.read() as connection:
        organisations = list(connection.scalars(ORGANISATIONS))
    added = 0
    for org_id in organisations:
        with runtime.db.transaction(org_id=org_id) as session:
            added += _record(session, org_id, Event.created_at >= since, Event.created_at < until)
    return added


def _record(session: Session, org_id: UUID, *which: ColumnElement[bool]) -> int:
    """Writes the login events of those logins that have none, in the organisation that the
    transaction is in. Not for months that were dropped, nor for people who were forgotten."""
    past = and_(Event.org_id == org_id, Event.action == "login.succeeded", *which)
    month = func.date_trunc("month", Event.created_at, "UTC")
    months = select(month.label("month")).where(past).distinct().subquery()
    session.execute(select(func.make_login_partition(months.c.month)))
    missing = (
        select(Event.org_id, Event.created_at, Event.resource_id, Member.user_id)
        .join(Member, and_(Member.org_id == Event.org_id, Member.user_id == Event.account_id))
        .where(past, Member.account_id.is_not(None), ~_is_recorded())
        .where(Event.created_at >= func.kept_logins_from())
        # Of two that add the same ones, one waits for the other.
        .order_by(Event.created_at, Event.resource_id)
        # Nobody is forgotten meanwhile.
        .with_for_update(read=True, of=Member)
    )
    columns = ("org_id", "created_at", "id", "user_id")
    inserted = insert(LoginEvent).from_select(columns, missing).on_conflict_do_nothing()
    return len(session.execute(inserted.returning(LoginEvent.id)).all())


def _is_recorded() -> ColumnElement[bool]:
    return exists().where(
        LoginEvent.org_id == Event.org_id,
        LoginEvent.created_at == Event.created_at,
        LoginEvent.id == Event.resource_id,
    )


def forget(session: Session, org_id: UUID, user_id: UUID) -> None:
    """Deletes the logins of somebody from the analytics of the organisation that the transaction
    is in, and what is counted of them.

    For a person who has no account in it any more (``members.account_id`` is null by now or when
    this commits): the logins of all others are added again from the record of events.
    """
    session.execute(select(func.forget_logins(user_id)))
    session.execute(
        update(Member)
        .where(Member.org_id == org_id, Member.user_id == user_id)
        .values(last_login=None, login_count=0)
    )

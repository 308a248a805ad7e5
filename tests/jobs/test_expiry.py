"""What is cleared away, and what is kept."""

from datetime import timedelta
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.jobs.expiry import expire
from bugtracker.models import (
    LoginAttempts,
    OneTimeToken,
    Partner,
    PartnerNonce,
    RefreshToken,
    Session,
    Username,
)
from bugtracker.runtime import Runtime
from tests.partners import create_partner

from .running import account


def put_in(runtime: Runtime, age: timedelta) -> tuple[Session, list[object]]:
    """A session with a refresh token, a mailed token and a claim that ended so long ago."""
    now, person = utc_now(), account(username=uuid4().hex, email=f"{uuid4().hex}@example.com")
    ended = now - age
    times = {"created_at": ended, "expires_at": ended}
    login = Session(id=new_id(), account_id=person.id, last_used_at=ended, **times)
    hashed = uuid4().bytes
    others: list[object] = [
        RefreshToken(id=new_id(), session_id=login.id, token_hash=hashed, **times),
        OneTimeToken(
            id=new_id(), account_id=person.id, purpose="verify_email", token_hash=hashed, **times
        ),
        Username(username_key=person.username, email_key=person.email, expires_at=ended),
    ]
    with runtime.db.transaction() as session:
        session.add(person)
        session.flush()
        session.add(login)
        session.flush()
        session.add_all(others)
    return login, others


def remaining(runtime: Runtime, *things: object) -> int:
    with runtime.db.transaction() as session:
        count = 0
        for thing in things:
            key = type(thing).__table__.primary_key.columns.values()[0]
            name = key.name
            count += session.scalar(
                select(func.count()).select_from(type(thing)).where(key == getattr(thing, name))
            )
        return count


class TestExpire:
    def test_deletes_what_ended_long_ago(self, runtime: Runtime) -> None:
        login, others = put_in(runtime, timedelta(days=31))
        expire(runtime)
        assert remaining(runtime, login, *others) == 0

    def test_keeps_a_session_to_look_at_for_a_month_but_not_its_tokens(
        self, runtime: Runtime
    ) -> None:
        login, others = put_in(runtime, timedelta(days=2))
        expire(runtime)
        assert remaining(runtime, login) == 1
        assert remaining(runtime, *others) == 0

    def test_keeps_what_is_still_good(self, runtime: Runtime) -> None:
        login, others = put_in(runtime, timedelta(days=-1))
        expire(runtime)
        assert remaining(runtime, login, *others) == 4

    def test_deletes_nonces_whose_timestamp_is_too_old_on_any_clock(self, runtime: Runtime) -> None:
        with httpx.Client() as nowhere:
            name = create_partner(runtime, nowhere).name
        with runtime.db.transaction() as session:
            partner_id = session.scalars(select(Partner.id).where(Partner.name == name)).one()
            session.add_all(
                PartnerNonce(
                    partner_id=partner_id,
                    nonce=f"ended-{minutes}-minutes-ago",
                    expires_at=utc_now() - timedelta(minutes=minutes),
                )
                for minutes in (-5, 30, 90)
            )
        expire(runtime)
        with runtime.db.transaction() as session:
            left = session.scalars(select(PartnerNonce.nonce).order_by(PartnerNonce.expires_at))
            assert list(left) == ["ended-30-minutes-ago", "ended--5-minutes-ago"]

    def test_deletes_counts_whose_window_and_lockout_are_over(self, runtime: Runtime) -> None:
        past, future = (utc_now() + timedelta(seconds=n) for n in (-1, 60))
        counts = [
            LoginAttempts(key=uuid4().bytes, attempts=1, window_ends_at=ends, locked_until=locked)
            for ends, locked in ((past, None), (past, past), (future, None), (past, future))
        ]
        with runtime.db.transaction() as session:
            session.add_all(counts)
        expire(runtime)
        assert [remaining(runtime, count) for count in counts] == [0, 0, 1, 1]

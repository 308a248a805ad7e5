"""Claims on usernames."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.errors import UsernameTaken
from bugtracker.models import Username
from bugtracker.runtime import Runtime
from bugtracker.services import usernames

NOW = utc_now()
DAY = timedelta(days=1)


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    """A transaction that is undone in the end."""
    session = runtime.db.session()
    yield session
    session.close()


@pytest.fixture
def name() -> str:
    return f"Name-{uuid4().hex}"


ADA, BOB = "ada@example.com", "bob@example.com"


def holder(session: Session, name: str) -> str | None:
    query = select(Username.email_key).where(Username.username_key == name.lower())
    return session.scalar(query)


class TestClaim:
    def test_holds_the_name_in_any_case(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW, DAY)
        with pytest.raises(UsernameTaken) as refusal:
            usernames.claim(session, name.upper(), BOB, NOW, DAY)
        assert refusal.value.errors[0].pointer == "/username"
        assert holder(session, name) == ADA

    def test_is_renewed_by_its_address_in_any_case(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW - DAY, DAY * 1.5)
        usernames.claim(session, name, ADA.upper(), NOW, DAY)
        with pytest.raises(UsernameTaken):
            usernames.claim(session, name, BOB, NOW + DAY * 0.9, DAY)

    def test_ends_with_its_lifetime(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW - 2 * DAY, DAY)
        usernames.claim(session, name, BOB, NOW, DAY)
        assert holder(session, name) == BOB

    def test_gives_up_the_earlier_claim_of_the_address(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW, DAY)
        usernames.claim(session, f"{name}-2", ADA, NOW, DAY)
        assert holder(session, name) is None
        usernames.claim(session, name, BOB, NOW, DAY)

    def test_leaves_a_kept_name_of_the_address_alone(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW, DAY)
        usernames.keep(session, name, ADA)
        usernames.claim(session, f"{name}-2", ADA, NOW, DAY)
        assert holder(session, name) == ADA


class TestKeep:
    def test_makes_the_claim_last(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW - 3 * DAY, DAY)
        assert usernames.keep(session, name.upper(), ADA.upper())
        for email in (ADA, BOB):
            with pytest.raises(UsernameTaken):
                usernames.claim(session, name, email, NOW + 1000 * DAY, DAY)

    def test_fails_for_a_name_that_somebody_else_took(self, session: Session, name: str) -> None:
        usernames.claim(session, name, ADA, NOW - 2 * DAY, DAY)
        usernames.claim(session, name, BOB, NOW, DAY)
        assert not usernames.keep(session, name, ADA)
        assert usernames.keep(session, name, BOB)

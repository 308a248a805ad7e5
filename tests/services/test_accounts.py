"""Accounts made by the operator."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.errors import UsernameTaken
from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account
from bugtracker.runtime import Runtime
from bugtracker.services import accounts
from bugtracker.services.events import Origin
from bugtracker.settings import Settings
from tests.registering import Newcomer, newcomer


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    """A transaction that is undone in the end, unless the test commits it."""
    session = runtime.db.session()
    yield session
    session.close()


@pytest.fixture
def stranger(anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return newcomer(anonymous, settings)


def create(session: Session, email: str, username: str, password_hash: str = "-") -> Account:
    account_id = accounts.create_account(
        session,
        email=email,
        username=username,
        password_hash=password_hash,
        by=Origin(utc_now(), None),
    )
    return session.get_one(Account, account_id)


class TestCreateAccount:
    def test_makes_a_verified_account(self, session: Session, stranger: Newcomer) -> None:
        account = create(session, stranger.email, stranger.username)
        assert account.verified_at is not None
        assert accounts.find_account(session, stranger.email.upper()) == account.id

    def test_an_address_has_one_account(self, session: Session, stranger: Newcomer) -> None:
        create(session, stranger.email, stranger.username)
        with pytest.raises(ValueError, match="has an account already"):
            create(session, stranger.email.upper(), f"{stranger.username}-2")

    def test_a_username_has_one_account(self, session: Session, stranger: Newcomer) -> None:
        create(session, stranger.email, stranger.username)
        with pytest.raises(UsernameTaken):
            create(session, f"{uuid4().hex}@example.com", stranger.username.upper())

    def test_a_reserved_username_is_refused(self, session: Session, stranger: Newcomer) -> None:
        stranger.registered()
        with pytest.raises(UsernameTaken):
            create(session, f"{uuid4().hex}@example.com", stranger.username)

    def test_an_unverified_registration_gives_way(
        self,
        runtime: Runtime,
        session: Session,
        settings: Settings,
        stranger: Newcomer,
        worker: WorkerThread,
    ) -> None:
        """Whoever registered the address before the operator did must not get in through it."""
        token = stranger.registered(org_name="Mine").token()
        assert accounts.find_account(session, stranger.email) is None
        password = "Other-Words-12"
        account = create(
            session, stranger.email, f"{stranger.username}-2", runtime.hasher.hash(password)
        )
        session.commit()
        assert account.pending_org_name is None
        assert stranger.verify(token).status_code == 422
        assert stranger.login().status_code == 401
        assert stranger.login(password=password).status_code == 200

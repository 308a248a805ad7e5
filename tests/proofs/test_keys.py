"""Signing keys: however many processes make or rotate them, one signs."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from bugtracker.app import create_runtime
from bugtracker.embedded import Cluster
from bugtracker.models import SigningKey
from bugtracker.runtime import Runtime
from bugtracker.security.keys import KeyStore
from bugtracker.settings import Settings
from tests.proofs.reporting import Report

PROCESSES = 10


@pytest.fixture
def first(cluster: Cluster, own_database: str, settings: Settings) -> Iterator[Runtime]:
    """A runtime on a database that nobody has used."""
    url = SecretStr(cluster.api_url(own_database))
    runtime = create_runtime(settings.model_copy(update={"database_url": url}))
    yield runtime
    runtime.db.close()


def test_many_processes_make_one(first: Runtime, report: Report) -> None:
    """Of many processes that start on an empty database one makes the key, and all sign with it."""
    stores = [KeyStore(first.db, first.keyring) for _ in range(PROCESSES)]
    start = threading.Barrier(PROCESSES)

    def first_key(store: KeyStore) -> str:
        start.wait()
        return store.signing().kid

    with ThreadPoolExecutor(PROCESSES) as pool:
        kids = set(pool.map(first_key, stores))
    with first.db.transaction() as session:
        assert session.scalars(select(SigningKey.kid)).all() == list(kids)
    report(processes=PROCESSES, keys=len(kids))


def test_rotating_at_once_leaves_one_that_signs(first: Runtime, report: Report) -> None:
    """Of many rotations at once is left one key that signs, and it is a new one."""
    stores = [KeyStore(first.db, first.keyring) for _ in range(PROCESSES)]
    before = first.keys.signing()
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(KeyStore.rotate, stores))
    with first.db.transaction() as session:
        current = select(SigningKey.kid).where(SigningKey.retired_at.is_(None))
        (kid,) = session.scalars(current).all()
    assert kid != before.kid
    report(rotations=PROCESSES, keys_that_sign=1)

"""A migrated database of its own for each test, and mail that goes to a sink."""

import fcntl
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from pydantic import SecretStr

from bugtracker.app import create_runtime
from bugtracker.embedded import Cluster
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.conftest import TEMPLATE
from tests.mail.sink import Sink

_numbers = count(1)


@pytest.fixture
def database(cluster: Cluster, shared_directory: Path) -> Iterator[str]:
    """A database without jobs and events of other tests; dropping it throws everybody out."""
    name = f"jobs_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{next(_numbers)}"
    with (shared_directory / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster.clone_database(TEMPLATE, name)
    yield name
    cluster.drop_database(name)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def settings(cluster: Cluster, database: str, sink: Sink, tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(cluster.api_url(database)),
        secret_key=SecretStr("k" * 32),
        local_dir=tmp_path,
        bcrypt_cost=4,
        smtp_host="127.0.0.1",
        smtp_port=sink.port,
        shutdown_grace=5,
    )


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    runtime = create_runtime(settings)
    yield runtime
    runtime.db.close()

"""One PostgreSQL for all test processes, one migrated database and one real server for each."""

import fcntl
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from bugtracker import problems
from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract, load_contract
from bugtracker.db import Database
from bugtracker.embedded import Cluster, embedded_postgres
from bugtracker.jobs.worker import WorkerThread
from bugtracker.logs import configure_logging
from bugtracker.migrate import migrate
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.answers import AnswersPlugin, documented
from tests.conformance import Conformance
from tests.parallel import Standstill, standstill
from tests.redis_server import redis_server
from tests.relay import Relay
from tests.serving import Server, serve
from tests.world import Json, Org, World

TEMPLATE = "bugtracker_template"


def pytest_configure(config: pytest.Config) -> None:
    """Every documented answer has to be given in some test."""
    config.pluginmanager.register(AnswersPlugin(documented))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a minute and more comes first, while others have something to do beside it."""
    items.sort(key=lambda item: item.path.name != "test_schemathesis.py")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Modules and thousands of tests stay to the end: looking through them again and again for
    garbage would be a twentieth of all time."""
    gc.collect()
    gc.freeze()
    gc.enable()


# A refusal whose text nobody can translate answers 500, and the log says which text.
problems.must_be_marked = True


@pytest.fixture(scope="session")
def shared_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of this test run share, or, with TEST_SHARED_DIR, all runs."""
    if given := os.environ.get("TEST_SHARED_DIR"):
        return Path(given)
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def postgres(shared_directory: Path) -> Iterator[Cluster]:
    """The embedded PostgreSQL, or the one on port 5432 of TEST_POSTGRES_HOST, for tests alone: it
    trusts whoever connects, and "postgres" is its superuser."""
    if given := os.environ.get("TEST_POSTGRES_HOST"):
        cluster = Cluster(Path(given))
        with (shared_directory / "roles.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            cluster.ensure_roles()
        yield cluster
        return
    with embedded_postgres(shared_directory / "postgres", durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(shared_directory: Path) -> Iterator[Cluster]:
    """A running PostgreSQL with a migrated template database."""
    with postgres(shared_directory) as running:
        with (shared_directory / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            running.ensure_database(TEMPLATE)
            migrate(running.owner_url(TEMPLATE), running.api_url(TEMPLATE))
        yield running


@contextmanager
def cloned_database(cluster: Cluster, shared_directory: Path, name: str) -> Iterator[str]:
    """A migrated database of this name, until the block is left."""
    with (shared_directory / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster.clone_database(TEMPLATE, name)
    yield name
    cluster.drop_database(name)


@pytest.fixture(scope="session")
def database(cluster: Cluster, shared_directory: Path) -> Iterator[str]:
    """The name of this process's own database."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with cloned_database(cluster, shared_directory, f"test_{worker}_{uuid4().hex[:8]}") as name:
        yield name


@pytest.fixture
def own_database(cluster: Cluster, shared_directory: Path) -> Iterator[str]:
    """The name of a migrated database for one test alone, to be broken at will."""
    with cloned_database(cluster, shared_directory, f"own_{uuid4().hex}") as name:
        yield name


@pytest.fixture(scope="session")
def other_world(
    cluster: Cluster,
    shared_directory: Path,
    settings: Settings,
    contract: Contract,
    conformance: Conformance,
) -> Callable[..., AbstractContextManager[World]]:
    """Makes worlds with a server and a database of their own, with these settings changed."""

    @contextmanager
    def made(**changes: object) -> Iterator[World]:
        with cloned_database(cluster, shared_directory, f"other_{uuid4().hex}") as name:
            urls = {"database_url": SecretStr(cluster.api_url(name))}
            urls |= {"owner_database_url": SecretStr(cluster.owner_url(name))}
            runtime = create_runtime(settings.model_copy(update={**urls, **changes}))
            with serve(create_app(runtime, contract)) as running:
                world = World(runtime, running.url, conformance)
                yield world
                world.close()
            runtime.db.close()

    return made


@pytest.fixture(scope="module")
def empty_world(other_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    """A world in which a module's tests are alone, so that they know what is in every table."""
    with other_world() as world:
        yield world


@pytest.fixture(scope="session")
def settings(cluster: Cluster, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Like production, but cheap to hash and hard to exhaust."""
    return Settings(
        database_url=SecretStr(cluster.api_url(database)),
        owner_database_url=SecretStr(cluster.owner_url(database)),
        secret_key=SecretStr("a test secret of more than 32 characters"),
        local_dir=tmp_path_factory.mktemp("local"),
        public_url="http://bugtracker.test",
        bcrypt_cost=4,
        rate_limit_per_ip="1000000/minute",
        rate_limit_login="1000000/minute",
        rate_limit_api_key="1000000/minute",
        rate_limit_sensitive="1000000/minute",
        rate_limit_mail="1000000/hour",
        rate_limit_partner="1000000/minute",
        log_level="WARNING",
        cors_origins=("https://app.example",),
    )


@pytest.fixture(scope="session")
def runtime(settings: Settings) -> Iterator[Runtime]:
    """The shared services of the process under test."""
    configure_logging(settings)
    runtime = create_runtime(settings)
    yield runtime
    runtime.db.close()


@pytest.fixture
def one(runtime: Runtime) -> Iterator[Database]:
    """A pool of a single connection."""
    url = runtime.db.engine.url.render_as_string(hide_password=False)
    db = Database(url, pool_size=1, pool_timeout=0.1)
    yield db
    db.close()


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The bundled contract."""
    return load_contract()


@pytest.fixture(scope="session")
def conformance(contract: Contract) -> Conformance:
    """What holds answers to the contract, whichever server they are of."""
    return Conformance(contract)


@pytest.fixture(scope="session")
def server(runtime: Runtime, contract: Contract) -> Iterator[Server]:
    """The application behind a real socket."""
    with serve(create_app(runtime, contract)) as running:
        yield running


@pytest.fixture(scope="session")
def world(runtime: Runtime, server: Server, conformance: Conformance) -> Iterator[World]:
    """Organisations and callers, made on demand; every answer is held to the contract."""
    world = World(runtime, server.url, conformance)
    yield world
    world.close()


@pytest.fixture
def org(world: World) -> Org:
    """An organisation of this test's own."""
    return world.create_org()


@pytest.fixture
def project(org: Org) -> Json:
    """An empty project in it, made by its manager."""
    return org.manager.create_project()


@pytest.fixture
def anonymous(world: World) -> Iterator[httpx.Client]:
    """Somebody without a token."""
    with world.client() as client:
        yield client


@pytest.fixture
def still(cluster: Cluster, database: str) -> Iterator[Standstill]:
    """A transaction that keeps rows locked until the test says so."""
    with standstill(cluster.admin_url(database)) as standing:
        yield standing


@pytest.fixture(scope="module")
def worker(runtime: Runtime, cluster: Cluster, database: str) -> Iterator[WorkerThread]:
    """A job worker on this process's database; it stops before a module that wants it quiet.

    What modules without one have queued, hundreds of mails, would keep it from this one's."""
    url = cluster.admin_url(database).replace("+psycopg", "")
    # The path is for the table's own triggers.
    with psycopg.connect(url, options="-c search_path=jobs") as connection:
        connection.execute("DELETE FROM procrastinate_jobs WHERE status = 'todo'")
    thread = WorkerThread(runtime)
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture
def relay(redis_port: int) -> Iterator[Relay]:
    """A way to Redis that can be frozen."""
    with Relay(redis_port) as relay:
        yield relay

"""The generated Python client, and a server whose mails and webhooks arrive."""

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.settings import Settings
from tests.conformance import Conformance
from tests.conftest import cloned_database
from tests.jobs.running import working
from tests.serving import serve
from tests.webhooks.receiver import Receiver
from tests.world import World
from tools.clients import BT, CLIENTS, generate_python

# The tests import it and ``bt`` by their names, as users do.
sys.path[:0] = [str(generate_python(CLIENTS / "python")), str(BT)]


@pytest.fixture(scope="package")
def living_world(
    settings: Settings, cluster: Cluster, shared_directory: Path, contract: Contract
) -> Iterator[World]:
    """A server with a worker, which may send webhooks to this machine."""
    with cloned_database(cluster, shared_directory, f"clients_{uuid4().hex}") as name:
        changes = {
            "database_url": SecretStr(cluster.api_url(name)),
            "owner_database_url": SecretStr(cluster.owner_url(name)),
            "webhook_allow_local": True,
        }
        runtime = create_runtime(settings.model_copy(update=changes))
        with serve(create_app(runtime, contract)) as server, working(runtime):
            world = World(runtime, server.url, Conformance(contract))
            yield world
            world.close()
        runtime.db.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver

"""Servers whose webhooks may go to receivers on this machine, and delivering step by step."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.conformance import Conformance
from tests.conftest import cloned_database
from tests.serving import serve
from tests.webhooks.receiver import Receiver
from tests.webhooks.stepping import Stepper
from tests.world import Org, World


@pytest.fixture(scope="package")
def local_runtime(
    settings: Settings, cluster: Cluster, shared_directory: Path
) -> Iterator[Runtime]:
    """On a database without a worker, which would take the deliveries that a test steps through."""
    with cloned_database(cluster, shared_directory, f"webhooks_{uuid4().hex}") as name:
        changes = {
            "database_url": SecretStr(cluster.api_url(name)),
            "owner_database_url": SecretStr(cluster.owner_url(name)),
            "webhook_allow_local": True,
            # Long enough for a machine that is busy.
            "webhook_timeout_seconds": 10.0,
        }
        runtime = create_runtime(settings.model_copy(update=changes))
        yield runtime
        runtime.db.close()


@pytest.fixture(scope="package")
def local_world(local_runtime: Runtime, contract: Contract) -> Iterator[World]:
    with serve(create_app(local_runtime, contract)) as server:
        world = World(local_runtime, server.url, Conformance(contract))
        yield world
        world.close()


@pytest.fixture
def org(local_world: World) -> Org:
    return local_world.create_org()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def stepper(local_runtime: Runtime) -> Stepper:
    return Stepper(local_runtime)


@pytest.fixture
def impatient(local_runtime: Runtime) -> Stepper:
    """One that waits for no receiver longer than a second."""
    settings = local_runtime.settings.model_copy(update={"webhook_timeout_seconds": 1.0})
    return Stepper(replace(local_runtime, settings=settings))

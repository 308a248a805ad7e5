"""The generated Python client, and a server whose mails and webhooks arrive."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.jobs.running import working
from tests.webhooks.receiver import Receiver
from tests.world import World
from tools.clients import BT, CLIENTS, generate_python

# The tests import it and ``bt`` by their names, as users do.
sys.path[:0] = [str(generate_python(CLIENTS / "python")), str(BT)]


@pytest.fixture(scope="package")
def living_world(other_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    """A server with a worker, which may send webhooks to this machine."""
    with other_world(webhook_allow_local=True) as world, working(world.runtime):
        yield world


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver

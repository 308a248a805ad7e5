"""nginx in front of the API, as an operator runs it."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.settings import Settings
from tests.deploy.proxy import Proxy, proxy
from tests.serving import serve


@pytest.fixture(scope="package")
def instances(settings: Settings, contract: Contract) -> Iterator[list[int]]:
    """The ports of two instances, in threads of this process."""
    changes = {"trusted_proxies": ("127.0.0.1",)}
    with ExitStack() as stack:
        ports = []
        for _ in range(2):
            runtime = create_runtime(settings.model_copy(update=changes))
            stack.callback(runtime.db.close)
            ports.append(stack.enter_context(serve(create_app(runtime, contract))).port)
        yield ports


@pytest.fixture(scope="package")
def front(instances: list[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx in front of both."""
    with proxy(tmp_path_factory.mktemp("nginx"), instances) as running:
        yield running


@pytest.fixture
def outside(front: Proxy) -> Iterator[httpx.Client]:
    """Somebody on the other side of nginx."""
    with front.client() as client:
        yield client

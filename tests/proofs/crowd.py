"""Many clients at once, at two servers that know of each other only through the database."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import httpx

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.logs import configure_logging
from bugtracker.settings import Settings
from tests.behind import employee
from tests.conformance import Conformance
from tests.parallel import at_once
from tests.proofs.size import SIZE
from tests.registering import Newcomer
from tests.serving import serve
from tests.world import Org, World

Action = Callable[[httpx.Client, int], httpx.Response]

SERVERS = 2


class Crowd:
    """The clients, and the world behind the servers."""

    def __init__(self, world: World, urls: list[str]) -> None:
        self.world = world
        self.runtime = world.runtime
        self._urls = urls

    def at_once(self, action: Action, times: int = SIZE.requests) -> list[httpx.Response]:
        """The answers to ``action(client, number)``, done by as many at the same moment.

        Each has a connection of its own, open before, to one server or the other in turn.
        """
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(self.client(number))) for number in range(times)]
            return at_once([partial(action, http, n) for n, http in enumerate(clients)])

    def client(self, number: int) -> httpx.Client:
        """A client with an open connection to the server whose turn it is."""
        http = self.world.client()
        http.base_url = self._urls[number % len(self._urls)]
        http.get("/healthz")
        return http

    def employee(self, org: Org) -> Newcomer:
        """A developer with a password and no session yet."""
        return employee(self.world, org, self.world.client(), self.runtime.settings)


@contextmanager
def crowd(settings: Settings, contract: Contract) -> Iterator[Crowd]:
    """Two servers whose handler threads may all hash at once."""
    update = {"hashing_threads": settings.threads}
    busy = settings.model_copy(update=update)
    configure_logging(busy)
    with ExitStack() as stack:
        runtimes = [create_runtime(busy) for _ in range(SERVERS)]
        for runtime in runtimes:
            stack.callback(runtime.db.close)
        urls = [stack.enter_context(serve(create_app(each, contract))).url for each in runtimes]
        world = World(runtimes[0], urls[0], Conformance(contract))
        stack.callback(world.close)
        yield Crowd(world, urls)


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    """How often each status was answered."""
    return Counter(response.status_code for response in responses)


def the_one(responses: list[httpx.Response], status: int) -> int:
    """The number of the only answer with this status."""
    (number,) = (n for n, response in enumerate(responses) if response.status_code == status)
    return number


def pairs_of(responses: list[httpx.Response]) -> list[dict[str, str]]:
    """The token pairs among the answers."""
    bodies = [response.json() for response in responses if response.status_code == 200]
    return [body for body in bodies if "access_token" in body]

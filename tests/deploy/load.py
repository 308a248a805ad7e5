"""Requests without pause from several clients at once, while something happens to the servers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.deploy.proxy import Proxy

Send = Callable[[httpx.Client], httpx.Response]


@dataclass
class Outcome:
    """What came back, by kind of request: statuses, and names of errors."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, response: httpx.Response | None, error: str = "") -> None:
        with self.lock:
            self.answers[kind] += 1
            if response is None:
                self.failures.append(f"{kind}: {error}")
            elif response.status_code >= 400:
                self.failures.append(f"{kind}: {response.status_code} {response.text}")

    def wait_for_more(self, requests: int) -> None:
        """Returns when so many more have been answered: the load has seen what happened."""
        aim = self.answers.total() + requests
        pause = threading.Event()
        while self.answers.total() < aim:
            pause.wait(0.02)


@contextmanager
def load(front: Proxy, kinds: dict[str, Send], clients: int = 4) -> Iterator[Outcome]:
    """Load until the block is left; look at the outcome then."""
    outcome, stop = Outcome(), threading.Event()
    threads = [
        threading.Thread(target=_client, args=(front, f"127.0.1.{number}", kinds, outcome, stop))
        for number in range(1, clients + 1)
    ]
    for thread in threads:
        thread.start()
    try:
        yield outcome
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _client(
    front: Proxy, address: str, kinds: dict[str, Send], outcome: Outcome, stop: threading.Event
) -> None:
    # Each from an address of its own, as nginx limits the requests of one.
    with front.client(address) as client:
        while not stop.is_set():
            for kind, send in kinds.items():
                try:
                    outcome.note(kind, send(client))
                except httpx.HTTPError as error:
                    outcome.note(kind, None, repr(error))

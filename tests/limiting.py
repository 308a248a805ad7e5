"""Servers with low limits, and clients that call them from anywhere."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr

from bugtracker.app import create_app
from bugtracker.runtime import Runtime
from tests.serving import serve

WRONG = "Wrong-Table-1843"

# Another /64 each; by the time too, because counts in Redis outlive this process.
_NETWORKS = itertools.count(time.time_ns() << 8)


def some_address() -> str:
    """A client's address that no other test uses."""
    return str(IPv6Address((next(_NETWORKS) << 64) % 2**125 | 1 << 125 | 1))


@dataclass(frozen=True)
class Clients:
    """Whoever sends requests to one server."""

    http: httpx.Client

    def post(self, path: str, body: Any, address: str, **headers: str) -> httpx.Response:
        """Posts as if through a trusted proxy."""
        sent = {"X-Forwarded-For": address, **headers}
        return self.http.post(path, json=body, headers=sent)

    def log_in(self, address: str, password: str = WRONG, **name: str) -> httpx.Response:
        """A login by ``email`` or ``username``."""
        return self.post("/api/auth/login", {**name, "password": password}, address)

    def statuses(self, times: int, address: str = "192.0.2.1", **name: str) -> list[int]:
        """Of so many wrong logins in a row."""
        name = name or {"email": "nobody@example.com"}
        return [self.log_in(address, **name).status_code for _ in range(times)]


@contextmanager
def limited(runtime: Runtime, *, redis_url: str | None = None, **limits: str) -> Iterator[Clients]:
    """A server of its own with these limits (``login="3/hour"``)."""
    update = {f"rate_limit_{name}": rate for name, rate in limits.items()}
    redis = SecretStr(redis_url) if redis_url else None
    settings = runtime.settings.model_copy(
        update={**update, "redis_url": redis, "trusted_proxies": ("127.0.0.1",)}
    )
    changed = Runtime(**{**vars(runtime), "settings": settings})
    with (
        serve(create_app(changed)) as server,
        httpx.Client(
            base_url=server.url, verify=False, limits=httpx.Limits(max_connections=60)
        ) as client,
    ):
        yield Clients(client)


def stranger() -> dict[str, str]:
    """The name of an account that does not exist."""
    return {"email": f"{uuid4().hex}@example.com"}

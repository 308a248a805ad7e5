"""Writing on through outages: what is not acknowledged is sent again, under the same key."""

import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import httpx

from tests.world import Caller, Json

PATIENCE = 300


def insist(post: Callable[[], httpx.Response]) -> Json:
    """Again and again until it is acknowledged: what an outage interrupts is repeated safely."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            response = post()
        except httpx.TransportError:
            continue
        if response.status_code == 201:
            body: Json = response.json()
            return body
        assert response.status_code in (409, 503), response.text
        time.sleep(0.05)
    raise AssertionError("never acknowledged")


def change(caller: Caller, issue: Json) -> str:
    """One comment; returns its id."""
    header, path = {"Idempotency-Key": str(uuid4())}, f"/api/issues/{issue['id']}/comments"
    comment = insist(partial(caller.post, path, {"content": "Seen."}, headers=header))
    identity: str = comment["id"]
    return identity

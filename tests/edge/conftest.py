"""Servers for the tests of the edge."""

from collections.abc import Iterator

import pytest

from .serving import Served, serving

LISTED_ORIGIN = "https://app.example"


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """A server with the settings most tests can share."""
    with serving(
        cors_origins=(LISTED_ORIGIN,), max_body_bytes=2048, body_timeout=0.4, trusted_proxies=()
    ) as server:
        yield server

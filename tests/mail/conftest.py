"""An SMTP server for the tests of mail."""

from collections.abc import Iterator

import pytest

from .sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink

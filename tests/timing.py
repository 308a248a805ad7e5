"""Limits of time that hold on a calm machine.

Tests run beside each other on machines that are busy: there a limit is ten times as long, which
still tells an answer that waits for a time-out from one that does not. ``make proofs`` holds each
as it is written.
"""

import os

CALM = os.environ.get("TEST_PROOFS") == "full"


def within(seconds: float) -> float:
    """``seconds`` where nothing else runs, ten times as many elsewhere."""
    return seconds if CALM else 10 * seconds

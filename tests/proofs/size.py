"""How large the proofs are: full with ``TEST_PROOFS=full``, as ``make proofs`` says, else short."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Numbers that differ between both forms; what is proven does not."""

    full: bool
    requests: int
    """At the same moment."""
    rounds: int
    """How often each race is run, on things of its own."""
    pairs: int
    """Of timed requests."""
    changes: int
    """That are to be told to a receiver."""
    kills: int
    """Of the worker meanwhile."""
    bcrypt_cost: int
    """Of timed requests: high enough to see whether a hash is left out (10 takes 50 to 100 ms), low
    enough to see the rest beside it."""


FULL = Size(full=True, requests=100, rounds=3, pairs=200, changes=10_000, kills=5, bcrypt_cost=10)
SHORT = Size(full=False, requests=50, rounds=1, pairs=3, changes=300, kills=2, bcrypt_cost=4)

SIZE = FULL if os.environ.get("TEST_PROOFS") == "full" else SHORT

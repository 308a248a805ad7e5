"""Passwords that many people have: a list that comes with us, and a file of the operator's."""

import re
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import structlog

log = structlog.get_logger()

CHARACTERS_AT_ONCE = 1 << 19
"""Sorting so many lines keeps other threads waiting for less than a tenth of a second."""


class CommonPasswords:
    """The 30,000 of zxcvbn, and what stands in a text file, one per line, in any order.

    Both are read when first needed. Upper and lower case are the same.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._reading = threading.Lock()
        self._lines: HashedLines | None = None

    def covers(self, password: str) -> bool:
        """Whether many people have it, or have it with digits and symbols at its end."""
        lowered = password.lower()
        stem = re.sub(r"[\W\d_]+$", "", lowered)
        return any(candidate and self._has(candidate) for candidate in (lowered, stem))

    def _has(self, lowered: str) -> bool:
        if lowered in _built_in():
            return True
        return self._file is not None and lowered in self._read(self._file)

    def _read(self, file: Path) -> "HashedLines":
        # Whoever comes while it is read waits: nobody gets past the list.
        with self._reading:
            if self._lines is None:
                self._lines = HashedLines(file)
                log.info("common_passwords_read", lines=len(self._lines))
            return self._lines


@cache
def _built_in() -> frozenset[str]:
    """Lower case. Two megabytes, so loaded when first needed."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    return frozenset(FREQUENCY_LISTS["passwords"])


class HashedLines:
    """A set of the lines of a file, in lower case: 8 bytes a line, whatever its length.

    Kept are the 64-bit hashes by which Python looks up strings, sorted piece by piece: a set of
    ten million strings would take a gigabyte, and one long sort a good part of that. That a line
    nobody wrote has the hash of one of ten million happens once in 10^12 passwords.
    """

    def __init__(self, file: Path) -> None:
        self._runs = [array("q", sorted(map(hash, lines))) for lines in _pieces(file)]

    def __contains__(self, lowered: str) -> bool:
        wanted = hash(lowered)
        return any(_holds(run, wanted) for run in self._runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs))


def _pieces(file: Path) -> Iterator[list[str]]:
    """The lines in lists of some 50,000. Bytes that are not UTF-8 match nothing anybody sends."""
    with file.open(encoding="utf-8-sig", errors="replace") as text:
        while piece := text.read(CHARACTERS_AT_ONCE):
            yield (piece + text.readline()).lower().rstrip("\n").split("\n")


def _holds(run: "array[int]", wanted: int) -> bool:
    place = bisect_left(run, wanted)
    return place < len(run) and run[place] == wanted

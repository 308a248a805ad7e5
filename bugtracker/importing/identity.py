"""Ids that an import finds again: UUIDv7 in form and order, derived from what they stand for."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ORIGIN_BITS = 62
_LAST_PLACE = 0xFFF


def origin(*words: object) -> int:
    """62 bits that tell one imported thing from all others; equal words, equal bits."""
    digest = hashlib.sha256("\0".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - _ORIGIN_BITS)


def imported_id(moment: datetime, place: int, origin: int) -> UUID:
    """The id of something from ``moment`` (1970 or later). ``place`` (12 bits) orders what
    happened in the same millisecond, because lists break ties by id."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    high = milliseconds << 16 | 7 << 12 | min(place, _LAST_PLACE)
    return UUID(int=high << 64 | 2 << _ORIGIN_BITS | origin)


def origin_of(id: UUID) -> int:
    """The ``origin`` an id was made with; it does not depend on place and moment."""
    return id.int & ((1 << _ORIGIN_BITS) - 1)

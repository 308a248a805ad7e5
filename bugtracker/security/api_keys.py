"""What API keys look like, and which of them were good a moment ago.

``bt_<8 characters>_<43 characters><6 characters>``: the first part names the key for people, the
second are 256 random bits, the third is their CRC-32, all in base 62. The checksum lets secret
scanners, and us, tell a key from a string that merely looks like one without asking the database.
"""

import re
import secrets
import string
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from bugtracker.security.secrets import token_hash

MARK = "bt_"
PARTNER_MARK = "bp_"
"""What the keys of partner systems begin with, which are of the same form."""
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
NAME_LETTERS = string.ascii_lowercase + string.digits
NAME_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 8, 43, 6
SECRET_BITS = 256
API_KEY = re.compile(r"(b[pt]_[a-z0-9]{8}_[0-9A-Za-z]{43})([0-9A-Za-z]{6})")

KNOWN_SECONDS = 600.0
"""How long after its last good use a key is still counted by itself at the edge."""
MAX_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: what the database keeps, and what is shown once."""

    prefix: str
    secret: str
    """The whole key."""

    @property
    def hash(self) -> bytes:
        """What is looked up: unlike a comparison of secrets, it tells nothing by its time."""
        return token_hash(self.secret)


def new_key(mark: str = MARK) -> NewKey:
    """A key of 256 random bits."""
    prefix = mark + "".join(secrets.choice(NAME_LETTERS) for _ in range(NAME_LENGTH))
    body = f"{prefix}_{_base62(secrets.randbits(SECRET_BITS), SECRET_LENGTH)}"
    return NewKey(prefix, body + _checksum(body))


def looks_like_key(token: str) -> bool:
    """Whether a bearer token is meant to be an API key; no access token begins so."""
    return token.startswith(MARK)


def hash_of(token: str) -> bytes | None:
    """The hash to look a key up by; None for what cannot be one of ours."""
    match = API_KEY.fullmatch(token)
    if match is None or match[2] != _checksum(match[1]):
        return None
    return token_hash(token)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


class RecentKeys:
    """Whose the keys are that this process has seen working, for counting their requests before
    they are looked up again. Never a reason to let somebody in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[UUID, float]] = {}

    def remember(self, key_hash: bytes, creator_id: UUID) -> None:
        """Notes a key that was just used with success."""
        with self._lock:
            self._known.pop(key_hash, None)
            if len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[key_hash] = creator_id, self._clock() + KNOWN_SECONDS

    def forget(self, key_hash: bytes) -> None:
        """Notes that a key does not work (any more)."""
        with self._lock:
            self._known.pop(key_hash, None)

    def find(self, authorization: bytes | None) -> UUID | None:
        """The account that made the known key in an Authorization header."""
        if authorization is None or authorization[:7].lower() != b"bearer ":
            return None
        token = authorization[7:].strip()
        if not token.startswith(MARK.encode()):
            return None
        with self._lock:
            found = self._known.get(token_hash(token.decode("latin-1")))
        return found[0] if found is not None and found[1] > self._clock() else None

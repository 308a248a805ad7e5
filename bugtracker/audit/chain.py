"""One link of the chain: the keyed hash over a batch of leaves and the link before."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC

import orjson

from bugtracker.audit.leaves import LEAF_BYTES, SCHEME
from bugtracker.models import EventSeal
from bugtracker.security.secrets import Keyring

NO_SEAL = bytes(32)
"""What the first link has before it."""


def seal_of(keyring: Keyring, link: EventSeal) -> bytes:
    """What the seal of a link must be."""
    told = [
        SCHEME,
        link.org_id,
        link.from_number,
        link.to_number,
        link.sealed_at.astimezone(UTC).isoformat(),
        link.key_id.hex(),
        link.previous.hex(),
        hashlib.sha256(link.leaves).hexdigest(),
    ]
    return keyring.seal(orjson.dumps(told))


def is_genuine(keyring: Keyring, link: EventSeal) -> bool:
    """Whether whoever made it had the key, and nothing in it was changed."""
    return hmac.compare_digest(seal_of(keyring, link), link.seal)


def joined(leaves: Sequence[bytes]) -> bytes:
    """Leaves as a link keeps them."""
    return b"".join(leaves)


def split(leaves: bytes) -> list[bytes]:
    """The leaves of a link."""
    return [leaves[at : at + LEAF_BYTES] for at in range(0, len(leaves), LEAF_BYTES)]

"""The hash of one event: over all of it, with a commitment in place of personal values."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func, select

from bugtracker.audit.personal import personal_fields
from bugtracker.db import Rows
from bugtracker.models import Event, EventCommitment

LEAF_BYTES = 32
SALT_BYTES = 32
SCHEME = 1
"""Part of every hash; a later way to write an event down gets another number."""

ERASED = [None, None]
"""What anonymise_event() leaves of a field."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """Stands for the personal values of an event; hides them once the salt is gone."""

    fields: tuple[str, ...]
    salt: bytes | None
    value: bytes

    def holds(self, changes: Any) -> bool:
        """Whether the values are the ones committed to, or were erased together with the salt."""
        if self.salt is None:
            return all(_value(changes, field) == ERASED for field in self.fields)
        return hmac.compare_digest(_commit(changes, self.fields, self.salt), self.value)


def rows() -> Rows:
    """The columns that are hashed, and the commitment where there is one.

    The time as text, so that no value of it (``infinity``) is beyond us.
    """
    return select(
        Event.id,
        Event.org_id,
        Event.number,
        Event.action,
        Event.actor_id,
        Event.account_id,
        Event.resource_type,
        Event.resource_id,
        Event.resource_version,
        Event.project_id,
        Event.issue_id,
        Event.changes,
        Event.request_id,
        Event.api_key_id,
        func.to_char(func.timezone("UTC", Event.created_at), 'YYYY-MM-DD"T"HH24:MI:SS.US BC').label(
            "at"
        ),
        EventCommitment.fields,
        EventCommitment.salt,
        EventCommitment.commitment,
    ).outerjoin(
        EventCommitment,
        (EventCommitment.org_id == Event.org_id) & (EventCommitment.number == Event.number),
    )


def commitment_of(row: Any) -> Commitment | None:
    """The stored commitment of a row of :func:`rows`."""
    if row.commitment is None:
        return None
    return Commitment(tuple(row.fields), row.salt, row.commitment)


def new_commitment(row: Any) -> Commitment | None:
    """A commitment to the personal values of an event that is about to be sealed."""
    changes = row.changes if isinstance(row.changes, dict) else {}
    fields = tuple(personal_fields(row.resource_type, changes))
    if not fields:
        return None
    salt = secrets.token_bytes(SALT_BYTES)
    return Commitment(fields, salt, _commit(row.changes, fields, salt))


def leaf(row: Any, commitment: Commitment | None) -> bytes:
    """SHA-256 over the event as it stands, personal values apart."""
    hidden = () if commitment is None else commitment.fields
    document = [
        SCHEME,
        row.org_id,
        row.number,
        row.id,
        row.at,
        row.action,
        row.actor_id,
        row.account_id,
        row.resource_type,
        row.resource_id,
        row.resource_version,
        row.project_id,
        row.issue_id,
        row.request_id,
        row.api_key_id,
        _without(row.changes, hidden),
        None if commitment is None else [commitment.fields, commitment.value.hex()],
    ]
    return hashlib.sha256(_canonical(document)).digest()


def _commit(changes: Any, fields: Sequence[str], salt: bytes) -> bytes:
    told = _canonical([[field, _value(changes, field)] for field in fields])
    return hmac.digest(salt, told, "sha256")


def _value(changes: Any, field: str) -> Any:
    """A field's old and new value. Whoever tampers may have left something else than an object."""
    return changes.get(field) if isinstance(changes, dict) else None


def _without(changes: Any, hidden: Sequence[str]) -> Any:
    if not isinstance(changes, dict):
        return changes
    return {field: pair for field, pair in changes.items() if field not in hidden}


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

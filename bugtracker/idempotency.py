"""Requests with an ``Idempotency-Key``: done once, however often they are sent.

A statement of its own claims the key before the handler runs; the response is stored in the
handler's transaction, so that a crash leaves either both or nothing; a refusal releases the key.
docs/decisions/0013-idempotency.md has the reasons.
"""

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bugtracker.answers import Answer
from bugtracker.context import Context
from bugtracker.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from bugtracker.ids import new_id
from bugtracker.messages import _
from bugtracker.models import IdempotencyKey
from bugtracker.models.idempotency import response_place
from bugtracker.security.secrets import Keyring

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

LIFETIME = timedelta(hours=24)
LEASE = timedelta(seconds=60)
"""How long a claim holds without a response; every request is answered well before."""

ATTEMPTS = 3
"""How often a key may change hands between two statements before we call it busy."""

Path = Mapping[str, Any]

log = structlog.get_logger()


@dataclass(frozen=True)
class Claim:
    """The right to answer for a key: whoever holds ``id`` when the response is stored."""

    id: UUID
    scope_hash: bytes
    key_hash: bytes
    fingerprint: bytes
    owner_hash: bytes | None

    @property
    def is_row(self) -> ColumnElement[bool]:
        """The row of the key, whoever holds it."""
        return and_(
            IdempotencyKey.scope_hash == self.scope_hash, IdempotencyKey.key_hash == self.key_hash
        )

    @property
    def is_held(self) -> ColumnElement[bool]:
        """The row of the key while this claim is the one at work on it."""
        return and_(
            self.is_row,
            IdempotencyKey.claim_id == self.id,
            IdempotencyKey.response_encrypted.is_(None),
        )

    @property
    def associated(self) -> str:
        """What binds a stored response to its key and to the request it answers."""
        return response_place(self.scope_hash, self.key_hash, self.fingerprint)


def once(ctx: Context, path: Path, work: Callable[[Claim | None], Answer]) -> Answer:
    """The answer of ``work``, or the stored one of an earlier request with the same key.

    ``work`` must call :func:`keep` before it commits. 409 while another request with the key is
    at work, 422 when the key came with another request. Without a key this is ``work`` alone.
    """
    key = ctx.headers.get(HEADER.lower())
    if key is None:
        return work(None)
    claim = _claim_for(ctx, path, key)
    stored = _acquire(ctx, claim)
    if stored is not None:
        return _replay(ctx, claim, stored)
    try:
        return work(claim)
    except BaseException:
        _release(ctx, claim)
        raise


def keep(ctx: Context, claim: Claim, answer: Answer) -> None:
    """Stores the answer in the request's transaction.

    409 when the claim was taken over meanwhile: then the other request does the work.
    """
    content = {
        "status": answer.status,
        "headers": list(answer.headers.items()),
        "body": base64.b64encode(answer.body).decode(),
    }
    sealed = ctx.runtime.keyring.encrypt(orjson.dumps(content), claim.associated)
    held = ctx.session.execute(
        update(IdempotencyKey)
        .where(claim.is_held)
        .values(response_encrypted=sealed)
        .returning(IdempotencyKey.claim_id)
    ).one_or_none()
    if held is None:
        raise _in_use()


def _claim_for(ctx: Context, path: Path, key: str) -> Claim:
    caller = ctx.caller
    scope = [ctx.operation.id, caller and str(caller.account_id), caller and str(caller.org_id)]
    if caller and caller.api_key_id:
        # Another key of the same person may have other scopes: it must not read this one's answers.
        scope.append(str(caller.api_key_id))
    request = [path, ctx.given_query, ctx.body]
    keyring = ctx.runtime.keyring
    return Claim(
        new_id(),
        scope_hash=_hash(keyring, "scope", scope),
        key_hash=_hash(keyring, "key", key),
        fingerprint=_hash(keyring, "request", request),
        owner_hash=owner_hash(keyring, caller.account_id, caller.org_id) if caller else None,
    )


def owner_hash(keyring: Keyring, account_id: UUID, org_id: UUID | None) -> bytes:
    """What marks the answers that somebody got in an organisation, or outside any."""
    return _hash(keyring, "owner", [str(account_id), str(org_id)])


def _hash(keyring: Keyring, purpose: str, value: Any) -> bytes:
    canonical = json.dumps([purpose, value], sort_keys=True)
    return keyring.fingerprint(canonical.encode())


def _acquire(ctx: Context, claim: Claim) -> bytes | None:
    """Takes the key (None), or gives the stored response of whoever had it first."""
    with ctx.db.read() as connection:
        for _ in range(ATTEMPTS):
            # A plain read first: it never waits for the transaction that stores a response.
            row = connection.execute(_look(claim)).one_or_none()
            if row is not None and not row.is_free:
                return _stored(row, claim)
            if _take(connection, claim, row):
                return None
    raise _in_use()


def _look(claim: Claim) -> Any:
    """The database's clock decides: those of two servers may differ by more than a lease."""
    lapsed = and_(
        IdempotencyKey.response_encrypted.is_(None),
        IdempotencyKey.claimed_at < func.now() - LEASE,
    )
    return select(
        IdempotencyKey.claim_id,
        IdempotencyKey.fingerprint,
        IdempotencyKey.response_encrypted,
        or_(lapsed, IdempotencyKey.expires_at <= func.now()).label("is_free"),
    ).where(claim.is_row)


def _stored(row: Row[Any], claim: Claim) -> bytes:
    if row.fingerprint != claim.fingerprint:
        raise IdempotencyKeyReused(
            _(
                "This Idempotency-Key came with another request before. Send a new key with a new"
                " request, and the same key only with the same request."
            )
        )
    if row.response_encrypted is None:
        raise _in_use()
    sealed: bytes = row.response_encrypted
    return sealed


def _take(connection: Connection, claim: Claim, found: Row[Any] | None) -> bool:
    """Claims a new key, or one that is free again; False when somebody was faster."""
    values = {
        "fingerprint": claim.fingerprint,
        "claim_id": claim.id,
        "claimed_at": func.now(),
        "response_encrypted": None,
        "created_at": func.now(),
        "expires_at": func.now() + LIFETIME,
        "owner_hash": claim.owner_hash,
    }
    if found is None:
        key = {"scope_hash": claim.scope_hash, "key_hash": claim.key_hash}
        taken = insert(IdempotencyKey).values(**key, **values).on_conflict_do_nothing()
        return connection.execute(taken.returning(IdempotencyKey.claim_id)).first() is not None
    unchanged = and_(
        IdempotencyKey.claim_id == found.claim_id,
        # Whoever let the lease lapse may have finished this very moment.
        IdempotencyKey.response_encrypted.is_not_distinct_from(found.response_encrypted),
    )
    taken_over = update(IdempotencyKey).where(claim.is_row, unchanged).values(**values)
    return connection.execute(taken_over.returning(IdempotencyKey.claim_id)).first() is not None


def _replay(ctx: Context, claim: Claim, sealed: bytes) -> Answer:
    content = orjson.loads(ctx.runtime.keyring.decrypt(sealed, claim.associated))
    headers = {**dict(content["headers"]), REPLAYED: "true"}
    # The former version kept it. It is said anew of every body.
    headers.pop("Content-Length", None)
    return Answer(content["status"], base64.b64decode(content["body"]), headers)


def _release(ctx: Context, claim: Claim) -> None:
    """Gives the key back, unless its response is stored after all.

    That happens when the connection was lost while COMMIT was on its way: this waits for the
    outcome, because the row is locked. Where it fails, the lease ends the claim.
    """
    with suppress(DBAPIError, PoolTimeout), ctx.db.read() as connection:
        connection.execute(delete(IdempotencyKey).where(claim.is_held))
        return
    log.warning("idempotency_key_not_released")


def _in_use() -> IdempotencyKeyInUse:
    return IdempotencyKeyInUse(
        _("A request with this Idempotency-Key is at work. Ask again for its answer."),
        headers={"Retry-After": "1"},
    )

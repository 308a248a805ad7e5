"""Is this request signed by a partner? The security step of operations for partner systems."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import structlog
from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler
from sqlalchemy import Connection, Row, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from starlette.types import Scope

from bugtracker.clock import utc_now
from bugtracker.errors import PartnerCredentialsInvalid
from bugtracker.messages import _
from bugtracker.models import Partner, PartnerKey, PartnerNonce
from bugtracker.models.partner import partner_secret_place
from bugtracker.runtime import Runtime
from bugtracker.security.api_keys import PARTNER_MARK, hash_of
from bugtracker.security.partner_signatures import WINDOW_SECONDS, Signed, read
from bugtracker.security.principal import PartnerPrincipal

CHALLENGE = 'Bugtracker-HMAC realm="bugtracker-partners"'
KeyRow = Row[*tuple[Any, ...]]
"""A key that is in use, with its partner."""
PREFIX = re.compile(r"bp_[a-z0-9]{8}(?=_)")

log = structlog.get_logger()


def partner_handler(runtime: Runtime) -> type[AbstractSecurityHandler]:
    """A Connexion security handler for the scheme ``partner``."""

    class PartnerHandler(AbstractSecurityHandler):
        security_definition_key: ClassVar[str] = "x-apikeyInfoFunc"
        environ_key: ClassVar[str] = "APIKEYINFO_FUNC"

        def get_fn(
            self, security_scheme: Any, required_scopes: Any
        ) -> Callable[[ConnexionRequest], Awaitable[dict[str, Any]]]:
            del security_scheme, required_scopes
            return self._verify

        @staticmethod
        async def _verify(request: ConnexionRequest) -> dict[str, Any]:
            partner = authenticate(runtime, request.scope)
            state = request.scope["state"]
            state["partner"], state["partner_id"] = partner, partner.id
            return {"sub": str(partner.id)}

    return PartnerHandler


def authenticate(runtime: Runtime, scope: Scope) -> PartnerPrincipal:
    """The partner behind a signed request, whose nonce is used up. 401 when anything is wrong,
    always the same; only the log says what."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    signed = read(headers)
    if signed is None:
        raise _refused("malformed")
    if not signed.is_timely(utc_now()):
        raise _refused("timestamp", signed)
    with runtime.db.read() as connection:
        row = _find(connection, signed)
        if row is None:
            raise _refused("key", signed)
        sealed, place = row.secret_encrypted, partner_secret_place(row.key_id)
        secret = runtime.keyring.decrypt(sealed, place).decode()
        if not signed.is_by(
            secret, _method(scope), _target(scope), scope["state"].get("body", b"")
        ):
            raise _refused("signature", signed, row)
        # Last, so that nobody but the partner can use a nonce up.
        if not _use_up(connection, signed, row):
            raise _refused("nonce", signed, row)
    return PartnerPrincipal(row.partner_id, row.name)


def _find(connection: Connection, signed: Signed) -> KeyRow | None:
    key_hash = hash_of(signed.key) if signed.key.startswith(PARTNER_MARK) else None
    if key_hash is None:
        return None
    is_live = or_(PartnerKey.expires_at.is_(None), PartnerKey.expires_at > func.now())
    return connection.execute(
        select(
            PartnerKey.id.label("key_id"),
            PartnerKey.secret_encrypted,
            Partner.id.label("partner_id"),
            Partner.name,
        )
        .join(Partner, Partner.id == PartnerKey.partner_id)
        .where(PartnerKey.key_hash == key_hash, is_live, Partner.disabled_at.is_(None))
    ).one_or_none()


def _use_up(connection: Connection, signed: Signed, row: KeyRow) -> bool:
    """Whether the nonce is new, decided by one statement."""
    ends = datetime.fromtimestamp(signed.timestamp, UTC) + timedelta(seconds=WINDOW_SECONDS)
    used = insert(PartnerNonce).values(
        partner_id=row.partner_id, nonce=signed.nonce, expires_at=ends
    )
    fresh = used.on_conflict_do_nothing().returning(PartnerNonce.nonce)
    return connection.execute(fresh).first() is not None


def _method(scope: Scope) -> str:
    """As it was sent: behind the edge HEAD is GET."""
    return "HEAD" if scope["state"].get("is_head") else str(scope["method"])


def _target(scope: Scope) -> str:
    """Path and query as they were sent."""
    raw = scope.get("raw_path") or str(scope["path"]).encode()
    query = scope["query_string"]
    target: bytes = raw + b"?" + query if query else raw
    return target.decode("latin-1")


def _refused(
    reason: str, signed: Signed | None = None, row: KeyRow | None = None
) -> PartnerCredentialsInvalid:
    # Only what is no secret: some send the secret where the key belongs.
    known = None if signed is None else PREFIX.match(signed.key)
    who = {} if known is None else {"prefix": known[0]}
    if row is not None:
        who["partner_id"] = str(row.partner_id)
    log.warning("partner_refused", reason=reason, **who)
    return PartnerCredentialsInvalid(
        _(
            "Send the headers Bugtracker-Key, -Timestamp, -Nonce and -Signature as the description"
            " of the scheme says: a key that is in use, the present time, a nonce that was never"
            " used, and the signature of exactly this request."
        ),
        headers={"WWW-Authenticate": CHALLENGE},
    )

"""Access tokens: ES256 JWTs, verified strictly."""

import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import jwt

from bugtracker.ids import new_id
from bugtracker.security.keys import Key, KeyStore
from bugtracker.settings import Settings

ALGORITHM = "ES256"
TYPE = "at+jwt"
AUDIENCE = "bugtracker"
LEEWAY_SECONDS = 10
MOST_REMEMBERED = 4096
"""Tokens; some 2 MB."""
REQUIRED = ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]
HEADER_KEYS = {"alg", "kid", "typ"}
# An ES256 signature has 64 bytes. Base64 decoders skip what is not base64, so we do not let it in.
COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]{1,500}\.[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{86}")


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says: whose it is, of which session, in which organisation."""

    account_id: UUID
    session_id: UUID
    org_id: UUID | None


def issue_access_token(
    keys: KeyStore, settings: Settings, claims: AccessClaims, now: datetime
) -> str:
    """A signed token that lives ``settings.access_token_seconds``."""
    key = keys.signing()
    payload = {
        "iss": settings.base_url,
        "aud": AUDIENCE,
        "sub": str(claims.account_id),
        "sid": str(claims.session_id),
        "jti": str(new_id()),
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(seconds=settings.access_token_seconds),
    }
    if claims.org_id is not None:
        payload["org"] = str(claims.org_id)
    headers = {"kid": key.kid, "typ": TYPE}
    return jwt.encode(payload, key.private, algorithm=ALGORITHM, headers=headers)


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: AccessClaims
    key: Key
    issuer: str
    expires_at: float
    """Seconds since 1970."""

    def is_good(self, keys: KeyStore, settings: Settings) -> bool:
        """Whether it lives, and its key verifies still, for this deployment."""
        is_ours = self.issuer == settings.base_url and keys.find(self.key.kid) is self.key
        return is_ours and self.expires_at > time.time()


class AccessTokens:
    """Verifies tokens, each only once: a process remembers what the signature was good for.

    Nothing is taken for granted but the signature: a token is remembered no longer than it lives
    and than its key is in use, and its session is looked up every time by whoever asks. Remembered
    by its hash, so that no memory holds what opens anything. Threads share it.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._verified: dict[bytes, _Verified] = {}

    def verify(self, keys: KeyStore, settings: Settings, token: str) -> AccessClaims | None:
        """The claims of a valid token; None for anything else, whatever is wrong with it.

        Raises what the key store raises: a wrong master key is our fault, not the token's.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None and known.is_good(keys, settings):
            return known.claims
        verified = _verify(keys, settings, token)
        if verified is None:
            return None
        with self._lock:
            self._verified.pop(digest, None)
            while len(self._verified) >= self._most:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = verified
        return verified.claims


def _verify(keys: KeyStore, settings: Settings, token: str) -> _Verified | None:
    kid = _key_id(token)
    key = None if kid is None else keys.find(kid)
    if key is None:
        return None
    try:
        payload = jwt.decode(
            token,
            key.private.public_key(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=settings.base_url,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED},
        )
        org_id = payload.get("org")
        claims = AccessClaims(
            UUID(payload["sub"]), UUID(payload["sid"]), UUID(org_id) if org_id else None
        )
        return _Verified(claims, key, payload["iss"], float(payload["exp"]))
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _key_id(token: str) -> str | None:
    """The ``kid`` of a header that is exactly as ours are; None for any other."""
    if COMPACT_JWS.fullmatch(token) is None:
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        return None
    # A header that names its own key (jku, jwk, x5u) or another algorithm is an attack.
    if set(header) != HEADER_KEYS or header["typ"] != TYPE or header["alg"] != ALGORITHM:
        return None
    kid = header["kid"]
    return kid if isinstance(kid, str) else None

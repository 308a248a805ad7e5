"""One-time codes of authenticator apps (RFC 6238): SHA-1, six digits, 30 seconds, as all know them.

Whether a code was used before is the database's to say (:mod:`bugtracker.services.second_factor`).
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from uuid import UUID

import pyotp
import segno

SEED_BYTES = 20
STEP_SECONDS = 30
ISSUER = "Bugtracker"

BACKUP_CODES = 10
BACKUP_CODE_BYTES = 10
"""80 random bits: a plain hash of them cannot be searched."""


def new_seed() -> bytes:
    """What authenticator and server share: 160 random bits."""
    return secrets.token_bytes(SEED_BYTES)


def seed_text(seed: bytes) -> str:
    """The seed as people type it: base32."""
    return base64.b32encode(seed).decode()


def provisioning_uri(seed: bytes, email: str) -> str:
    """The ``otpauth://`` URI that authenticator apps read."""
    return pyotp.TOTP(seed_text(seed)).provisioning_uri(name=email, issuer_name=ISSUER)


def qr_code(uri: str) -> str:
    """The URI as a QR picture: a ``data:`` URI of an SVG, for ``<img src>``."""
    return segno.make(uri, error="m").svg_data_uri(scale=4, border=4)


def step_of(now: datetime) -> int:
    """The number of the 30 seconds that ``now`` lies in."""
    return int(now.timestamp()) // STEP_SECONDS


def matching_step(seed: bytes, code: str, now: datetime) -> int | None:
    """The step whose code this is: the present one or the one before. None when it is neither."""
    codes = pyotp.TOTP(seed_text(seed))
    present = step_of(now)
    steps = (present, present - 1)
    # All are compared, in constant time each.
    right = [hmac.compare_digest(codes.at(step * STEP_SECONDS), code) for step in steps]
    return next((step for step, is_right in zip(steps, right, strict=True) if is_right), None)


def new_backup_codes() -> list[str]:
    """Codes for whoever has lost the authenticator, such as ``k2vd-7qxm-hs4c-wn3p``."""
    return [_grouped(secrets.token_bytes(BACKUP_CODE_BYTES)) for _ in range(BACKUP_CODES)]


def _grouped(code: bytes) -> str:
    text = base64.b32encode(code).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def backup_code_hash(account_id: UUID, code: str) -> bytes:
    """What is stored of a backup code, however it was typed."""
    plain = code.replace("-", "").lower()
    return hashlib.sha256(account_id.bytes + plain.encode()).digest()


def is_backup_code(code: str) -> bool:
    """Whether a code has the form of a backup code, rather than of an authenticator's."""
    return not code.isdigit()

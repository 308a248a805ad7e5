"""Looking for secrets in all that a deployment keeps: in the clear, encoded, hashed cheaply."""

import base64
import hashlib
import json
import re
from email.message import EmailMessage
from urllib.parse import quote

from sqlalchemy import text

from bugtracker.db import owner_engine

HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")


def forms_of(secret: str, kind: str = "") -> set[str]:
    """The texts that a secret of this kind would be recognised by.

    Of a ``password`` also its unkeyed hashes, which is what it must not be stored as; of the
    ``seed`` of an authenticator also its bytes; of its six-digit ``code`` no parts, and itself
    not: :func:`found` looks for that as a word.
    """
    raw = secret.encode()
    plain = {quote(secret, safe=""), json.dumps(secret)[1:-1], secret}
    encoded = _encoded(raw)
    if kind == "password":
        digests = [hashlib.new(name, raw, usedforsecurity=False).digest() for name in HASHES]
        encoded |= {form for digest in digests for form in _encoded(digest)}
    elif kind == "seed":
        encoded |= _encoded(base64.b32decode(secret)) | {secret.lower()}
    elif kind == "code":
        plain, encoded = set(), {raw.hex(), base64.b64encode(raw).decode()}
    plain.add("".join(f"%{byte:02X}" for byte in raw))
    # A bytea is shown as hex, whatever is in it.
    return plain | encoded | {form.encode().hex() for form in plain | encoded}


def _encoded(data: bytes) -> set[str]:
    """Hex, and base64 of both alphabets at each of the three alignments, without the edges that
    depend on the neighbours."""
    forms = {data.hex(), data.hex().upper()}
    for skipped in range(3):
        # Base64 turns 3 bytes into 4 characters; the first and last may hold a neighbour's bits.
        middle = data[skipped:]
        whole = middle[: len(middle) // 3 * 3]
        forms |= {base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()}
    return forms


def found(secrets: dict[str, str], where: dict[str, str]) -> list[str]:
    """``<secret> in <place>`` for each secret in each text, in any form."""
    hits = []
    for name, secret in secrets.items():
        kind = name.partition(" ")[0]
        forms = forms_of(secret, kind)
        for place, content in where.items():
            if any(form in content for form in forms) or (
                kind == "code" and _has_word(content, secret)
            ):
                hits.append(f"{name} in {place}")
    return hits


def _has_word(content: str, code: str) -> bool:
    """Whether six digits stand by themselves: in a fraction or an id they are a coincidence."""
    return re.search(rf"(?<![\w.]){code}(?!\w)", content) is not None


def tables_of(admin_url: str) -> dict[str, str]:
    """Every row of every table, of whatever schema, as text."""
    engine = owner_engine(admin_url)
    names = text(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        " AND table_type = 'BASE TABLE'"
    )
    with engine.connect() as connection:
        tables = connection.scalars(names).all()
        rows = {t: connection.scalars(text(f"SELECT t::text FROM {t} t")).all() for t in tables}
    engine.dispose()
    return {name: "\n".join(content) for name, content in rows.items()}


def mail_text(mail: EmailMessage) -> str:
    """Headers and all parts, decoded."""
    parts = [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
    return "\n".join([*(f"{name}: {value}" for name, value in mail.items()), *parts])

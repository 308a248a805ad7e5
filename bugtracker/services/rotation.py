"""Encrypting again, under the present key, what is encrypted at rest.

Safe while servers run, and safe to interrupt: each value is replaced by one statement of its own,
which does nothing when somebody changed the value meanwhile. What this reads can be read by every
server that has the old key and the new one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    and_,
    func,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from bugtracker.db import Database
from bugtracker.models import IdempotencyKey, PartnerKey, SigningKey, TwoFactor, WebhookSecret
from bugtracker.models.account import private_key_place
from bugtracker.models.idempotency import response_place
from bugtracker.models.partner import partner_secret_place
from bugtracker.models.two_factor import seed_place
from bugtracker.models.webhook import secret_place
from bugtracker.security.secrets import Keyring

BATCH = 200


class Progress(Protocol):
    """Told how far the work is."""

    def advance(self, n: int, label: str) -> None: ...


@dataclass(frozen=True)
class Encrypted:
    """A column of sealed values, and the associated data of the one in a row of its table."""

    attribute: InstrumentedAttribute[Any]
    place: Callable[[Row[Any]], str]

    @property
    def column(self) -> Column[Any]:
        """The column in its table."""
        column: Column[Any] = inspect(self.attribute.class_).columns[self.attribute.key]
        return column

    @property
    def of_tenants(self) -> bool:
        """Whether its rows are an organisation's, and to be seen in its tenant only."""
        return "org_id" in self.column.table.columns

    @property
    def name(self) -> str:
        """``table.column``."""
        return str(self.column)


ENCRYPTED: tuple[Encrypted, ...] = (
    Encrypted(SigningKey.private_key_encrypted, lambda row: private_key_place(row.kid)),
    Encrypted(TwoFactor.seed_encrypted, lambda row: seed_place(row.account_id)),
    Encrypted(PartnerKey.secret_encrypted, lambda row: partner_secret_place(row.id)),
    Encrypted(
        IdempotencyKey.response_encrypted,
        lambda row: response_place(row.scope_hash, row.key_hash, row.fingerprint),
    ),
    Encrypted(WebhookSecret.secret_encrypted, lambda row: secret_place(row.org_id, row.webhook_id)),
)
"""Every encrypted column; a test compares them with the models."""

ORGANISATIONS = text("SELECT id FROM audited_organisations()")

PASSING = ("export_chunks.content_encrypted",)
"""Encrypted columns that are left as they are: nothing in them is older than a day."""


@dataclass
class Rotated:
    """What became of a column. ``left`` is what is not under the present key after the work:
    what ``failed``, because it cannot be decrypted, and what was written meanwhile."""

    name: str
    done: int = 0
    failed: int = 0
    left: int = 0


def count_outdated(db: Database, keyring: Keyring) -> int:
    """How many values are not under the present key."""
    return sum(
        _count(connection, keyring, each)
        for each in ENCRYPTED
        for connection in _connections(db, each)
    )


def rotate_secrets(db: Database, keyring: Keyring, progress: Progress) -> Sequence[Rotated]:
    """Encrypts every value again that is not under the present key; one result per column.

    What cannot be decrypted is left as it is and counted. Raises SQLAlchemy's errors.
    """
    results = []
    for each in ENCRYPTED:
        result = Rotated(each.name)
        for connection in _connections(db, each):
            _rotate_column(connection, keyring, each, progress, result)
        results.append(result)
    return results


def _connections(db: Database, encrypted: Encrypted) -> Iterator[Connection]:
    """One that sees all rows of the column; of a tenant's table, one after the other for each
    organisation, in a transaction of its own."""
    if not encrypted.of_tenants:
        with db.read() as connection:
            yield connection
        return
    with db.read() as connection:
        organisations = list(connection.scalars(ORGANISATIONS))
    for org_id in organisations:
        with db.transaction(org_id=org_id) as session:
            yield session.connection()


def _rotate_column(
    connection: Connection,
    keyring: Keyring,
    encrypted: Encrypted,
    progress: Progress,
    result: Rotated,
) -> None:
    for rows in _batches(connection, keyring, encrypted):
        for row in rows:
            try:
                result.done += _rotate_row(connection, keyring, encrypted, row)
            except ValueError:
                result.failed += 1
        progress.advance(len(rows), encrypted.name)
    result.left += _count(connection, keyring, encrypted)


def _batches(
    connection: Connection, keyring: Keyring, encrypted: Encrypted
) -> Iterator[Sequence[Row[Any]]]:
    """Outdated rows in the order of their key, so that one which fails is not met again."""
    table, keys = encrypted.column.table, _keys(encrypted)
    outdated = select(table).where(_is_outdated(keyring, encrypted)).order_by(*keys).limit(BATCH)
    statement = outdated
    while rows := connection.execute(statement).all():
        yield rows
        last = tuple(rows[-1]._mapping[key] for key in keys)
        statement = outdated.where(tuple_(*keys) > last)


def _rotate_row(
    connection: Connection, keyring: Keyring, encrypted: Encrypted, row: Row[Any]
) -> int:
    """1, or 0 when somebody else changed or deleted the value since it was read."""
    column, place = encrypted.column, encrypted.place(row)
    old = row._mapping[column]
    new = keyring.encrypt(keyring.decrypt(old, place), place)
    unchanged = and_(column == old, *(key == row._mapping[key] for key in _keys(encrypted)))
    return connection.execute(
        update(encrypted.attribute.class_).where(unchanged).values({column: new})
    ).rowcount


def _count(connection: Connection, keyring: Keyring, encrypted: Encrypted) -> int:
    statement = select(func.count()).select_from(encrypted.column.table)
    return connection.execute(statement.where(_is_outdated(keyring, encrypted))).scalar_one()


def _is_outdated(keyring: Keyring, encrypted: Encrypted) -> ColumnElement[bool]:
    """What :meth:`Keyring.needs_rotation` says, in SQL; not of NULL."""
    header = keyring.current_header
    return func.substring(encrypted.column, 1, len(header)) != header


def _keys(encrypted: Encrypted) -> list[Column[Any]]:
    return list(inspect(encrypted.attribute.class_).primary_key)

"""Archives at rest: encrypted pieces in PostgreSQL, each bound to its place, read once."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from bugtracker.db import Database
from bugtracker.models import ExportChunk
from bugtracker.models.export import chunk_place
from bugtracker.security.secrets import Keyring

CHUNK_BYTES = 256 * 1024
"""Plain bytes of every piece but the last; a writer and a reader hold one or two at a time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which archive of which organisation."""

    org_id: UUID
    export_id: UUID


class ChunkWriter:
    """A file that can only be appended to. What it writes is there when its transaction commits."""

    def __init__(self, session: Session, keyring: Keyring, place: Place) -> None:
        self._session, self._keyring, self._place = session, keyring, place
        self._waiting = bytearray()
        self._failed = False
        self.count = 0
        self.size = 0

    def write(self, data: bytes) -> int:
        """Appends; returns how many bytes that were, as files do."""
        if self._failed:
            # A ZIP writes its end even when it fails: that would hide why.
            return len(data)
        self._waiting += data
        while len(self._waiting) >= CHUNK_BYTES:
            self._store(bytes(self._waiting[:CHUNK_BYTES]))
            del self._waiting[:CHUNK_BYTES]
        return len(data)

    def flush(self) -> None:
        """Nothing: pieces have one size, which would tell of the content otherwise."""

    def finish(self) -> None:
        """Stores what is left. Call it once, at the end."""
        if self._waiting:
            self._store(bytes(self._waiting))
            self._waiting.clear()

    def _store(self, piece: bytes) -> None:
        org_id, export_id = self._place.org_id, self._place.export_id
        sealed = self._keyring.encrypt(piece, chunk_place(org_id, export_id, self.count))
        row = {"org_id": org_id, "export_id": export_id, "number": self.count}
        self._failed = True
        self._session.execute(insert(ExportChunk).values(**row, content_encrypted=sealed))
        self._failed = False
        self.count += 1
        self.size += len(piece)


def take(session: Session, keyring: Keyring, place: Place, number: int) -> bytes:
    """A piece, which is gone with the transaction. LookupError when it is not there, ValueError
    when it cannot be decrypted."""
    found = session.scalar(
        delete(ExportChunk)
        .where(
            ExportChunk.org_id == place.org_id,
            ExportChunk.export_id == place.export_id,
            ExportChunk.number == number,
        )
        .returning(ExportChunk.content_encrypted)
    )
    if found is None:
        raise LookupError(f"chunk {number} of export {place.export_id} is missing")
    return keyring.decrypt(found, chunk_place(place.org_id, place.export_id, number))


def take_rest(
    db: Database, keyring: Keyring, place: Place, first: bytes, count: int
) -> Iterator[bytes]:
    """The first piece, which was taken before, and the others, each in a transaction of its own:
    no connection is held while the client reads."""
    yield first
    for number in range(1, count):
        with db.transaction(org_id=place.org_id) as session:
            piece = take(session, keyring, place, number)
        yield piece


def discard(session: Session, place: Place) -> None:
    """Deletes whatever is left of an archive."""
    session.execute(
        delete(ExportChunk).where(
            ExportChunk.org_id == place.org_id, ExportChunk.export_id == place.export_id
        )
    )

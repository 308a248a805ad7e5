"""The ZIP: JSON files written row by row, and a manifest that says what they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, Any, Protocol
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bugtracker.db import Rows

SCHEMA_VERSION = 1
"""Of the archive: goes up when a file or a field goes away or means something else."""

BATCH = 100
"""Rows that are in memory at a time."""

OPTIONS = orjson.OPT_UTC_Z
MANIFEST = "manifest.json"

Json = dict[str, Any]
Progress = Callable[[int], None]


class Output(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


@dataclass(frozen=True)
class File:
    """One file of an archive: the rows of a statement, each as an object; ``single`` for a file
    that is one object and no list."""

    name: str
    about: str
    statement: Rows
    serialise: Callable[[Any], Json]
    single: bool = False


def count(session: Session, files: Iterable[File]) -> int:
    """How many records the files will have, in all."""
    return sum(
        session.scalar(select(func.count()).select_from(file.statement.order_by(None).subquery()))
        or 0
        for file in files
    )


def write(
    output: Output,
    session: Session,
    files: Iterable[File],
    manifest: Json,
    now: datetime,
    progress: Progress,
) -> None:
    """Writes the archive. ``progress`` is told after each batch how many records there are by now.

    The session must show one moment throughout: a file may refer to what is in another.
    """
    written, listed = 0, []
    # Typed for files that can also be read; it only appends.
    target: Any = output
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for file in files:
            with _open(archive, file.name, now) as entry:
                records = _write_file(entry, session, file, partial(_add, progress, written))
            written += records
            listed.append({"name": file.name, "about": file.about, "records": records})
        with _open(archive, MANIFEST, now) as entry:
            content = {"schema_version": SCHEMA_VERSION, **manifest, "files": listed}
            entry.write(orjson.dumps(content, option=OPTIONS | orjson.OPT_INDENT_2))


def _open(archive: ZipFile, name: str, now: datetime) -> IO[bytes]:
    info = ZipInfo(name, now.timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    # How long it will be is not known before.
    return archive.open(info, "w", force_zip64=True)


def _add(progress: Progress, before: int, records: int) -> None:
    progress(before + records)


def _write_file(entry: IO[bytes], session: Session, file: File, progress: Progress) -> int:
    """Writes a file; returns how many records it has."""
    records, between = 0, b""
    if not file.single:
        entry.write(b"[\n")
    # A cursor on the server: the rows are never here all at once.
    with session.execute(file.statement, execution_options={"yield_per": BATCH}) as result:
        for rows in result.partitions():
            lines = [orjson.dumps(file.serialise(row), option=OPTIONS) for row in rows]
            entry.write(between + b",\n".join(lines))
            between = b",\n"
            records += len(lines)
            progress(records)
    entry.write(b"\n" if file.single else b"\n]\n")
    return records

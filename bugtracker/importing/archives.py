"""Imports archives: each in one transaction, while the next is read; never more in memory."""

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from bugtracker.clock import utc_now
from bugtracker.db import lift_timeouts
from bugtracker.importing.behind import behind
from bugtracker.importing.fields import Refused
from bugtracker.importing.people import People
from bugtracker.importing.projects import lock_imports, open_project
from bugtracker.importing.reading import Archive, read_archive
from bugtracker.importing.report import FileReport, Report
from bugtracker.importing.writing import Writer
from bugtracker.runtime import Runtime


class Progress(Protocol):
    """Is told how far the work is. An import counts bytes of its files, a seed its records."""

    def advance(self, n: int, label: str) -> None:
        """``n`` more are done, of what ``label`` (a file's name) says."""


class _DryRun(Exception):
    """Ends a transaction that must leave nothing behind."""


def import_archives(
    runtime: Runtime, org_id: UUID, files: Sequence[Path], *, dry_run: bool, progress: Progress
) -> Report:
    """Imports GitHub archives into an organisation; importing the same again changes nothing.

    A file that cannot be taken in leaves no trace, and the others go on. With ``dry_run``
    everything is done and then undone. Raises SQLAlchemy's OperationalError when the database
    goes away; files before it are in.
    """
    report = Report(dry_run=dry_run, files=[FileReport(path) for path in files])
    with ThreadPoolExecutor(1, "archives") as reader, _without_garbage_search():
        for file, archive in _read_ahead(reader, report.files):
            meter = _Meter(progress, file.path)
            _import_file(runtime, org_id, archive, file, meter, dry_run=dry_run)
    return report


@contextmanager
def _without_garbage_search() -> Iterator[None]:
    """Archives are a hundred thousand objects without cycles: looking for any took a tenth of the
    time. What is no longer needed goes all the same, by its count of references."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_ahead(
    reader: ThreadPoolExecutor, files: Sequence[FileReport]
) -> Iterator[tuple[FileReport, Future[Archive]]]:
    """Each file with its archive, or why there is none; meanwhile the one after it is read."""
    ahead: list[tuple[FileReport, Future[Archive]]] = []
    for file in files:
        ahead.append((file, reader.submit(read_archive, file.path, file)))
        if len(ahead) > 1:
            yield ahead.pop(0)
    yield from ahead


def total_size(files: Sequence[Path]) -> int:
    """How many bytes ``progress`` will be told of in the end."""
    return sum(map(_size, files))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Meter:
    """Progress of one file, in bytes."""

    def __init__(self, progress: Progress, path: Path) -> None:
        self._progress, self._label = progress, path.name
        self._size, self._told = _size(path), 0

    def reach(self, done: int, of: int) -> None:
        """So many of so many records are done."""
        now = self._size * done // of
        self._progress.advance(now - self._told, self._label)
        self._told = now


def _import_file(
    runtime: Runtime,
    org_id: UUID,
    read: Future[Archive],
    report: FileReport,
    meter: _Meter,
    *,
    dry_run: bool,
) -> None:
    try:
        archive = read.result()
        if report.refused and not archive.issues:
            raise Refused("issues", "has no record that can be imported")
        _write(runtime, org_id, archive, report, meter, dry_run=dry_run)
    except _DryRun:
        pass
    except Refused as refusal:
        report.fail(refusal)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        reason = str(error.orig).partition("\n")[0]
        report.fail(Refused("the file", f"the database refused it: {reason}"))
    meter.reach(1, 1)


def _write(
    runtime: Runtime,
    org_id: UUID,
    archive: Archive,
    report: FileReport,
    meter: _Meter,
    *,
    dry_run: bool,
) -> None:
    now = utc_now()
    with runtime.db.transaction(org_id=org_id) as session, behind() as thread:
        lift_timeouts(session)
        lock_imports(session, org_id)
        people = People(session, org_id, now, runtime.keyring)
        project_id, key = open_project(session, org_id, archive, people, now)
        report.project, report.key = archive.name, key
        writer = Writer(session, (org_id, project_id), people, report, now, thread)
        for done, issue in enumerate(archive.issues, 1):
            writer.add(issue)
            if done % 50 == 0:
                meter.reach(done, len(archive.issues))
        writer.finish()
        if dry_run:
            raise _DryRun

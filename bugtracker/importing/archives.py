"""Imports archives: each in one transaction, while the next is read; never more in memory."""

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bugtracker.clock import utc_now
from bugtracker.db import lift_timeouts
from bugtracker.importing.behind import behind
from bugtracker.importing.documents import documents
from bugtracker.importing.fields import Refused
from bugtracker.importing.people import People
from bugtracker.importing.projects import lock_imports, open_project
from bugtracker.importing.reading import Archive, read_archive
from bugtracker.importing.report import FileReport, Report
from bugtracker.importing.writing import Writer
from bugtracker.runtime import Runtime

NO_WHOLE_TABLES = text("SET LOCAL enable_seqscan = off")
"""Foreign keys and triggers are planned when first needed, when a new organisation's tables are
small still, and kept: each row would be looked up in all that came before it."""


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
    with _without_garbage_search(), _quick_turns(), ThreadPoolExecutor(1, "archives") as thread:
        reader = _Reader(thread, report.files)
        importing = _Importing(runtime, org_id, reader.begin_next, dry_run)
        for file, archive in reader:
            importing.take(archive, file, _Meter(progress, file.path))
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


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Whoever has an answer of the database gets the interpreter at once, to send it the next work,
    instead of after the 5 ms that the thread which prepares rows may keep it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Reader:
    """Reads one file after another in a thread: the next one when told to, or when asked for it."""

    def __init__(self, thread: ThreadPoolExecutor, files: Sequence[FileReport]) -> None:
        self._thread, self._files = thread, deque(files)
        self._ahead: list[tuple[FileReport, Future[Archive]]] = []

    def begin_next(self) -> None:
        """Begins to read one more, unless one is being read ahead already."""
        if self._files and not self._ahead:
            file = self._files.popleft()
            self._ahead.append((file, self._thread.submit(read_archive, file.path, file)))

    def __iter__(self) -> Iterator[tuple[FileReport, Future[Archive]]]:
        """Each file with its archive, or why there is none."""
        while self._files or self._ahead:
            self.begin_next()
            yield self._ahead.pop()


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


@dataclass(frozen=True)
class _Importing:
    """Takes archives into an organisation."""

    runtime: Runtime
    org_id: UUID
    meanwhile: Callable[[], None]
    """Called when only the database has something to do yet."""
    dry_run: bool

    def take(self, read: Future[Archive], report: FileReport, meter: _Meter) -> None:
        """One archive, in a transaction of its own; what is wrong with it is reported."""
        try:
            archive = read.result()
            if report.refused and not archive.issues:
                raise Refused("issues", "has no record that can be imported")
            self._write(archive, report, meter)
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

    def _write(self, archive: Archive, report: FileReport, meter: _Meter) -> None:
        now, org_id = utc_now(), self.org_id
        with self.runtime.db.transaction(org_id=org_id) as session, behind() as thread:
            lift_timeouts(session)
            session.execute(NO_WHOLE_TABLES)
            lock_imports(session, org_id)
            people = People(session, org_id, now, self.runtime.keyring)
            project_id, key = open_project(session, org_id, archive, people, now)
            report.project, report.key = archive.name, key
            project = (org_id, project_id)
            with documents(self.runtime.db, session, project) as made:
                writer = Writer(session, project, people, report, now, thread, made)
                self._add(archive, writer, meter)
            if self.dry_run:
                raise _DryRun

    def _add(self, archive: Archive, writer: Writer, meter: _Meter) -> None:
        writer.foresee(archive.issues)
        for done, issue in enumerate(archive.issues, 1):
            writer.add(issue)
            if done % 50 == 0:
                meter.reach(done, len(archive.issues))
        writer.end()
        self.meanwhile()
        writer.wait()

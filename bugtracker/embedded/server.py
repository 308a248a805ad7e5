"""Make, start and stop the server of one directory. Every caller holds ``locks/start``."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bugtracker.embedded import keeper
from bugtracker.embedded.cluster import SUPERUSER, Cluster
from bugtracker.embedded.programs import EmbeddedPostgresError, environment, find_programs, run

__all__ = ["EmbeddedPostgresError", "Server"]

_LONGEST_SOCKET_PATH = 103
"""Bytes: Linux takes 107, macOS 103."""

_SECONDS_TO_BE_READY = 60
_LOG_TAIL_LINES = 20

_SETTINGS = (
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "timezone=UTC",
    "log_timezone=UTC",
    # Without the rows an error is about: they hold what people wrote.
    "log_error_verbosity=terse",
)
_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Server:
    """The server of one (absolute) directory, running or not."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "postgres.log"
        self.programs = find_programs(self.data)
        self.socket_dir = self._running_socket_dir() or _choose_socket_dir(directory)

    def ensure_running(self, *, durable: bool) -> None:
        """Initialise and start what is missing; return when connections are accepted."""
        if not keeper.answers(self.socket_dir):
            self._initialise(durable=durable)
            self._start(durable=durable)
            self._spawn_keeper()
        self._wait_until_ready()
        Cluster(self.socket_dir).ensure_roles()

    def stop_command(self) -> list[str]:
        """``pg_ctl stop``, waiting; the mode is to be added."""
        return self.programs.command("pg_ctl", "stop", "-w", "-s", "-D", str(self.data))

    def _running_socket_dir(self) -> Path | None:
        """Where the running server listens: its starter may have had another TMPDIR than we."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return None
        # A copied directory brings the original's file along: line 2 tells whose it is.
        if len(lines) < 5 or lines[1] != str(self.data) or not keeper.answers(Path(lines[4])):
            return None
        return Path(lines[4])

    def _initialise(self, *, durable: bool) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedPostgresError(f"{self.data} has files, but no PostgreSQL made them")
        # Made beside its place and moved there whole: an interrupted initdb leaves nothing behind.
        fresh = self.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        result = self._initdb(fresh, "C.UTF-8", durable=durable)
        if "invalid locale name" in result.stderr:
            result = self._initdb(fresh, "C", durable=durable)
        if result.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed: {result.stderr.strip()}")
        fresh.replace(self.data)

    def _initdb(
        self, fresh: Path, ctype: str, *, durable: bool
    ) -> subprocess.CompletedProcess[str]:
        """Collation is built in, so the data survive a change of the system's locales."""
        options = ["--encoding=UTF8", "--locale=C", f"--lc-ctype={ctype}"]
        if self.programs.major >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not durable:
            options.append("--no-sync")
        options += ["--auth=trust", f"--username={SUPERUSER}", "-D", str(fresh)]
        return run(self.programs.command("initdb", *options), fresh)

    def _start(self, *, durable: bool) -> None:
        self._take_possession()
        # What a crash left: PostgreSQL would believe a process id that somebody else has now.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_dir / f"{keeper.SOCKET_NAME}.lock").unlink(missing_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        result = run(self._start_command(durable=durable), self.data)
        if result.returncode != 0:
            raise self._failure("PostgreSQL did not start")

    def _start_command(self, *, durable: bool) -> list[str]:
        settings = [*_SETTINGS, f"unix_socket_directories={self.socket_dir}"]
        if not durable:
            settings += _NOT_DURABLE
        options = shlex.join(word for setting in settings for word in ("-c", setting))
        wait = ("-w", "-t", str(_SECONDS_TO_BE_READY))
        # pg_ctl goes through a shell: data and log stay out of its sight (PGDATA, relative path).
        return self.programs.command(
            "pg_ctl", "start", "-s", *wait, "-l", self.log.name, "-o", options
        )

    def _take_possession(self) -> None:
        """Give data and socket to the user the server runs as, should it have changed."""
        os.chown(self.socket_dir, self.programs.owner, -1)
        if self.data.stat().st_uid == self.programs.owner:
            return
        for path in (self.data, *self.data.rglob("*")):
            os.chown(path, self.programs.owner, -1, follow_symlinks=False)

    def _spawn_keeper(self) -> None:
        arguments = (str(self.directory), str(self.socket_dir), *self.stop_command())
        script = str(Path(keeper.__file__))
        subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", script, *arguments],
            cwd="/",
            env=environment(self.data),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )

    def _wait_until_ready(self) -> None:
        """A server whose starter was killed may still be recovering when we find it."""
        deadline = time.monotonic() + _SECONDS_TO_BE_READY
        while True:
            try:
                Cluster(self.socket_dir).check()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or not keeper.answers(self.socket_dir):
                    raise self._failure(f"PostgreSQL accepts no connection: {error}") from error
                time.sleep(0.05)
            else:
                return

    def _failure(self, what: str) -> EmbeddedPostgresError:
        try:
            tail = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        except OSError as error:
            tail = [str(error)]
        return EmbeddedPostgresError("\n  ".join([f"{what}. The end of {self.log}:", *tail]))


def _choose_socket_dir(directory: Path) -> Path:
    """A directory of ours alone whose path PostgreSQL, libpq and the kernel can all take."""
    near = directory / "run"
    if _suits_a_socket(near):
        near.mkdir(mode=0o700, exist_ok=True)
        near.chmod(0o700)
        return near
    name = f"bugtracker-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}"
    far = Path(tempfile.gettempdir()).resolve() / name
    if not _suits_a_socket(far):
        far = Path("/tmp").resolve() / name  # noqa: S108 - checked below  # nosec B108
    far.mkdir(mode=0o700, exist_ok=True)
    _refuse_strangers(far, directory)
    return far


def _suits_a_socket(place: Path) -> bool:
    """Short enough, and free of what separates several directories or hosts."""
    path = os.fsencode(place / keeper.SOCKET_NAME)
    return len(path) <= _LONGEST_SOCKET_PATH and bool(re.fullmatch(rb"[\w./+-]+", path))


def _refuse_strangers(far: Path, directory: Path) -> None:
    """In a directory that everybody can write to, somebody may have been there before us."""
    found = far.lstat()
    friends = {os.geteuid(), directory.stat().st_uid}
    data = directory / "data"
    if data.exists():
        friends.add(data.stat().st_uid)
    if far.is_symlink() or found.st_uid not in friends or found.st_mode & 0o077:
        raise EmbeddedPostgresError(f"{far} belongs to somebody else; the socket was to go there")

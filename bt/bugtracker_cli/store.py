"""The sessions on this device: one file for the user's eyes only.

Several ``bt`` may run at once, and a refresh token works once: whoever refreshes holds the lock
from before it is sent until its successor is written.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Session:
    """A login to one server."""

    server: str
    username: str
    access_token: str
    refresh_token: str
    expires_at: float
    """When the access token ends, in seconds since 1970, by this device's clock."""


@dataclass(frozen=True)
class _Content:
    current: str | None = None
    """The server that was logged in to last."""
    sessions: tuple[Session, ...] = ()


class Store:
    """``$XDG_CONFIG_HOME/bugtracker/sessions.json``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "sessions.json"

    @property
    def current_server(self) -> str | None:
        return self._read().current

    def session(self, server: str) -> Session | None:
        """What is there now; complete without the lock, too, because files are replaced whole."""
        return next((s for s in self._read().sessions if s.server == server), None)

    def put(self, session: Session, *, current: bool = False) -> None:
        """Only with the lock."""
        content = self._read()
        others = tuple(s for s in content.sessions if s.server != session.server)
        server = session.server if current else content.current
        self._write(_Content(server, (*others, session)))

    def remove(self, server: str) -> None:
        """Only with the lock."""
        content = self._read()
        left = tuple(s for s in content.sessions if s.server != server)
        self._write(replace(content, sessions=left))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes of this user, until the block is left."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> _Content:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            sessions = tuple(Session(**each) for each in content["sessions"])
            return _Content(content["current"], sessions)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            # None, or not ours: the next login writes it anew.
            return _Content()

    def _write(self, content: _Content) -> None:
        """Readers see the old file or the new one; mkstemp makes it 0600 from the beginning."""
        number, name = tempfile.mkstemp(dir=self._directory, prefix=".sessions-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(asdict(content), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._file)
        except BaseException:
            os.unlink(name)
            raise


def directory() -> Path:
    """Where the sessions are: below XDG_CONFIG_HOME, or ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "bugtracker"

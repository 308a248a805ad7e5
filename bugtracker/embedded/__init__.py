"""A private PostgreSQL without installation: binaries from a wheel, one directory, one socket.

The directory holds ``data/`` (the cluster), ``run/`` (the socket; a hashed directory under the
temporary directory where that path is too long for one), ``locks/`` and ``postgres.log``.

Several processes may use one directory at once. Each holds a shared lock on ``locks/users`` for as
long as it needs the server; under the exclusive lock ``locks/start`` the first one starts it and
the last one stops it. The kernel releases the locks of a killed process, and a small keeper
process (see ``keeper.py``) then does the stopping in its place.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bugtracker.embedded.cluster import Cluster
from bugtracker.embedded.keeper import lock, locked, stop_if_unused, unlock
from bugtracker.embedded.server import EmbeddedPostgresError, Server

__all__ = ["Cluster", "EmbeddedPostgresError", "embedded_postgres"]


@contextmanager
def embedded_postgres(directory: Path, *, durable: bool = True) -> Iterator[Cluster]:
    """Run, or share, the PostgreSQL of a directory until the block is left.

    ``durable=False`` trades crash safety for speed (tests); a server that already runs keeps the
    choice it was started with. Raises :class:`EmbeddedPostgresError`, with the end of the server's
    log in its message, when no server can be had.
    """
    directory = directory.resolve()
    (directory / "locks").mkdir(parents=True, exist_ok=True)
    with locked(directory, "start"):
        server, stake = Server(directory), _take_stake(directory)
        try:
            server.ensure_running(durable=durable)
        except BaseException:
            _give_up_stake(server, stake)
            raise
    try:
        yield Cluster(server.socket_dir)
    finally:
        with locked(directory, "start"):
            _give_up_stake(server, stake)


def _take_stake(directory: Path) -> tuple[int, int]:
    """Become a user of the server; the caller holds ``locks/start``."""
    return lock(directory, "users", fcntl.LOCK_SH), lock(directory, "alive", fcntl.LOCK_SH)


def _give_up_stake(server: Server, stake: tuple[int, int]) -> None:
    """Stop the server if we were its last user; the caller holds ``locks/start``."""
    for descriptor in stake:
        unlock(descriptor)
    stop_if_unused(server.directory, server.socket_dir, server.stop_command())

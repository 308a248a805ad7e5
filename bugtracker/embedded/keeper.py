"""Locks, stopping, and the keeper: the process that stops a server whose users were all killed.

The keeper runs this file as a plain script, in a session of its own (Ctrl-C does not reach it) and
without site-packages, so nothing but the standard library may be imported here.

It sleeps on ``locks/alive`` and never waits on ``locks/users``: a keeper that happened to hold the
latter for an instant would make the last user believe that somebody else is still there.
"""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"


def lock(directory: Path, name: str, operation: int = fcntl.LOCK_EX) -> int:
    """Lock ``locks/<name>`` and return the descriptor that holds it, for :func:`unlock`.

    Raises BlockingIOError when ``operation`` contains LOCK_NB and somebody else has it.
    """
    # Read-only, so that root and the owner of the directory can lock each other's files.
    descriptor = os.open(directory / "locks" / name, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Release a lock, also where a forked child still holds a copy of the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


@contextmanager
def locked(directory: Path, name: str, operation: int = fcntl.LOCK_EX) -> Iterator[None]:
    """:func:`lock` for the length of a block."""
    descriptor = lock(directory, name, operation)
    try:
        yield
    finally:
        unlock(descriptor)


def answers(socket_dir: Path) -> bool:
    """Whether a server listens there.

    This, and not a process id, is what "running" means here: ids are reused (after a reboot, in
    every container), and a killed server whose parent does not reap it keeps its id as a zombie.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(socket_dir / SOCKET_NAME))
        except OSError:
            return False
    return True


def stop_if_unused(directory: Path, socket_dir: Path, command: Sequence[str]) -> bool:
    """Stop the server unless it has users, and say whether it had none.

    ``command`` is ``pg_ctl stop`` without the mode. The caller holds ``locks/start``.
    """
    try:
        with locked(directory, "users", fcntl.LOCK_EX | fcntl.LOCK_NB):
            _stop(socket_dir, command)
    except BlockingIOError:
        return False
    return True


def _stop(socket_dir: Path, command: Sequence[str]) -> None:
    """Ask nicely, then insist: an immediate stop loses nothing, the next start recovers."""
    for mode in ("fast", "immediate"):
        if answers(socket_dir):
            subprocess.run(  # noqa: S603 - our own command
                [*command, "-m", mode],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                check=False,
            )


def keep(directory: Path, socket_dir: Path, command: Sequence[str]) -> None:
    """Wait until the server has no users, however they went, and stop it. One keeper is enough."""
    try:
        keeper = lock(directory, "keeper", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    done = False
    while not done:
        with locked(directory, "alive"):
            pass  # Granted: everybody we knew of has gone. Somebody else may come right now.
        with locked(directory, "start"):
            done = stop_if_unused(directory, socket_dir, command)
            if done:  # Under the start lock: whoever starts the server next needs a new keeper.
                unlock(keeper)


def main(arguments: Sequence[str]) -> None:
    """``keeper.py DIRECTORY SOCKET_DIRECTORY COMMAND…``, detached from whoever called it."""
    if os.fork() == 0:
        os.setsid()
        keep(Path(arguments[0]), Path(arguments[1]), arguments[2:])


if __name__ == "__main__":
    main(sys.argv[1:])

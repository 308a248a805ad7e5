"""Workers as processes of their own, to be killed, on a database that can be stopped."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bugtracker.embedded import embedded_postgres
from bugtracker.embedded.programs import run
from bugtracker.embedded.server import Server
from bugtracker.migrate import migrate
from bugtracker.settings import Settings

CLEAN = ("BUGTRACKER_", "DATABASE_", "REDIS_")


class Worker:
    """``bugtracker worker``, started again each time it is killed."""

    def __init__(self, settings: Settings, log: Path) -> None:
        assert settings.database_url is not None
        assert settings.secret_key is not None
        kept = {k: v for k, v in os.environ.items() if not k.startswith(CLEAN)}
        self._log = log
        self._environment = {
            **kept,
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "BUGTRACKER_SECRET_KEY": settings.secret_key.get_secret_value(),
            "BUGTRACKER_LOCAL_DIR": str(settings.local_dir),
            "BUGTRACKER_WEBHOOK_ALLOW_LOCAL": str(settings.webhook_allow_local),
            "BUGTRACKER_WEBHOOK_TIMEOUT_SECONDS": str(settings.webhook_timeout_seconds),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bugtracker", "worker"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """``kill -9``, and another one in its place."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    @property
    def peak_mb(self) -> float:
        """The most memory it ever had, in megabytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class Postgres:
    """A durable server of this proof's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def stop_at_once(self) -> None:
        """As a power cut does, and up again."""
        server = Server(self._directory)
        stopped = run([*server.stop_command(), "-m", "immediate"], server.data)
        assert stopped.returncode == 0, stopped.stderr
        server.ensure_running(durable=True)


@contextmanager
def postgres(directory: Path) -> Iterator[tuple[Postgres, str]]:
    """The server, and the URL of a migrated database."""
    with embedded_postgres(directory) as cluster:
        cluster.ensure_database()
        migrate(cluster.owner_url(), cluster.api_url())
        yield Postgres(directory.resolve()), cluster.api_url()

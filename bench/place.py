"""The prepared database: seeded once for each size, copied anew for each run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from bugtracker.embedded import Cluster, embedded_postgres
from bugtracker.launch import local_secret
from bugtracker.migrate import migrate

ROOT = Path(__file__).resolve().parent.parent
SLUG = "bench"
LIVE, TEMPLATE = "bugtracker", "prepared"
ISSUER = "http://bench.example"


@dataclass(frozen=True)
class Place:
    """A running PostgreSQL with a fresh copy of the prepared database."""

    directory: Path
    cluster: Cluster

    @property
    def secret_key(self) -> str:
        """The master key of the embedded default, for servers that are told their database."""
        return local_secret(self.directory)

    @property
    def plain_url(self) -> str:
        """The superuser's connection, without the name of a driver."""
        return self.cluster.admin_url(LIVE).replace("+psycopg", "")

    @property
    def socket_dir(self) -> Path:
        """Where PostgreSQL listens."""
        return self.cluster.socket_dir

    def connect(self) -> psycopg.Connection:
        """As the superuser: no policy hides anything, and nothing waits for a commit."""
        return psycopg.connect(self.plain_url, autocommit=True)


@contextmanager
def prepared(size: int, variant: str = "") -> Iterator[Place]:
    """The database of so many issues (and twice as many comments), until the block is left.

    Those of different sizes, or variants, may run at once.
    """
    directory = ROOT / ".local" / "bench" / f"{size}{variant}"
    directory.mkdir(parents=True, exist_ok=True)
    seeded = directory / "prepared"
    if not seeded.exists():
        _seed(directory, size)
    with embedded_postgres(directory / "postgres") as cluster:
        place = Place(directory, cluster)
        if not seeded.exists():
            _keep(place)
            seeded.touch()
        cluster.drop_database(LIVE)
        cluster.clone_database(TEMPLATE, LIVE)
        migrate(cluster.owner_url(), cluster.api_url())
        yield place


def _seed(directory: Path, size: int) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BUGTRACKER_")}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "bugtracker", "seed", "--org", SLUG, "--issues", str(size)]
    subprocess.run(
        command, cwd=ROOT, env={**environment, "BUGTRACKER_LOCAL_DIR": str(directory)}, check=True
    )


def _keep(place: Place) -> None:
    """The seeded database as the template of all runs, with its visibility map and statistics."""
    with place.connect() as connection:
        connection.execute("VACUUM (ANALYZE, FREEZE)")
    place.cluster.drop_database(TEMPLATE)
    place.cluster.clone_database(LIVE, TEMPLATE)


def parts_of(url: str) -> dict[str, str]:
    """``host``, ``port``, ``user`` and ``dbname`` of a URL, for libpq's programs."""
    parsed = make_url(url)
    query = {name: str(value) for name, value in parsed.query.items()}
    return {**query, "user": parsed.username or "", "dbname": parsed.database or ""}

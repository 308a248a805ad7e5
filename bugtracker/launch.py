"""What must stand before a command can work: settings, and the embedded default around them."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from bugtracker.app import create_runtime
from bugtracker.embedded import embedded_postgres
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings

DEMO_SLUG = "demo"
DEMO_PASSWORD = "Tidal-Library-1843"  # noqa: S105
"""Of the embedded default's demo logins: a private database on a loopback address."""


@contextmanager
def database_environment(settings: Settings) -> Iterator[Settings]:
    """Settings that name a database: those given, or the embedded default's, started and
    migrated, for as long as the block lasts."""
    if not settings.embedded:
        yield settings
        return
    from bugtracker.migrate import migrate

    with embedded_postgres(settings.local_dir / "postgres") as cluster:
        cluster.ensure_database()
        migrate(cluster.owner_url(), cluster.api_url())
        defaults = {
            "database_url": SecretStr(cluster.api_url()),
            "owner_database_url": SecretStr(cluster.owner_url()),
            "secret_key": settings.secret_key or SecretStr(local_secret(settings.local_dir)),
            "open_organisation": settings.open_organisation or DEMO_SLUG,
            "run_worker": settings.run_worker is not False,
        }
        yield settings.model_copy(update=defaults)


@contextmanager
def runtime_for(settings: Settings) -> Iterator[Runtime]:
    """The process's shared services, on whichever database the settings mean."""
    with database_environment(settings) as complete:
        runtime = create_runtime(complete)
        try:
            yield runtime
        finally:
            runtime.db.close()


def owner_url(settings: Settings) -> str:
    """The connection that migrates: the owner's, or the API's where there is only one."""
    url = settings.owner_database_url or settings.database_url
    if url is None:
        raise ValueError("there is no database_url")
    return url.get_secret_value()


def local_secret(directory: Path) -> str:
    """The embedded default's master key, made on first use and kept for the owner only."""
    path = directory / "secret_key"
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f"secret_key.{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        # Of several that start at once, one link succeeds; nobody ever reads half a file.
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()

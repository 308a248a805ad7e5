"""Commands about the keys: those that sign access tokens, and those that encrypt at rest."""

from collections.abc import Sequence
from datetime import datetime

import click
from sqlalchemy import select

from bugtracker.cli.progress import progress_bar
from bugtracker.clock import utc_now
from bugtracker.launch import runtime_for
from bugtracker.models import SigningKey
from bugtracker.runtime import Runtime
from bugtracker.security.keys import KEEP_RETIRED
from bugtracker.services.readiness import checks
from bugtracker.services.rotation import Rotated, count_outdated, rotate_secrets
from bugtracker.settings import Settings

TIME = "%Y-%m-%d %H:%M:%S UTC"


@click.group("keys")
def keys() -> None:
    """The keys that sign access tokens, and those that encrypt what is secret at rest."""


@keys.command("rotate")
def rotate() -> None:
    """Make a new signing key and retire the present one. Nobody is logged out.

    Running servers sign with the new key within a minute; tokens of the old one stay good until
    they expire. Prints the id of the new key.
    """
    with runtime_for(Settings()) as runtime:
        try:
            click.echo(runtime.keys.rotate())
        except ValueError as error:
            raise click.ClickException(str(error)) from None


@keys.command("rotate-secrets")
def rotate_secrets_() -> None:
    """Encrypt what is secret at rest again, under the first of BUGTRACKER_ENCRYPTION_KEYS.

    Servers may run meanwhile, if all of them have this key first already; running it again does
    no harm. Exit code 0 when nothing is left under another key, so that those may be taken away;
    1 when something is: it cannot be decrypted, or a server still writes with another key.
    """
    with runtime_for(Settings()) as runtime:
        _require_schema(runtime)
        with progress_bar(count_outdated(runtime.db, runtime.keyring), "Encrypting") as bar:
            results = rotate_secrets(runtime.db, runtime.keyring, bar)
    for result in results:
        click.echo(f"{result.name}: {result.done} encrypted again, {result.left} left")
    problems = [problem for result in results for problem in _problems(result)]
    if problems:
        raise click.ClickException("; ".join(problems))


def _require_schema(runtime: Runtime) -> None:
    found = checks(runtime.db)
    if found["database"] != "ok":
        raise click.ClickException("cannot reach the database; see `bugtracker check`")
    if found["migrations"] != "ok":
        raise click.ClickException("the schema is not the newest; run `bugtracker migrate`")


def _problems(result: Rotated) -> Sequence[str]:
    """What keeps the other keys from being taken away."""
    found, written = [], result.left - result.failed
    if result.failed:
        found.append(f"{result.failed} in {result.name} cannot be decrypted with the keys given")
    if written > 0:
        found.append(
            f"{written} in {result.name} were written under another key meanwhile: give every"
            " server the same first key, then run this again"
        )
    return found


@keys.command("list")
def list_keys() -> None:
    """Show all keys, newest first: id, when it was made, what it does."""
    columns = (SigningKey.kid, SigningKey.created_at, SigningKey.retired_at)
    statement = select(*columns).order_by(SigningKey.created_at.desc())
    with runtime_for(Settings()) as runtime, runtime.db.read() as connection:
        for kid, created_at, retired_at in connection.execute(statement):
            click.echo(f"{kid}  {created_at:{TIME}}  {_use(retired_at)}")


def _use(retired_at: datetime | None) -> str:
    if retired_at is None:
        return "signs"
    until = retired_at + KEEP_RETIRED
    return f"verifies until {until:{TIME}}" if until > utc_now() else "verifies no more"

"""Commands about the keys that sign access tokens."""

from datetime import datetime

import click
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.launch import runtime_for
from bugtracker.models import SigningKey
from bugtracker.security.keys import KEEP_RETIRED
from bugtracker.settings import Settings

TIME = "%Y-%m-%d %H:%M:%S UTC"


@click.group("keys")
def keys() -> None:
    """The keys that sign access tokens."""


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

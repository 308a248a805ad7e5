"""Commands that copy the database, and bring it back."""

from pathlib import Path

import click
from sqlalchemy import make_url

from bugtracker import backup as copying
from bugtracker.backup import BackupError, Manifest
from bugtracker.embedded.cluster import SUPERUSER
from bugtracker.launch import database_environment, owner_url
from bugtracker.settings import Settings

DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))
URL = click.option(
    "--url",
    envvar="BACKUP_DATABASE_URL",
    help="A login that row-level security does not bind; default the owner's, or the embedded one.",
)


@click.command()
@DIRECTORY
@URL
def backup(directory: Path, url: str | None) -> None:
    """Copy the whole database into a new DIRECTORY, as it is at one moment.

    Servers go on meanwhile. The login must be a superuser or have BYPASSRLS.
    """
    given = Settings()
    with database_environment(given) as settings:
        owner = make_url(owner_url(settings))
        if given.embedded:
            owner = owner.set(username=SUPERUSER)
        try:
            made = copying.backup(url or owner.render_as_string(hide_password=False), directory)
        except BackupError as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{directory}: {_summary(made)}")


@click.command()
@DIRECTORY
@click.option("--url", envvar="BACKUP_DATABASE_URL", required=True, help="A superuser's login.")
def restore(directory: Path, url: str) -> None:
    """Fill an empty database from a DIRECTORY that `bugtracker backup` made.

    All or nothing; counts the rows afterwards. Then run `bugtracker migrate`, which gives the
    API's login its rights, and `bugtracker audit verify`.
    """
    try:
        made = copying.restore(url, directory)
    except (BackupError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"restored from {made.created_at}: {_summary(made)}")


def _summary(made: Manifest) -> str:
    rows = sum(made.rows.values())
    return f"revision {made.revision}, {len(made.rows)} tables, {rows} rows"

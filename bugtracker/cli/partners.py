"""Commands about partner systems."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from bugtracker.cli.keys import TIME
from bugtracker.clock import utc_now
from bugtracker.launch import runtime_for
from bugtracker.runtime import Runtime
from bugtracker.services import partners as service
from bugtracker.services.partners import Credentials
from bugtracker.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,49}")


@click.group("partners")
def partners() -> None:
    """Partner systems, which have organisations made for their customers."""


def _name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not NAME.fullmatch(value):
        raise click.BadParameter("1 to 50 letters, digits, spaces, dots, _ or -")
    return value


named: Callable[[Any], Any] = click.argument("name", callback=_name)


@contextmanager
def _transaction() -> Iterator[tuple[Runtime, Session]]:
    """The runtime and a transaction; what cannot be done becomes a message."""
    with runtime_for(Settings()) as runtime:
        try:
            with runtime.db.transaction() as session:
                yield runtime, session
        except ValueError as error:
            raise click.ClickException(str(error)) from None


def _show(credentials: Credentials) -> None:
    click.echo(f"key     {credentials.key}\nsecret  {credentials.secret}")
    click.echo("The secret is not shown again; docs/provisioning.md says how to sign.", err=True)


@partners.command("create")
@named
def create(name: str) -> None:
    """Make a partner called NAME. Prints its key and its secret, once.

    The owners of the organisations it makes read the name in their invitation.
    """
    with _transaction() as (runtime, session):
        credentials = service.create(session, runtime.keyring, name, utc_now())
    _show(credentials)


@partners.command("rotate")
@named
@click.option(
    "--overlap",
    type=click.FloatRange(0, 24 * 30),
    default=24,
    show_default=True,
    help="Hours for which the key before works beside the new one; 0 after a leak.",
)
def rotate(name: str, overlap: float) -> None:
    """Give a partner another key and secret. Prints both, once."""
    with _transaction() as (runtime, session):
        until = timedelta(hours=overlap)
        credentials = service.rotate(session, runtime.keyring, name, until, utc_now())
    _show(credentials)


@partners.command("disable")
@named
def disable(name: str) -> None:
    """End a partner's keys for good. What is being made for it is undone.

    Organisations that are whole stay, and so do their invitations.
    """
    with _transaction() as (_, session):
        service.disable(session, name, utc_now())
    click.echo(f"The partner {name!r} is disabled.")


@partners.command("list")
def list_partners() -> None:
    """Show all partners: name, since when, and what its keys begin with."""
    with _transaction() as (_, session):
        for partner in service.listed(session):
            if partner.disabled_at is not None:
                state = f"disabled {partner.disabled_at:{TIME}}"
            else:
                state = " ".join(partner.prefixes or ())
            click.echo(f"{partner.name}  {partner.created_at:{TIME}}  {state}")

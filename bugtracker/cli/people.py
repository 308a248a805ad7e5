"""Commands about people."""

import re
import sys
from typing import get_args

import click

from bugtracker.clock import utc_now
from bugtracker.errors import AppError
from bugtracker.launch import runtime_for
from bugtracker.models.organisation import Role
from bugtracker.runtime import Runtime
from bugtracker.services import accounts, organisations
from bugtracker.services.events import Origin
from bugtracker.settings import Settings

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@click.command("create-user")
@click.option("--email", required=True, help="The address; it counts as verified.")
@click.option("--username", required=True, help="1 to 50 letters, digits, dots, _ or -.")
@click.option("--org", "slug", required=True, help="Slug of the organisation; made if missing.")
@click.option("--role", required=True, type=click.Choice(get_args(Role)))
@click.option("--name", help="Display name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_user(
    email: str, username: str, slug: str, role: Role, name: str | None, password_stdin: bool
) -> None:
    """Make a verified user with a role in an organisation, so that scripts can begin.

    Somebody who has an account with this address keeps it and is given the role. Prints the
    user's id.
    """
    _require_form(email, username, slug)
    password = _read_password(password_stdin)
    with runtime_for(Settings()) as runtime:
        try:
            runtime.policy.require_strong(password, username=username, email=email)
            click.echo(_create(runtime, email, username, name, password, slug, role))
        except AppError as error:
            raise click.ClickException(f"{error.title}: {error.detail}") from None


def _require_form(email: str, username: str, slug: str) -> None:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", email) or len(email) > 254:
        raise click.BadParameter(f"{email!r} is not an e-mail address", param_hint="--email")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", username):
        raise click.BadParameter(f"{username!r} is not a username", param_hint="--username")
    if not SLUG.fullmatch(slug) or len(slug) > 63:
        raise click.BadParameter(f"{slug!r} is not a slug such as my-team", param_hint="--org")


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password: --password-stdin")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _create(
    runtime: Runtime,
    email: str,
    username: str,
    name: str | None,
    password: str,
    slug: str,
    role: Role,
) -> str:
    password_hash = runtime.hasher.hash(password)
    now = utc_now()
    with runtime.db.transaction() as session:
        account_id = accounts.find_account(session, email)
        if account_id is None:
            account_id = accounts.create_account(
                session,
                email=email,
                username=username,
                name=name,
                password_hash=password_hash,
                by=Origin(now, None),
            )
        by = Origin(now, None, account_id=account_id)
        known = organisations.organisation_by_slug(session, slug) is not None
        org_id = organisations.ensure(session, slug, slug, by)
        organisations.add_member(session, org_id, account_id, role, by)
    # Anybody may have registered an organisation of this name: say which of the two it is.
    click.echo(f"{'Joined the existing' if known else 'Made the'} organisation {slug!r}.", err=True)
    return str(account_id)

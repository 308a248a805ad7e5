"""bt login, logout, whoami."""

import sys
from typing import cast

import click
from bugtracker_client.api.auth import complete_login, get_me, login, logout
from bugtracker_client.models import (
    Login,
    LoginCode,
    Logout,
    Me,
    TokenPair,
    TwoFactorChallenge,
)

from bugtracker_cli.api import Api
from bugtracker_cli.output import json_option, show_fields, show_json, wants_json

LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")


@click.command("login")
@click.option("--username", prompt=True, help="The username, or the e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line.")
@click.pass_obj
def log_in(api: Api, username: str, password_stdin: bool) -> None:
    """Log in on this device. The password is asked for; what is kept are tokens."""
    if api.server.startswith("http://") and not api.server.startswith(LOCAL):
        click.echo("bt: without https everybody on the way reads the password", err=True)
    password = _line() if password_stdin else click.prompt("Password", hide_input=True, err=True)
    email = "@" in username
    body = Login(password, email=username) if email else Login(password, username=username)
    answer = api.ask_as_nobody(
        cast(type[TokenPair | TwoFactorChallenge], (TokenPair, TwoFactorChallenge)),
        lambda client: login.sync_detailed(client=client, body=body),
    )
    pair = answer if isinstance(answer, TokenPair) else _second_factor(api, answer)
    api.keep(username, pair)
    click.echo(f"Logged in to {api.server} as {username}.")


def _second_factor(api: Api, challenge: TwoFactorChallenge) -> TokenPair:
    code = click.prompt("Code of the second factor", err=True)
    body = LoginCode(challenge.challenge, code)
    return api.ask_as_nobody(
        TokenPair, lambda client: complete_login.sync_detailed(client=client, body=body)
    )


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


@click.command("logout")
@click.pass_obj
def log_out(api: Api) -> None:
    """End the session, on the server and on this device."""
    with api.store.locked():
        session = api.store.session(api.server)
        if session:
            body = Logout(session.refresh_token)
            try:
                api.end(lambda client: logout.sync_detailed(client=client, body=body))
            finally:
                api.store.remove(api.server)
    click.echo(f"Logged out of {api.server}.")


@click.command()
@json_option
@click.pass_obj
def whoami(api: Api) -> None:
    """Who you are on this server, and in which role."""
    me = api.ask(Me, lambda client: get_me.sync_detailed(client=client))
    if wants_json():
        show_json(me)
    else:
        fields = [("name", me.name or ""), ("email", me.email), ("role", me.role or "none")]
        show_fields(me.username, [*fields, ("server", api.server)])

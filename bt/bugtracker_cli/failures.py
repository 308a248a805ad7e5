"""What can go wrong, each with its exit code; the README documents them."""

import json
from typing import IO, Any

import click
from bugtracker_client.models import Problem
from bugtracker_client.types import Unset

from bugtracker_cli.output import clean, wants_json

REFUSED, NOT_LOGGED_IN, NOT_FOUND, UNAVAILABLE = 1, 3, 4, 5


class NotLoggedIn(click.ClickException):
    """There is no session, or it has ended."""

    exit_code = NOT_LOGGED_IN

    def __init__(self, server: str) -> None:
        super().__init__(f"not logged in to {server}: run `bt login`")


class Unavailable(click.ClickException):
    """The server cannot be reached, or answers what no server of ours would."""

    exit_code = UNAVAILABLE


class NoSuchThing(click.ClickException):
    """What was named is not there."""

    exit_code = NOT_FOUND


class Refused(click.ClickException):
    """The server said no, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(_text(problem))
        self.problem = problem
        # Click shows it when the command's context has gone.
        self._as_json = wants_json()
        self.exit_code = _exit_code(problem.status)  # type: ignore[misc]  # of the class in Click

    def show(self, file: IO[Any] | None = None) -> None:
        if self._as_json:
            click.echo(json.dumps(self.problem.to_dict(), ensure_ascii=False), err=True)
        else:
            super().show(file)


def _exit_code(status: int) -> int:
    if status == 401:
        return NOT_LOGGED_IN
    if status == 404:
        return NOT_FOUND
    return UNAVAILABLE if status in (408, 429) or status >= 500 else REFUSED


def _text(problem: Problem) -> str:
    """The detail, a line for each violation, and what the server needs to find it in its logs."""
    lines = [f"{problem.title}. {problem.detail}"]
    if not isinstance(problem.errors, Unset):
        for each in problem.errors:
            place = next((p for p in (each.pointer, each.parameter) if isinstance(p, str)), "")
            lines.append(f"  {place.lstrip('/') or 'request'}: {each.detail}")
    if not isinstance(problem.allowed, Unset):
        lines.append(f"  possible: {', '.join(problem.allowed) or 'nothing'}")
    if problem.status >= 500:
        lines.append(f"  request {problem.request_id}")
    return clean("\n".join(lines))

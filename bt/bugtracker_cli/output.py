"""Tables for people, JSON for programs, and nothing that could steer the terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])

# Beside line ends and tabs, what a terminal obeys: C0, DEL, C1.
_STEERING = dict.fromkeys((*range(32), *range(127, 160)), "�")
del _STEERING[ord("\n")], _STEERING[ord("\t")]

WIDTH_OF_PIPES = 160
STYLES = {
    "critical": "bold red",
    "high": "yellow",
    "open": "cyan",
    "in_progress": "blue",
    "resolved": "green",
    "closed": "dim",
    "reopened": "magenta",
}


class HasDict(Protocol):
    """What the generated client makes of an object."""

    def to_dict(self) -> dict[str, Any]: ...


def clean(text: str) -> str:
    """Other people's text, with what could move the cursor or worse made visible."""
    return text.translate(_STEERING)


def json_option(command: Command) -> Command:
    """``--json`` on a command; ``wants_json()`` tells."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_remember_json,
        help="Print JSON; problems, too, on the standard error.",
    )(command)


def _remember_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta["json"] = value


def wants_json() -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get("json"))


def show_json(value: HasDict | Sequence[HasDict]) -> None:
    """An object, or a list of them, as the server sent them."""
    content = [each.to_dict() for each in value] if isinstance(value, Sequence) else value.to_dict()
    click.echo(json.dumps(content, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(clean(cell), style=STYLES.get(cell, "")) for cell in row))
    console().print(table)


def show_fields(heading: str, fields: Sequence[tuple[str, str]]) -> None:
    """A heading and what belongs to it, one to a line."""
    console().print(Text(clean(heading), style="bold"))
    grid = Table.grid(padding=(0, 2))
    for name, value in fields:
        grid.add_row(Text(name, style="dim"), Text(clean(value), style=STYLES.get(value, "")))
    console().print(grid)


def show_markdown(text: str) -> None:
    # Takes as long to import as the rest of bt, and most commands show none.
    from rich.markdown import Markdown

    console().print(Markdown(clean(text), hyperlinks=False))


def day(moment: datetime) -> str:
    """The day and minute where the reader is."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def console() -> Console:
    # A pipe has no width; what cuts the lines there would cut what is searched for.
    return Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_PIPES)

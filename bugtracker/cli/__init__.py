"""The ``bugtracker`` command."""

import gc
from importlib import import_module
from typing import Any

import click
import psycopg
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bugtracker import __version__
from bugtracker.cli.lean import lean_imports
from bugtracker.cli.names import environment_variable
from bugtracker.embedded import EmbeddedPostgresError
from bugtracker.tracebacks import full_text, message_of

COMMANDS = {
    "analytics": "analytics:analytics",
    "audit": "audit:audit",
    "backup": "backups:backup",
    "check": "serving:check",
    "create-user": "people:create_user",
    "import": "data:import_group",
    "init-env": "environment:init_env",
    "keys": "keys:keys",
    "migrate": "serving:migrate",
    "partners": "partners:partners",
    "restore": "backups:restore",
    "seed": "data:seed",
    "serve": "serving:serve",
    "worker": "working:worker",
}
"""Each command's module here and its name in there: only the one that runs is imported, so that
a server carries no progress bars and no importer through its life."""


class _Commands(click.Group):
    """Turns what an operator can mend into one line and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of this name, imported now."""
        if (place := COMMANDS.get(cmd_name)) is None:
            return None
        module, name = place.split(":")
        # Modules are no garbage: looking for some among them takes a sixth of the imports' time.
        gc.disable()
        try:
            with lean_imports():
                command: click.Command = getattr(import_module(f"bugtracker.cli.{module}"), name)
            gc.freeze()
        finally:
            gc.enable()
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            lines = [f"  {_variable(item['loc'])}: {item['msg']}" for item in error.errors()]
            raise click.ClickException("wrong settings:\n" + "\n".join(lines)) from None
        except EmbeddedPostgresError as error:
            raise click.ClickException(str(error)) from None
        except OperationalError as error:
            raise click.ClickException(f"the database: {message_of(error)}") from None
        except (SQLAlchemyError, psycopg.Error) as error:
            # Python would print the rows and values that the error is about.
            raise click.ClickException(full_text(error)) from None


def _variable(location: tuple[int | str, ...]) -> str:
    """Rules over several fields have no variable of their own."""
    return environment_variable(str(location[0])) if location else "settings"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bugtracker")
def main() -> None:
    """A multi-tenant bug tracker API.

    Without DATABASE_URL every command uses a private embedded PostgreSQL in .local/, which is
    started and stopped as needed. Settings come from the environment; see `bugtracker check`.
    """

"""The ``bugtracker`` command."""

from typing import Any

import click
import psycopg
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from bugtracker import __version__
from bugtracker.cli.analytics import analytics
from bugtracker.cli.audit import audit
from bugtracker.cli.backups import backup, restore
from bugtracker.cli.data import import_group, seed
from bugtracker.cli.environment import init_env
from bugtracker.cli.keys import keys
from bugtracker.cli.names import environment_variable
from bugtracker.cli.partners import partners
from bugtracker.cli.people import create_user
from bugtracker.cli.serving import check, migrate, serve, worker
from bugtracker.embedded import EmbeddedPostgresError
from bugtracker.tracebacks import full_text


class _Commands(click.Group):
    """Turns what an operator can mend into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            lines = [f"  {_variable(item['loc'])}: {item['msg']}" for item in error.errors()]
            raise click.ClickException("wrong settings:\n" + "\n".join(lines)) from None
        except EmbeddedPostgresError as error:
            raise click.ClickException(str(error)) from None
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


for command in (
    serve,
    worker,
    migrate,
    check,
    init_env,
    seed,
    import_group,
    create_user,
    keys,
    audit,
    backup,
    restore,
    partners,
    analytics,
):
    main.add_command(command)

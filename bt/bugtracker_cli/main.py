"""The command and what is common to all of it."""

import click
from click.shell_completion import get_completion_class

from bugtracker_cli import accounts, issues
from bugtracker_cli.api import Api
from bugtracker_cli.store import Store, directory

DEFAULT_SERVER = "http://127.0.0.1:8000"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--server", envvar="BT_SERVER", metavar="URL", help="Else the last login's.")
@click.version_option(package_name="bugtracker-cli", prog_name="bt")
@click.pass_context
def main(context: click.Context, server: str | None) -> None:
    """The bug tracker in a terminal.

    \b
    Exit codes: 0 done; 1 refused by the server, with its reason; 2 wrong usage;
    3 not logged in; 4 not found; 5 the server is away, busy or broken.

    BT_SERVER is the server's address; BT_TOKEN, an API key, stands in for a login.
    """
    store = Store(directory())
    address = server or store.current_server or DEFAULT_SERVER
    if not address.startswith(("http://", "https://")):
        raise click.UsageError(f"{address} is no address: begin with https://")
    context.obj = Api(address.rstrip("/"), store)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    bash: eval "$(bt completion bash)"      in ~/.bashrc
    zsh:  eval "$(bt completion zsh)"       in ~/.zshrc
    fish: bt completion fish | source       in config.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "bt", "_BT_COMPLETE").source())


for command in (
    accounts.log_in,
    accounts.log_out,
    accounts.whoami,
    issues.projects,
    issues.issues,
    issues.show,
    issues.create,
    issues.comment,
    issues.move,
):
    main.add_command(command)

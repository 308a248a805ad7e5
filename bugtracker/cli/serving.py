"""Commands that run the program: serve, migrate, check."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click
import uvicorn
from sqlalchemy.exc import OperationalError

from bugtracker.app import create_app, create_runtime
from bugtracker.cli.doubts import warnings
from bugtracker.cli.names import environment_variable
from bugtracker.db import owner_engine
from bugtracker.errors import UsernameTaken
from bugtracker.http_server import DrainingServer, server_config
from bugtracker.launch import DEMO_PASSWORD, database_environment, owner_url, runtime_for
from bugtracker.logs import configure_logging, log_uncaught
from bugtracker.metrics.listener import Pulse, metrics_listener
from bugtracker.revisions import current_revision, head_revision
from bugtracker.runtime import Runtime
from bugtracker.services.readiness import checks
from bugtracker.settings import Settings
from bugtracker.tracebacks import message_of
from bugtracker.tracing import tracing

if TYPE_CHECKING:
    from bugtracker.seeding import Seeded


@click.command()
def serve() -> None:
    """Serve the API on BUGTRACKER_HOST:BUGTRACKER_PORT (127.0.0.1:8000).

    With the embedded database: migrates, makes a demo organisation the first time, and runs the
    job worker inside.
    """
    settings = Settings()
    configure_logging(settings)
    log_uncaught()
    with ExitStack() as stack:
        runtime = stack.enter_context(runtime_for(settings))
        demo = _seed(runtime) if settings.embedded and _is_loopback(settings.host) else None
        _warn_unless_ready(runtime)
        stack.enter_context(serving_metrics(runtime))
        stack.enter_context(sending_traces(runtime, "bugtracker-api"))
        server = _server(runtime)
        if runtime.settings.run_worker:
            stack.enter_context(_working(runtime))
        click.echo(_banner(runtime, demo), err=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt, SystemExit):
            # uvicorn ends in good order, then raises the signal that ended it once more.
            server.run()
        if not server.started:
            where = f"{runtime.settings.host}:{runtime.settings.port}"
            raise click.ClickException(
                f"cannot serve on {where}, see above; BUGTRACKER_PORT chooses another port"
            )


# What only some servers need is imported by those: it takes memory and time.
@contextmanager
def _working(runtime: Runtime) -> Iterator[None]:
    """The job worker in a thread, until the block is left."""
    from bugtracker.jobs.worker import WorkerThread

    thread = WorkerThread(runtime)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


def _seed(runtime: Runtime) -> "Seeded | None":
    """The demo; none where its names belong to others by now, which is no reason not to serve."""
    from bugtracker.cli.progress import Silent
    from bugtracker.seeding import seed_demo

    try:
        return seed_demo(runtime.db, runtime.hasher, password=DEMO_PASSWORD, progress=Silent())
    except (UsernameTaken, ValueError) as error:
        click.echo(f"Warning: there is no demo, somebody has a name it wants: {error}", err=True)
        return None


def _server(runtime: Runtime) -> uvicorn.Server:
    settings = runtime.settings
    config = server_config(
        create_app(runtime),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=settings.shutdown_grace,
    )
    return DrainingServer(config, settings.drain_seconds)


@contextmanager
def serving_metrics(runtime: Runtime, pulse: Pulse | None = None) -> Iterator[None]:
    """The port of /metrics, where one is set, until the block is left."""
    with ExitStack() as stack:
        try:
            stack.enter_context(metrics_listener(runtime, pulse))
        except OSError as error:
            where = f"{runtime.settings.metrics_host}:{runtime.settings.metrics_port}"
            raise click.ClickException(
                f"cannot serve metrics on {where} ({error.strerror});"
                " BUGTRACKER_METRICS_PORT chooses another port"
            ) from None
        yield


@contextmanager
def sending_traces(runtime: Runtime, service: str) -> Iterator[None]:
    """Traces, where they are asked for, until the block is left."""
    with ExitStack() as stack:
        try:
            stack.enter_context(tracing(runtime, service))
        except ImportError as error:
            raise click.ClickException(
                f"BUGTRACKER_OTLP_ENDPOINT needs requirements/tracing.txt ({error.name} is missing)"
            ) from None
        yield


def _warn_unless_ready(runtime: Runtime) -> None:
    failed = [part for part, result in checks(runtime.db).items() if result != "ok"]
    if failed:
        click.echo(f"Warning: not ready ({', '.join(failed)}); run `bugtracker migrate`?", err=True)


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach us: the demo's password is known to everybody."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _banner(runtime: Runtime, demo: "Seeded | None") -> str:
    base = runtime.settings.base_url
    lines = ["", f"Bugtracker    {base}", f"Documentation {base}/docs, {base}/reference"]
    if demo is not None:
        made = "made just now" if demo.created else "kept from before"
        lines += [
            f"Mails         {runtime.settings.mail_dir}",
            f"Demo logins   organisation {demo.slug!r} ({made}), password {DEMO_PASSWORD!r}:",
            *(f"              {login.email} ({login.role})" for login in demo.logins),
        ]
    return "\n".join([*lines, "Ctrl-C stops everything.", ""])


@click.command()
def migrate() -> None:
    """Bring the database's schema to the newest version.

    Connects as BUGTRACKER_OWNER_DATABASE_URL, else as DATABASE_URL, and grants the API's rights
    to the login of DATABASE_URL.
    """
    from bugtracker.migrate import migrate as run_migrations

    with database_environment(Settings()) as settings:
        api_url = settings.database_url.get_secret_value() if settings.database_url else None
        try:
            before, after = run_migrations(owner_url(settings), api_url)
        except OperationalError as error:
            raise click.ClickException(f"cannot reach the database: {message_of(error)}") from None
        done = "is already at" if before == after else f"migrated from {before or 'nothing'} to"
        click.echo(f"The schema {done} {after}.")


@click.command()
def check() -> None:
    """Check the configuration: settings, secrets, database, schema, roles.

    Exit code 1 when something would keep the program from working; warns of what is probably not
    meant: variables that no setting has, an open organisation that there is not.
    """
    with database_environment(Settings()) as settings:
        runtime = create_runtime(settings)
        for name, value in settings.model_dump().items():
            click.echo(f"{environment_variable(name):42} {value}")
        click.echo("")
        problems = _problems(runtime)
        doubts = warnings(runtime, os.environ) if not problems else []
        runtime.db.close()
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    for doubt in doubts:
        click.echo(f"warning: {doubt}", err=True)
    if problems:
        raise SystemExit(1)
    click.echo("It works, but see the warnings." if doubts else "All is well.")


def _problems(runtime: Runtime) -> list[str]:
    found = checks(runtime.db)
    if found["database"] != "ok":
        return ["the database cannot be reached or refuses the role bugtracker_app"]
    if found["migrations"] != "ok":
        return [f"the schema is not at {head_revision()}; run `bugtracker migrate`"]
    try:
        runtime.keys.signing()
    except ValueError as error:
        return [f"the signing keys: {error}"]
    return _owner_problems(runtime.settings)


def _owner_problems(settings: Settings) -> list[str]:
    engine = owner_engine(owner_url(settings))
    try:
        with engine.connect() as connection:
            current_revision(connection)
    except OperationalError as error:
        return [f"the owner's connection: {message_of(error)}"]
    finally:
        engine.dispose()
    return []

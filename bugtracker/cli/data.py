"""Commands that bring data in: import and seed."""

import sys
import time
from pathlib import Path
from uuid import UUID

import click
from rich import box
from rich.console import Console
from rich.table import Table

from bugtracker.cli.people import SLUG
from bugtracker.cli.progress import progress_bar
from bugtracker.clock import utc_now
from bugtracker.errors import UsernameTaken
from bugtracker.importing import FileReport, Report, import_archives, refresh_statistics, total_size
from bugtracker.launch import DEMO_PASSWORD, owner_url, runtime_for
from bugtracker.runtime import Runtime
from bugtracker.seeding import Seeded, records_of, seed_large
from bugtracker.services import organisations
from bugtracker.services.events import Origin
from bugtracker.settings import Settings

MAX_PROBLEMS_SHOWN = 50


@click.group("import")
def import_group() -> None:
    """Import data from other systems."""


@import_group.command("github-archive")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--org", "slug", required=True, help="Slug of the organisation to import into.")
@click.option("--create-org", is_flag=True, help="Make the organisation when it is missing.")
@click.option("--dry-run", is_flag=True, help="Do everything, then undo it.")
def github_archive(files: tuple[Path, ...], slug: str, create_org: bool, dry_run: bool) -> None:
    """Import archived GitHub repositories: issues, comments and people; one project each.

    Importing a file again changes nothing. Pull requests are skipped. Exit code 0 when all went
    in, 3 when some records were refused, 1 when nothing could be done.
    """
    if not SLUG.fullmatch(slug) or len(slug) > 63:
        raise click.BadParameter(f"{slug!r} is not a slug such as my-team", param_hint="--org")
    with runtime_for(Settings()) as runtime:
        org_id = _organisation(runtime, slug, create_org)
        begun = time.perf_counter()
        with progress_bar(total_size(files), "Reading") as bar:
            report = import_archives(runtime, org_id, files, dry_run=dry_run, progress=bar)
        seconds = time.perf_counter() - begun
        refresh_statistics(owner_url(runtime.settings))
        _print(report, seconds)
    raise SystemExit(report.exit_code)


def _organisation(runtime: Runtime, slug: str, create: bool) -> UUID:
    with runtime.db.transaction() as session:
        org_id = organisations.organisation_by_slug(session, slug)
        if org_id is None and create:
            org_id = organisations.ensure(session, slug, slug, Origin(utc_now(), None))
    if org_id is None:
        raise click.ClickException(f"there is no organisation {slug!r}; --create-org makes it")
    return org_id


def _print(report: Report, seconds: float) -> None:
    refused = list(report.problems(refused=True))
    changed = list(report.problems(refused=False))
    for title, problems in (("Refused", refused), ("Changed to fit", changed)):
        for problem in problems[:MAX_PROBLEMS_SHOWN]:
            click.echo(f"{title}: {problem}", err=True)
        if len(problems) > MAX_PROBLEMS_SHOWN:
            click.echo(f"{title}: and {len(problems) - MAX_PROBLEMS_SHOWN} more", err=True)
    # Piped into a file or another program, the table keeps its whole width.
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(_table(report))
    records = report.total("issues") + report.total("comments")
    rate = f"{records / seconds:,.0f} records/s" if records else "nothing new"
    undone = " Dry run: nothing was kept." if report.dry_run else ""
    console.print(f"{seconds:.1f} s, {rate}, {report.people} new people.{undone}")


COUNTS = (
    "issues",
    "comments",
    "continuations",
    "unchanged",
    "pulls_skipped",
    "refused",
)


def _table(report: Report) -> Table:
    headings = (name.replace("_", " ").capitalize() for name in COUNTS)
    table = Table("File", "Key", *headings, box=box.SIMPLE_HEAD)
    for file in report.files:
        table.add_row(*_row(file))
    if len(report.files) > 1:
        totals = [f"{report.total(name):,}" for name in COUNTS]
        table.add_section()
        table.add_row("Total", "", *totals)
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def _row(file: FileReport) -> list[str]:
    if file.failed:
        return [file.path.name, "failed", *("" for _ in COUNTS)]
    return [file.path.name, file.key or "", *(f"{getattr(file, name):,}" for name in COUNTS)]


@click.command()
@click.option("--org", "slug", default="seed", show_default=True, help="Slug to make.")
@click.option("--issues", default=2000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--random-seed", default=1, show_default=True, help="Same number, same texts.")
@click.option("--password", default=DEMO_PASSWORD, show_default=True, help="Of all its people.")
def seed(slug: str, issues: int, random_seed: int, password: str) -> None:
    """Make a believable organisation: 50 developers, 10 projects.

    An organisation of this slug that exists already is left as it is.
    """
    if not SLUG.fullmatch(slug) or len(slug) > 63:
        raise click.BadParameter(f"{slug!r} is not a slug such as my-team", param_hint="--org")
    with runtime_for(Settings()) as runtime, progress_bar(records_of(issues), "Seeding") as bar:
        try:
            made = seed_large(
                runtime.db,
                runtime.hasher,
                password=password,
                progress=bar,
                slug=slug,
                name=slug,
                issues=issues,
                seed=random_seed,
            )
        except (UsernameTaken, ValueError) as error:
            raise click.ClickException(f"somebody has a name it wants: {error}") from None
        refresh_statistics(owner_url(runtime.settings))
    _report(made, password)


def _report(made: Seeded, password: str) -> None:
    if not made.created:
        click.echo(f"The organisation {made.slug!r} exists already and was left as it is.")
        return
    click.echo(f"{made.slug}: {made.issues:,} issues and {made.comments:,} comments. Log in as:")
    for login in made.logins[:6]:
        click.echo(f"  {login.email} ({login.role})")
    click.echo(f"  … {len(made.logins)} people in all, password {password!r}")

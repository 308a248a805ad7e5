"""Commands about analytics."""

from datetime import UTC, date, datetime, timedelta

import click

from bugtracker.cli.progress import progress_bar
from bugtracker.clock import midnight, utc_now
from bugtracker.launch import runtime_for
from bugtracker.login_analytics.recording import record_missing
from bugtracker.login_analytics.rollup import kept_from, roll_up, roll_up_past
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings

DAY = click.DateTime(["%Y-%m-%d"])


@click.group("analytics")
def analytics() -> None:
    """Analytics: count again."""


@analytics.command("roll-up")
@click.option("--from", "first", type=DAY, help="First day (UTC) to count; default the oldest.")
@click.option("--to", "last", type=DAY, help="Last day (UTC) to count; default today.")
def roll_up_command(first: datetime | None, last: datetime | None) -> None:
    """Count the logins of each day anew.

    Without options: the days that are over and have logins which are not counted yet, as the
    worker does every hour. With --from or --to: every day of that range, after adding the logins
    that only the record of events has. Either can be repeated at any time: a day is always counted
    from all its logins. Days whose single logins are not kept any more stay as they are.
    """
    with runtime_for(Settings()) as runtime:
        if first is None and last is None:
            click.echo(f"Counted {roll_up_past(runtime)} days that had new logins.")
        else:
            _roll_up_range(runtime, first, last)


def _roll_up_range(runtime: Runtime, first: datetime | None, last: datetime | None) -> None:
    today, oldest = utc_now().astimezone(UTC).date(), kept_from(runtime)
    begin, end = first.date() if first else oldest, last.date() if last else today
    if begin > end:
        raise click.UsageError("--from is after --to")
    if begin < oldest:
        click.echo(f"Days before {oldest} stay as they are: their logins are not kept.", err=True)
    days = _days(max(begin, oldest), min(end, today))
    added = counted = 0
    with progress_bar(len(days), "Counting") as bar:
        for day in days:
            added += record_missing(runtime, midnight(day), midnight(day + timedelta(days=1)))
            counted += roll_up(runtime, day, again=True) > 0
            bar.advance(1, str(day))
    click.echo(f"{len(days)} days, {counted} with logins; added {added} that were missing.")


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]

"""Commands about the audit log."""

import re
from uuid import UUID

import click
from sqlalchemy import text

from bugtracker.audit.verifying import Report, is_noted, verify
from bugtracker.launch import runtime_for
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings

ORGANISATIONS = text(
    "SELECT id, slug FROM audited_organisations()"
    " WHERE CAST(:slug AS text) IN (slug, '') ORDER BY slug"
)
NOTE = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")

WORDS = {
    "changed": "was changed",
    "removed": "is missing",
    "inserted": "was inserted",
    "seal_changed": "begins a batch whose seal was changed",
    "seal_removed": "begins a batch whose seal is missing",
    "key_unknown": "begins a batch sealed with another BUGTRACKER_SECRET_KEY",
}


@click.group("audit")
def audit() -> None:
    """The audit log: is it as it was sealed?"""


@audit.command("verify")
@click.option("--org", "slug", default="", help="Slug of one organisation; default all.")
@click.option("--noted", help="NUMBER:SEAL of an earlier run; needs --org.")
def verify_command(slug: str, noted: str | None) -> None:
    """Check the events of every organisation against their seals.

    Finds events that were changed, removed or inserted after they were sealed. Exit code 1 when
    there is a problem. The last seal, as it is printed, is worth a note outside this database:
    only with --noted can it be seen that the newest seals themselves are gone.
    """
    note = _note(slug, noted)
    with runtime_for(Settings()) as runtime:
        with runtime.db.read() as connection:
            organisations = connection.execute(ORGANISATIONS, {"slug": slug}).all()
        if slug and not organisations:
            raise click.ClickException(f"there is no organisation {slug!r}")
        good = [_verify(runtime, org_id, name, note) for org_id, name in organisations]
    if not all(good):
        raise SystemExit(1)


def _note(slug: str, noted: str | None) -> tuple[int, bytes] | None:
    if noted is None:
        return None
    match = NOTE.fullmatch(noted)
    if match is None or not slug:
        raise click.UsageError("--noted is NUMBER:SEAL as printed before, together with --org")
    return int(match[1]), bytes.fromhex(match[2])


def _verify(runtime: Runtime, org_id: UUID, slug: str, note: tuple[int, bytes] | None) -> bool:
    with runtime.db.transaction(org_id=org_id) as session:
        report = verify(session, runtime.keyring, org_id)
        kept = note is None or is_noted(session, org_id, *note)
    click.echo(f"{slug}: {_summary(report)}")
    for problem in report.problems:
        click.echo(f"  problem: event {problem.number} {WORDS[problem.kind]}")
    if len(report.problems) < report.problem_count:
        click.echo(f"  … {report.problem_count} problems in all")
    if not kept:
        click.echo("  problem: the noted seal is gone; what it covered may have been replaced")
    return report.ok and kept


def _summary(report: Report) -> str:
    if report.seal is None:
        return f"nothing is sealed, {report.numbered_to} events"
    return (
        f"{'ok' if report.ok else 'NOT OK'}, {report.numbered_to} events,"
        f" sealed to {report.sealed_to}:{report.seal.hex()}"
    )

"""What of a configuration works, and is probably not what the operator meant."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from bugtracker.cli.names import environment_variable
from bugtracker.runtime import Runtime
from bugtracker.services.organisations import organisation_by_slug
from bugtracker.settings import Settings

OTHERS = {"BUGTRACKER_URL", "BUGTRACKER_IMAGE"}
"""Of our other programs: the client, docker compose."""


def warnings(runtime: Runtime, environment: Iterable[str]) -> list[str]:
    """One line each; the database must be reachable."""
    return [*_unknown_variables(environment), *_missing_organisation(runtime)]


def _unknown_variables(environment: Iterable[str]) -> Iterator[str]:
    known = {environment_variable(field) for field in Settings.model_fields} | OTHERS
    for name in sorted(environment):
        if name.upper().startswith("BUGTRACKER_") and name.upper() not in known:
            close = get_close_matches(name.upper(), known, n=1, cutoff=0.8)
            yield f"{name} is no setting" + (f"; is {close[0]} meant?" if close else "")


def _missing_organisation(runtime: Runtime) -> Iterator[str]:
    slug = runtime.settings.open_organisation
    if slug is None:
        return
    with runtime.db.transaction() as session:
        if organisation_by_slug(session, slug) is None:
            yield (
                f"no organisation has the slug {slug!r}, which everybody joins who registers"
                " without one (BUGTRACKER_OPEN_ORGANISATION): they join none"
            )

"""A larger organisation, for people without archives and for tests of plans and speed."""

from datetime import timedelta
from random import Random

from bugtracker.clock import utc_now
from bugtracker.db import Database, lift_timeouts
from bugtracker.importing.archives import Progress
from bugtracker.models.organisation import Role
from bugtracker.security.passwords import Hasher
from bugtracker.seeding import words
from bugtracker.seeding.drafts import AGE, COMMENTS_CYCLE, Drafting
from bugtracker.seeding.organisations import (
    Login,
    Seeded,
    create_organisation,
    find_organisation,
)
from bugtracker.seeding.texts import Texts
from bugtracker.seeding.tracker import ProjectWriter, create_project

DEVELOPERS = 50
PROJECTS = len(words.PROJECTS)
_OTHERS: tuple[Role, ...] = ("owner", "admin", "manager", "member", "auditor")


def seed_large(
    db: Database,
    hasher: Hasher,
    *,
    password: str,
    progress: Progress,
    slug: str = "seed",
    name: str = "Seed",
    issues: int = 2000,
    seed: int = 1,
) -> Seeded:
    """Makes an organisation of 50 developers (and five others) with 10 projects, unless its slug
    is taken. The same ``seed`` makes the same people and texts. ``progress`` counts issues and
    comments, :func:`records_of` in all. Raises UsernameTaken, or ValueError when
    an address is taken.
    """
    now = utc_now()
    founded = now - timedelta(days=AGE)
    random = Random(seed)  # noqa: S311 - no secret
    logins = _logins(random, slug)
    with db.transaction() as session:
        lift_timeouts(session)
        found = find_organisation(session, slug)
        if found:
            return Seeded(found, slug, created=False, logins=logins)
        hashed = hasher.hash(password)
        org_id, people = create_organisation(session, slug, name, logins, hashed, founded)
        comments = 0
        shares = zip(_shares(issues), words.PROJECTS, strict=True)
        for index, (count, (title, description)) in enumerate(shares):
            project_id = create_project(session, org_id, title, description, people[2], founded)
            writer = ProjectWriter(session, org_id, project_id, progress, title)
            # Each project begins elsewhere, so that few issues show many states.
            drafting = Drafting(random, people, now, offset=6 * index)
            writer.write(drafting.issues([None] * count))
            comments += writer.comments
    return Seeded(org_id, slug, created=True, logins=logins, issues=issues, comments=comments)


def records_of(issues: int) -> int:
    """How many issues and comments ``seed_large`` writes."""
    cycle = len(COMMENTS_CYCLE)
    comments = (
        COMMENTS_CYCLE[index % cycle] for share in _shares(issues) for index in range(share)
    )
    return issues + sum(comments)


def _shares(issues: int) -> list[int]:
    """How many issues each project has."""
    return [issues // PROJECTS + (index < issues % PROJECTS) for index in range(PROJECTS)]


def _logins(random: Random, slug: str) -> tuple[Login, ...]:
    """The others first, in the order of their roles."""
    developers: list[Role] = ["developer"] * DEVELOPERS
    roles: list[Role] = [*_OTHERS, *developers]
    names = Texts(random).names(len(roles))
    usernames = [name.lower().replace(" ", ".") for name in names]
    return tuple(
        Login(f"{username}.{slug}"[:50], name, f"{username}@{slug}.example", role)
        for username, name, role in zip(usernames, names, roles, strict=True)
    )

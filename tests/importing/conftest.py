"""An organisation to import into, and what is in it afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import RowMapping, text

from bugtracker.importing import Report, import_archives
from tests.importing.archive import write
from tests.world import Org, World


@dataclass
class Steps:
    """A progress that adds up."""

    done: int = 0
    labels: list[str] = field(default_factory=list)

    def advance(self, n: int, label: str) -> None:
        self.done += n
        self.labels.append(label)


@dataclass
class Target:
    """An organisation and imports into it."""

    org: Org
    directory: Path
    steps: Steps = field(default_factory=Steps)

    def take(self, *files: Path, dry_run: bool = False) -> Report:
        """Imports files."""
        runtime = self.org.world.runtime
        return import_archives(runtime, self.org.id, files, dry_run=dry_run, progress=self.steps)

    def take_issues(self, *issues: Any, dry_run: bool = False, **fields: Any) -> Report:
        """Imports issues as the archive ``acme/tide-tables``."""
        path = write(self.directory / "archive.json", *issues, **fields)
        return self.take(path, dry_run=dry_run)

    def rows(self, query: str) -> list[RowMapping]:
        """What the organisation's own rows answer."""
        with self.org.world.runtime.db.transaction(org_id=self.org.id) as session:
            return list(session.execute(text(query)).mappings())

    def contents(self) -> list[str]:
        """All comments as the API lists them: by date, then id."""
        rows = self.rows("SELECT content FROM comments ORDER BY created_at, id")
        return [row["content"] for row in rows]

    def people(self) -> list[RowMapping]:
        """The imported people."""
        return self.rows("SELECT * FROM members WHERE account_id IS NULL")

    def issues(self) -> list[RowMapping]:
        """All issues, by number."""
        return self.rows("SELECT * FROM issues ORDER BY number")

    def project_id(self) -> str:
        """The id of the only project."""
        [project] = self.rows("SELECT id FROM projects")
        return str(project["id"])

    def counts(self) -> tuple[int, ...]:
        """Rows per table."""
        tables = (
            "projects",
            "members",
            "issues",
            "comments",
            "events",
            "issue_documents",
            "comment_documents",
        )
        return tuple(self.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables)


@pytest.fixture
def target(world: World, tmp_path: Path) -> Target:
    """An empty organisation."""
    return Target(world.create_org(), tmp_path)


Walk = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def walk(target: Target) -> Walk:
    """Reads a list of the API to its end by cursor."""

    def walk_to_the_end(path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = target.org.developer.get(f"{path}{more}").json()
            items += page["items"]
            cursor = page["next_cursor"]
        return items

    return walk_to_the_end

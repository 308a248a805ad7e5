"""bugtracker import and bugtracker seed"""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cli.conftest import Run
from tests.world import World


def issue(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "number": number,
        "id": f"I{number}",
        "title": f"Issue {number}",
        "url": f"https://github.com/acme/tides/issues/{number}",
        "state": "OPEN",
        "author": "ada",
        "authorAssociation": "MEMBER",
        "assignees": [],
        "labels": ["bug"],
        "body": "It is wrong.",
        "createdAt": "2024-01-02T03:04:05Z",
        "updatedAt": "2024-01-03T03:04:05Z",
        "closedAt": None,
        "comments": [
            {
                "author": "grace",
                "authorAssociation": "NONE",
                "body": "Indeed.",
                "createdAt": "2024-01-02T04:04:05Z",
                "updatedAt": "2024-01-02T04:04:05Z",
            }
        ],
        **fields,
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of two issues, two comments and a pull request."""
    path = tmp_path / "tides.json"
    content = {
        "magic": "E!vIA5L86J2I",
        "timestamp": "2024-02-01T00:00:00+00:00",
        "repo": f"acme/tides-{uuid4().hex[:8]}",
        "labels": [],
        "issues": [issue(1), issue(2, state="CLOSED", closedAt="2024-01-03T03:04:05Z")],
        "pulls": [{"number": 3}],
    }
    path.write_text(json.dumps(content))
    return path


def spoil(archive: Path, **fields: Any) -> None:
    content = json.loads(archive.read_text())
    content["issues"][0].update(fields)
    archive.write_text(json.dumps(content))


class TestImportGithubArchive:
    def test_everything_in_is_exit_code_0_and_again_changes_nothing(
        self, run: Run, world: World, archive: Path
    ) -> None:
        org = world.create_org()
        result = run("import", "github-archive", str(archive), f"--org={org.slug}")
        assert result.exit_code == 0, result.output
        projects = org.developer.get("/api/projects").json()["items"]
        assert len(projects) == 1
        issues = org.developer.get(f"/api/projects/{projects[0]['id']}/issues?page=1").json()
        assert issues["total"] == 2
        again = run("import", "github-archive", str(archive), f"--org={org.slug}")
        assert again.exit_code == 0
        assert "nothing new" in again.stdout
        assert org.developer.get("/api/projects?page=1").json()["total"] == 1

    def test_a_dry_run_leaves_nothing(self, run: Run, world: World, archive: Path) -> None:
        org = world.create_org()
        result = run("import", "github-archive", str(archive), f"--org={org.slug}", "--dry-run")
        assert result.exit_code == 0
        assert "nothing was kept" in result.stdout
        assert org.developer.get("/api/projects").json()["items"] == []

    def test_a_refused_record_is_exit_code_3_with_its_place(
        self, run: Run, world: World, archive: Path
    ) -> None:
        spoil(archive, createdAt="yesterday")
        org = world.create_org()
        result = run("import", "github-archive", str(archive), f"--org={org.slug}")
        assert result.exit_code == 3
        assert "issues[0].createdAt" in result.stderr

    def test_a_broken_file_is_exit_code_1(self, run: Run, world: World, archive: Path) -> None:
        archive.write_text("{")
        org = world.create_org()
        result = run("import", "github-archive", str(archive), f"--org={org.slug}")
        assert result.exit_code == 1
        assert "tides.json" in result.stderr

    def test_a_missing_organisation_is_an_error_unless_it_shall_be_made(
        self, run: Run, archive: Path
    ) -> None:
        slug = f"org-{uuid4().hex[:8]}"
        refused = run("import", "github-archive", str(archive), f"--org={slug}")
        assert refused.exit_code == 1
        assert "--create-org" in refused.stderr
        made = run("import", "github-archive", str(archive), f"--org={slug}", "--create-org")
        assert made.exit_code == 0


class TestSeed:
    def test_makes_an_organisation_once(self, run: Run) -> None:
        slug = f"seed-{uuid4().hex[:8]}"
        made = run("seed", f"--org={slug}", "--issues=20")
        assert made.exit_code == 0, made.output
        assert "20 issues" in made.stdout
        again = run("seed", f"--org={slug}", "--issues=20")
        assert again.exit_code == 0
        assert "exists already" in again.stdout

    def test_a_name_that_is_no_slug_is_refused(self, run: Run) -> None:
        assert run("seed", "--org=No Slug").exit_code == 2

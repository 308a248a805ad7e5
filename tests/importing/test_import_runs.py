"""Imports that are repeated, rehearsed, refused or at work at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from bugtracker.clock import utc_now
from bugtracker.importing import refresh_statistics, total_size
from bugtracker.seeding.organisations import Person
from bugtracker.seeding.tracker import create_project
from tests.importing.archive import comment, issue, write
from tests.importing.conftest import Target

LONG = "".join(f"Sentence number {n} of a long story.\n\n" for n in range(300))


class TestAgain:
    def test_changes_nothing(self, target: Target) -> None:
        issues = (
            issue(1, (comment(), comment(), comment(LONG), comment(body="")), body=LONG),
            issue(2, assignees=["dave"]),
        )
        first = target.take_issues(*issues)
        before = target.counts()
        again = target.take_issues(*issues)
        assert target.counts() == before
        assert again.total("unchanged") == first.total("issues") + first.total("comments") == 6
        assert (again.total("issues"), again.people, again.exit_code) == (0, 0, 0)

    def test_adds_what_is_new(self, target: Target) -> None:
        target.take_issues(issue(1, (comment("one", 1),)))
        grown = issue(1, (comment("zero", 0), comment("one", 1), comment("two", 2)))
        report = target.take_issues(grown, issue(2))
        assert target.contents() == ["zero", "one", "two"]
        assert (report.total("issues"), report.total("comments")) == (1, 2)
        assert report.total("unchanged") == 2
        assert target.rows("SELECT * FROM projects")[0]["last_issue_number"] == 2

    def test_leaves_changes_made_here_alone(self, target: Target) -> None:
        target.take_issues(issue(1))
        path = "/api/issues/TT-1"
        assert target.org.manager.patch(path, {"title": "Ours"}).status_code == 200
        target.take_issues(issue(1))
        assert target.org.manager.get(path).json()["title"] == "Ours"

    def test_refuses_a_number_that_was_given_away_here(self, target: Target) -> None:
        target.take_issues(issue(1))
        [project] = target.org.manager.get("/api/projects").json()["items"]
        target.org.manager.create_issue(project)
        report = target.take_issues(issue(1), issue(2, (comment(),)))
        [problem] = report.problems()
        assert (problem.place, report.total("refused")) == ("issues[1].number", 2)
        assert report.exit_code == 3

    def test_at_the_same_time_makes_everything_once(self, target: Target) -> None:
        issues = [issue(number, (comment(),)) for number in range(1, 30)]
        path = write(target.directory / "archive.json", *issues)
        with ThreadPoolExecutor(4) as pool:
            reports = list(pool.map(target.take, [path] * 4))
        assert sorted(report.total("issues") for report in reports) == [0, 0, 0, 29]
        assert [report.exit_code for report in reports] == [0] * 4
        assert len(target.contents()) == 29


class TestDryRun:
    def test_reports_and_leaves_nothing(self, target: Target) -> None:
        before = target.counts()
        report = target.take_issues(issue(1, (comment(LONG),)), dry_run=True)
        assert (report.total("issues"), report.total("comments")) == (1, 1)
        assert report.total("continuations") > 2
        assert (report.dry_run, report.exit_code) == (True, 0)
        assert target.counts() == before


class TestReport:
    def test_a_broken_file_does_not_keep_others_out(self, target: Target, tmp_path: Path) -> None:
        broken = tmp_path / "broken.json"
        broken.write_text('{"repo": ')
        report = target.take(broken, write(tmp_path / "good.json", issue(1)))
        assert [file.failed for file in report.files] == [True, False]
        assert str(next(report.problems())).startswith("broken.json: line 1 column 10: is not JSON")
        assert report.exit_code == 3
        assert len(target.issues()) == 1

    @pytest.mark.parametrize("issues", [(issue(None),), (5, "x")])
    def test_nothing_usable_leaves_no_project(self, target: Target, issues: Any) -> None:
        report = target.take_issues(*issues)
        assert report.exit_code == 1
        assert target.rows("SELECT * FROM projects") == []

    def test_what_the_database_refuses_is_reported(self, target: Target) -> None:
        """Somebody creates a project of this name while the import is at work."""
        manager = target.org.manager
        db = target.org.world.runtime.db
        with ThreadPoolExecutor(1) as pool:
            with db.transaction(org_id=target.org.id) as session:
                person = Person(manager.id, "manager")
                create_project(session, target.org.id, "tide-tables", "", person, utc_now())
                importing = pool.submit(target.take_issues, issue(1))
                _wait_for_a_waiting_lock(session)
            report = importing.result()
        assert "the database refused it: duplicate key" in str(next(report.problems()))
        assert (report.exit_code, report.total("issues")) == (1, 0)
        assert len(target.rows("SELECT * FROM projects")) == 1

    def test_an_empty_archive_is_a_project_without_issues(self, target: Target) -> None:
        assert target.take_issues().exit_code == 0
        assert len(target.rows("SELECT * FROM projects")) == 1

    def test_notes_refuse_nothing(self, target: Target) -> None:
        report = target.take_issues(issue(1, body="a\0b"))
        assert (len(list(report.problems())), list(report.problems(refused=True))) == (1, [])
        assert report.exit_code == 0

    def test_progress_adds_up_to_the_files(self, target: Target, tmp_path: Path) -> None:
        files = [
            write(tmp_path / "a.json", *(issue(n) for n in range(1, 200))),
            tmp_path / "missing.json",
        ]
        target.take(*files)
        assert target.steps.done == total_size(files) > 0
        assert len(target.steps.labels) > 3


class TestTenancy:
    def test_the_same_archive_lives_in_two_organisations(self, target: Target) -> None:
        other = Target(target.org.world.create_org(), target.directory)
        target.take_issues(issue(1))
        report = other.take_issues(issue(1))
        assert report.total("issues") == 1
        assert target.issues()[0]["id"] != other.issues()[0]["id"]
        assert len(target.issues()) == len(other.issues()) == 1


class TestStatistics:
    def test_are_fresh_after_an_import(self, target: Target) -> None:
        target.take_issues(issue(1))
        url = target.org.world.runtime.settings.owner_database_url
        assert url is not None
        refresh_statistics(url.get_secret_value())
        [row] = target.rows("SELECT reltuples FROM pg_class WHERE relname = 'issues'")
        assert row["reltuples"] >= 1


class TestEvents:
    def test_there_is_one_for_everything_that_was_made(self, target: Target) -> None:
        target.take_issues(issue(1, (comment(), comment(LONG[:3000]))))
        rows = target.rows("SELECT action, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
        assert {row["action"]: row["n"] for row in rows if "import" in row["action"]} == {
            "comment.imported": 3,
            "issue.imported": 1,
            "member.imported": 3,
            "project.imported": 1,
        }

    def test_are_numbered_without_gaps(self, target: Target) -> None:
        target.take_issues(issue(1, (comment(),)))
        with target.org.world.runtime.db.transaction() as session:
            session.execute(text("SELECT number_events()"))
        numbers = [row["number"] for row in target.rows("SELECT number FROM events ORDER BY 1")]
        assert numbers == list(range(1, len(numbers) + 1))


def _wait_for_a_waiting_lock(session: Session) -> None:
    """Until another transaction waits for this one."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    deadline = time.monotonic() + 10
    while not session.scalar(waiting):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)

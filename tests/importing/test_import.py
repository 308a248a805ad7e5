"""Whole imports into a real database, looked at through tables and API."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bugtracker.importing import writing
from tests.importing.archive import comment, issue, write
from tests.importing.conftest import Target, Walk

LONG = "".join(f"Sentence number {n} of a long story.\n\n" for n in range(300))


class TestProject:
    def test_carries_the_repositorys_name_and_numbers(self, target: Target) -> None:
        report = target.take_issues(issue(3), pulls=[{"number": 8}])
        [project] = target.rows("SELECT * FROM projects")
        assert (project["name"], project["description"]) == ("tide-tables", "acme/tide-tables")
        assert (project["key"], project["last_issue_number"]) == ("TT", 8)
        assert (report.files[0].project, report.files[0].key) == ("tide-tables", "TT")
        assert report.files[0].pulls_skipped == 1

    def test_belongs_to_the_first_owner(self, target: Target) -> None:
        admin, owner = target.org.admin, target.org.owner
        target.take_issues(issue(1))
        [project] = target.rows("SELECT * FROM projects")
        assert project["created_by_id"] == owner.id != admin.id

    def test_belongs_to_an_admin_where_there_is_no_owner(self, target: Target) -> None:
        admin = target.org.admin
        target.take_issues(issue(1))
        assert target.rows("SELECT * FROM projects")[0]["created_by_id"] == admin.id

    def test_next_issue_gets_a_number_nobody_has_used(self, target: Target) -> None:
        target.take_issues(issue(3), pulls=[{"number": 8}])
        [project] = target.org.manager.get("/api/projects").json()["items"]
        created = target.org.manager.create_issue(project)
        assert created["key"] == "TT-9"

    def test_of_the_same_name_is_not_written_into(self, target: Target) -> None:
        target.org.manager.create_project(name="Tide-Tables")
        before = target.counts()
        report = target.take_issues(issue(1))
        assert report.exit_code == 1
        assert "was not made by an import" in str(next(report.problems()))
        assert target.counts() == before

    def test_of_another_owner_with_the_same_name_is_refused(
        self, target: Target, tmp_path: Path
    ) -> None:
        target.take_issues(issue(1))
        report = target.take(write(tmp_path / "fork.json", issue(1), repo="fork/tide-tables"))
        assert "was imported from acme/tide-tables" in str(next(report.problems()))

    def test_renamed_meanwhile_is_found_again(self, target: Target) -> None:
        target.take_issues(issue(1))
        [project] = target.org.manager.get("/api/projects").json()["items"]
        target.org.manager.patch(f"/api/projects/{project['id']}", {"name": "Tables"})
        report = target.take_issues(issue(1), issue(2))
        assert (report.total("issues"), report.total("unchanged")) == (1, 1)
        assert len(target.rows("SELECT * FROM projects")) == 1

    def test_archived_meanwhile_is_not_written_into(self, target: Target) -> None:
        target.take_issues(issue(1))
        [project] = target.org.admin.get("/api/projects").json()["items"]
        target.org.admin.delete(f"/api/projects/{project['id']}")
        report = target.take_issues(issue(1), issue(2))
        assert "archived" in str(next(report.problems()))
        assert report.exit_code == 1


class TestIssues:
    def test_keep_what_they_had(self, target: Target) -> None:
        target.take_issues(
            issue(
                7, title="Ebb", body="Low **water**.", assignees=["bob", "carol"], labels=["bug"]
            ),
            issue(8, state="OPEN", closedAt=None),
        )
        seen = target.org.auditor.get("/api/issues/TT-7").json()
        assert (seen["title"], seen["description"]) == ("Ebb", "Low **water**.")
        assert (seen["status"], seen["priority"]) == ("closed", "medium")
        assert seen["created_at"].startswith("2020-01-01T10:00:00")
        assert seen["updated_at"].startswith("2020-01-03T10:00:00")
        people = {row["user_id"]: row["imported_username"] for row in target.people()}
        assert [people[row["reporter_id"]] for row in target.issues()] == ["alice", "alice"]
        assert people[target.issues()[0]["assignee_id"]] == "bob"
        assert target.org.auditor.get("/api/issues/TT-8").json()["status"] == "open"

    def test_history_keeps_what_has_no_column(self, target: Target) -> None:
        target.take_issues(issue(7, assignees=["bob", "carol"], labels=["bug", "tide"]))
        [entry] = target.org.member.get("/api/issues/TT-7/history").json()["items"]
        told = {change["field"]: change["new"] for change in entry["changes"]}
        assert entry["action"] == "issue.imported"
        assert told["assignees"] == ["bob", "carol"]
        assert told["labels"] == ["bug", "tide"]
        assert told["closed_at"] == "2020-01-03T09:00:00Z"
        assert told["author_association"] == "NONE"
        assert told["url"] == "https://example.org/7"

    def test_are_walked_to_the_end_once_each(self, target: Target, walk: Walk) -> None:
        target.take_issues(*(issue(number) for number in range(1, 131)))
        [project] = target.org.developer.get("/api/projects").json()["items"]
        path = f"/api/projects/{project['id']}/issues?status=closed&sort=-created_at&limit=50"
        keys = [item["key"] for item in walk(path)]
        assert sorted(keys) == sorted(f"TT-{number}" for number in range(1, 131))

    def test_are_searched_with_their_comments(self, target: Target) -> None:
        target.take_issues(issue(1, (comment("about moonraking"),)), issue(2, body="nothing"))
        [project] = target.org.developer.get("/api/projects").json()["items"]
        path = f"/api/projects/{project['id']}/issues?search=moonraking"
        assert [item["key"] for item in target.org.developer.get(path).json()["items"]] == ["TT-1"]

    def test_have_one_document_with_all_comments_in_order(self, target: Target) -> None:
        said = (comment("ebb", 2), comment("flood", 1))
        target.take_issues(issue(1, said, title="Tides", body="Slack water"), issue(2))
        target.take_issues(issue(1, (*said, comment("neap", 3)), title="Tides", body="Slack water"))
        rows = target.rows(
            "SELECT array_to_string(ARRAY(SELECT unnest(tsvector_to_array(document))), ' ') words,"
            " document::text AS document FROM issue_documents ORDER BY issue_id"
        )
        [first] = [row["document"] for row in rows if "neap" in row["document"]]
        assert len(rows) == 2
        for entry in ("'tide':1A", "'slack':2B", "'water':3B", "'flood':4", "'ebb':5", "'neap':6"):
            assert entry in first

    def test_are_searched_by_the_new_words_of_an_edited_comment(self, target: Target) -> None:
        target.take_issues(issue(1))
        member = target.org.member
        [found] = member.get(f"/api/projects/{target.project_id()}/issues").json()["items"]
        made = member.create_comment(found, "about moonraking")
        member.patch(f"/api/comments/{made['id']}", {"content": "about stargazing"})
        for word, keys in (("moonraking", []), ("stargazing", ["TT-1"])):
            path = f"/api/projects/{target.project_id()}/issues?search={word}"
            assert [item["key"] for item in member.get(path).json()["items"]] == keys

    def test_with_more_words_than_a_search_document_holds_are_kept(self, target: Target) -> None:
        def babble(stage: int, n: int) -> str:
            return " ".join(f"w{stage}x{n}x{word}" for word in range(180))

        comments: list[Any] = []
        for stage in range(4):
            comments += [comment(babble(stage, n), stage * 300 + n) for n in range(300)]
            assert target.take_issues(issue(1, tuple(comments))).exit_code == 0
        assert len(target.contents()) == 1200
        path = f"/api/projects/{target.project_id()}/issues?search="
        assert len(target.org.member.get(f"{path}w0x0x0").json()["items"]) == 1
        assert target.org.member.get(f"{path}w3x0x0").json()["items"] == []

    def test_with_too_long_a_title_keep_it_in_the_description(self, target: Target) -> None:
        title = "wave " * 50
        report = target.take_issues(issue(1, title=title))
        [found] = target.issues()
        assert found["title"] == title[:199] + "…"
        assert found["description"] == f"{title.strip()}\n\nIt fails."
        assert report.exit_code == 0

    def test_are_sanitised(self, target: Target) -> None:
        body = "Hello `<script>`\n\n<script>alert(1)</script>"
        target.take_issues(issue(1, (comment(body),), body=body))
        assert target.issues()[0]["description"] == "Hello `<script>`\n\n"
        assert target.contents() == ["Hello `<script>`\n\n"]


class TestComments:
    def test_keep_author_and_dates(self, target: Target) -> None:
        later: dict[str, Any] = {"updatedAt": "2021-01-01T00:00:00Z"}
        target.take_issues(issue(1, (comment("Hi", second=61, author="Carol", **later),)))
        [seen] = target.org.auditor.get("/api/issues/TT-1/comments").json()["items"]
        people = {str(row["user_id"]): row["imported_username"] for row in target.people()}
        assert (people[seen["author_id"]], seen["content"]) == ("Carol", "Hi")
        assert seen["created_at"].startswith("2020-01-02T00:01:01")
        assert seen["updated_at"].startswith("2021-01-01T00:00:00")

    def test_without_text_say_so(self, target: Target) -> None:
        bodies = ("", " \n", None, "<script>x</script>")
        target.take_issues(issue(1, tuple(comment(body, n) for n, body in enumerate(bodies))))
        assert target.contents() == ["*(empty)*"] * 4

    def test_continue_what_is_too_long(self, target: Target) -> None:
        same: dict[str, Any] = {"createdAt": "2020-01-01T10:00:00Z"}
        report = target.take_issues(
            issue(1, (comment("A" + LONG[:4500], **same), comment("B", **same)), body=LONG)
        )
        [found] = target.issues()
        contents = [text.removeprefix("*(continued)*\n\n") for text in target.contents()]
        cut = next(n for n, content in enumerate(contents) if content.startswith("A"))
        assert found["description"] + "".join(contents[:cut]) == LONG
        assert "".join(contents[cut:-1]) == "A" + LONG[:4500]
        assert contents[-1] == "B"
        assert (report.total("comments"), report.total("continuations")) == (2, len(contents) - 2)
        assert max(map(len, target.contents())) <= 2000
        assert len(found["description"]) <= 5000

    def test_of_one_second_stay_in_order(self, target: Target) -> None:
        said = [f"remark {n}" for n in range(40)]
        target.take_issues(issue(1, tuple(comment(body, 5) for body in said)))
        assert target.contents() == said


class TestWork:
    def test_grows_with_what_is_imported_and_not_with_what_is_there(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Triggers and foreign keys keep the plans of their first statement, made when the tables
        were small. Each of a hundred that read a table as it has become would show here."""
        monkeypatch.setattr(writing, "ROWS_AT_ONCE", 10)
        read: dict[str, int] = {}
        wait = writing.Writer.wait

        def counting(writer: writing.Writer) -> None:
            wait(writer)
            rows = writer._session.execute(
                text("SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables")
            )
            read.update((name, number) for name, number in rows)

        monkeypatch.setattr(writing.Writer, "wait", counting)
        count = 500
        target.take_issues(*(issue(n, (comment(f"remark {n}"),)) for n in range(1, count + 1)))
        tables = ("issues", "comments", "issue_documents", "comment_documents", "members")
        assert {name: read[name] for name in tables if read[name] > 6 * count} == {}


class TestPeople:
    def test_are_members_without_account_one_per_login(self, target: Target) -> None:
        report = target.take_issues(
            issue(1, (comment(author="ALICE"), comment(author=None)), assignees=["Bob"])
        )
        people = {row["imported_username"]: row for row in target.people()}
        assert set(people) == {"alice", "Bob", "ghost", "(import)"}
        assert all(row["account_id"] is None for row in people.values())
        assert report.people == 3

    def test_who_were_assigned_are_developers(self, target: Target, tmp_path: Path) -> None:
        target.take_issues(issue(1, assignees=["bob", "carol"]))
        roles = {row["imported_username"]: row["role"] for row in target.people()}
        assert (roles["bob"], roles["alice"]) == (3, 4)
        target.take(write(tmp_path / "b.json", issue(1, assignees=["alice"]), repo="acme/other"))
        people = {row["imported_username"]: row for row in target.people()}
        assert (people["alice"]["role"], people["alice"]["version"]) == (3, 2)
        [event] = target.rows("SELECT * FROM events WHERE action = 'member.role_changed'")
        assert event["resource_id"] == people["alice"]["user_id"]
        assert event["changes"] == {"role": ["member", "developer"]}

    def test_who_is_assigned_later_in_the_archive_is_a_developer_at_once(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Each issue is written before the next is looked at.
        monkeypatch.setattr(writing, "ROWS_AT_ONCE", 1)
        target.take_issues(issue(1), issue(2), issue(3, assignees=["Alice", "bob"]))
        people = {row["imported_username"]: row for row in target.people()}
        assert (people["alice"]["role"], people["alice"]["version"]) == (3, 1)
        imported = target.rows("SELECT * FROM events WHERE action LIKE 'member.%'")
        assert {event["action"] for event in imported} == {"member.imported"}
        assert {event["changes"]["role"][1] for event in imported} == {"member", "developer"}

    def test_of_two_archives_count_once(self, target: Target, tmp_path: Path) -> None:
        files = [
            write(tmp_path / f"{repo}.json", issue(1), repo=f"acme/{repo}") for repo in ("a1", "b2")
        ]
        assert target.take(*files, dry_run=True).people == 1
        assert target.take(*files).people == 1

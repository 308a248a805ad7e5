"""What a file may look like, and how a broken one is reported."""

import json
from pathlib import Path
from typing import Any

import pytest

from bugtracker.importing.fields import Refused
from bugtracker.importing.reading import Archive, read_archive
from bugtracker.importing.report import FileReport
from tests.importing.archive import comment, issue, write


def read(path: Path) -> tuple[Archive, FileReport]:
    report = FileReport(path)
    return read_archive(path, report), report


class TestBrokenFiles:
    @pytest.mark.parametrize(
        ("content", "place", "message"),
        [
            (b"", "line 1 column 1", "is not JSON"),
            (b'{"repo": "a/b",\n "issues": [{"num', "line 2 column 14", "is not JSON"),
            (b"[]", "the file", "must be an object, is \\[\\]"),
            (b"[" * 100_000, "the file", "nested too deeply"),
            (b'{"issues": []}', "repo", "is missing"),
            (b'{"repo": 5, "issues": []}', "repo", "must be a string, is 5"),
            (b'{"repo": "nobody", "issues": []}', "repo", "owner/name"),
            (b'{"repo": "a/' + b"b" * 101 + b'", "issues": []}', "repo", "at most 100"),
            (b'{"repo": "a/b"}', "issues", "is missing"),
            (b'{"repo": "a/b", "issues": {}}', "issues", "must be a list, is {}"),
        ],
    )
    def test_are_refused_with_the_place(
        self, tmp_path: Path, content: bytes, place: str, message: str
    ) -> None:
        path = tmp_path / "broken.json"
        path.write_bytes(content)
        with pytest.raises(Refused, match=message) as caught:
            read(path)
        assert caught.value.place == place

    def test_missing_files_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="cannot be read: No such file"):
            read(tmp_path / "missing.json")

    def test_invalid_utf8_is_replaced_and_noted(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.json"
        path.write_bytes(json.dumps({"repo": "a/b", "issues": [issue(body="X")]}).encode())
        path.write_bytes(path.read_bytes().replace(b'"X"', b'"\xe4"'))
        archive, report = read(path)
        assert archive.issues[0].body == "\ufffd"
        assert [problem.refused for problem in report.problems] == [False]


class TestBrokenRecords:
    @pytest.mark.parametrize(
        ("fields", "place"),
        [
            ({"number": None}, "issues[1].number"),
            ({"number": True}, "issues[1].number"),
            ({"number": 0}, "issues[1].number"),
            ({"number": 2**31}, "issues[1].number"),
            ({"number": 1}, "issues[1].number"),
            ({"title": 7}, "issues[1].title"),
            ({"title": " \n"}, "issues[1].title"),
            ({"body": []}, "issues[1].body"),
            ({"state": "MERGED"}, "issues[1].state"),
            ({"author": {"login": "x"}}, "issues[1].author"),
            ({"author": "x" * 101}, "issues[1].author"),
            ({"assignees": "bob"}, "issues[1].assignees"),
            ({"assignees": [None]}, "issues[1].assignees[0]"),
            ({"labels": [{"name": "bug"}]}, "issues[1].labels[0]"),
            ({"createdAt": "yesterday"}, "issues[1].createdAt"),
            ({"createdAt": "2020-01-01"}, "issues[1].createdAt"),
            ({"createdAt": "2020-01-01T10:00:00"}, "issues[1].createdAt"),
            ({"createdAt": "2020-02-30T10:00:00Z"}, "issues[1].createdAt"),
            ({"createdAt": "1969-12-31T23:59:59Z"}, "issues[1].createdAt"),
            ({"updatedAt": 1577836800}, "issues[1].updatedAt"),
            ({"closedAt": ""}, "issues[1].closedAt"),
            ({"comments": {}}, "issues[1].comments"),
        ],
    )
    def test_of_issues_are_left_out(
        self, tmp_path: Path, fields: dict[str, Any], place: str
    ) -> None:
        broken = {**issue(2), **fields}
        archive, report = read(write(tmp_path / "a.json", issue(1), broken, issue(3)))
        assert [found.number for found in archive.issues] == [1, 3]
        assert [(problem.place, problem.refused) for problem in report.problems] == [(place, True)]
        assert report.refused == 1

    def test_an_issue_takes_its_comments_with_it(self, tmp_path: Path) -> None:
        broken = issue(None, (comment(), comment()))
        assert read(write(tmp_path / "a.json", broken, issue(1)))[1].refused == 3

    @pytest.mark.parametrize("broken", [None, 5, comment(createdAt="?"), comment(body=5)])
    def test_of_comments_leave_their_issue_alone(self, tmp_path: Path, broken: Any) -> None:
        whole = issue(1, (comment("first"), broken, comment("last")))
        archive, report = read(write(tmp_path / "a.json", whole))
        assert [found.body for found in archive.issues[0].comments] == ["first", "last"]
        assert report.problems[0].place.startswith("issues[0].comments[1]")
        assert report.refused == 1


class TestOddButGood:
    def test_numbers_and_characters_that_only_patience_reads(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        write(path, issue(1, body="BODY"))
        path.write_text(
            path.read_text().replace('"BODY"', '"\\ud800", "weight": NaN, "size": 1e999')
        )
        [found] = read(path)[0].issues
        assert found.body == "\ufffd"

    def test_missing_people_are_ghosts(self, tmp_path: Path) -> None:
        without = issue(1, (comment(author=None),), author="")
        [found] = read(write(tmp_path / "a.json", without))[0].issues
        assert (found.author, found.comments[0].author) == ("ghost", "ghost")

    def test_dates_of_other_zones_become_utc(self, tmp_path: Path) -> None:
        fields = {"createdAt": "2020-01-01T10:00:00.25+02:00", "updatedAt": None}
        [found] = read(write(tmp_path / "a.json", issue(1, **fields)))[0].issues
        assert found.created_at.isoformat() == "2020-01-01T08:00:00.250000+00:00"
        assert found.updated_at == found.created_at

    def test_what_cannot_be_stored_is_replaced_and_noted(self, tmp_path: Path) -> None:
        odd = issue(1, title="a\0b\nc", body="\ud800 and \0")
        archive, report = read(write(tmp_path / "a.json", odd))
        assert (archive.issues[0].title, archive.issues[0].body) == (
            "a\ufffdb c", "\ufffd and \ufffd",
        )  # fmt: skip
        places = [problem.place for problem in report.problems]
        assert places == ["issues[0].title", "issues[0].body"]
        assert report.refused == 0

    def test_pull_requests_are_counted_and_reserve_their_numbers(self, tmp_path: Path) -> None:
        pulls = [{"number": 9}, {"number": "x"}, None]
        archive, report = read(write(tmp_path / "a.json", issue(4), pulls=pulls))
        assert archive.highest_number == 9
        assert report.pulls_skipped == 3

    def test_unreadable_pull_requests_do_not_keep_the_issues_out(self, tmp_path: Path) -> None:
        archive, report = read(write(tmp_path / "a.json", issue(4), pulls="many"))
        assert len(archive.issues) == 1
        assert report.problems[0].place == "pulls"

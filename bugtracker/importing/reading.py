"""Archives of GitHub repositories as github-archive (IETF I-D tools) writes them, read and checked.

An archive is ``{"repo": "owner/name", "issues": [...], "pulls": [...]}``. A broken file raises
:class:`Refused`; a broken record is reported at its place and left out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from bugtracker.importing.fields import Record, Refused
from bugtracker.importing.report import FileReport
from bugtracker.markdown import sanitise
from bugtracker.models.issue import Status

GHOST = "ghost"
"""GitHub's own name for people whose account is gone."""

LONGEST_LOGIN = 100
LONGEST_NAME = 100
_STATES: dict[str, Status] = {"OPEN": "open", "CLOSED": "closed"}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it stands in the file, its Markdown made harmless."""

    place: str
    author: str
    association: str
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as it stands in the file; the title is on one line, the Markdown harmless."""

    place: str
    number: int
    title: str
    body: str
    status: Status
    author: str
    association: str
    assignees: list[str]
    labels: list[str]
    url: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    comments: list[Comment]


@dataclass(frozen=True, slots=True)
class Archive:
    """One repository. ``highest_number`` counts pull requests too, which share the numbers."""

    repository: str
    highest_number: int
    issues: list[Issue]

    @property
    def name(self) -> str:
        """The repository's name, without its owner."""
        return self.repository.partition("/")[2]


def read_archive(path: Path, report: FileReport) -> Archive:
    """The archive in a file; what had to be left out is in the report. Raises Refused."""
    root = Record(_parse(path, report), "", report.note)
    repository = _repository(root)
    pulls = _lenient(root, "pulls", report)
    report.pulls_skipped = len(pulls)
    issues = list(_issues(root, report))
    numbers = [number for pull in pulls if (number := _number_of(pull))]
    highest = max([*numbers, *(issue.number for issue in issues)], default=0)
    return Archive(repository, highest, issues)


def _parse(path: Path, report: FileReport) -> Any:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refused("the file", f"cannot be read: {error.strerror}") from error
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        # What it refuses may still be read, with more patience; or its place is told better.
        return _parse_patiently(raw, report)


def _parse_patiently(raw: bytes, report: FileReport) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report.note(f"byte {error.start}", "invalid UTF-8 replaced by U+FFFD")
        text = raw.decode("utf-8-sig", "replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise Refused(place, f"is not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise Refused("the file", "is nested too deeply or has too long a number") from error


def _repository(root: Record) -> str:
    repository = root.text("repo")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        raise Refused("repo", 'must be "owner/name"')
    if len(repository.partition("/")[2]) > LONGEST_NAME:
        raise Refused("repo", f"must have a name of at most {LONGEST_NAME} characters")
    return repository


def _lenient(root: Record, name: str, report: FileReport) -> list[Any]:
    try:
        return root.items(name)
    except Refused as refusal:
        report.refuse(refusal)
        return []


def _number_of(pull: object) -> int:
    """The number of a pull request, 0 where it has none: they are only counted."""
    try:
        return Record(pull, "", lambda _place, _message: None).number("number")
    except Refused:
        return 0


def _issues(root: Record, report: FileReport) -> Iterator[Issue]:
    if root.value.get("issues") is None:
        raise Refused("issues", "is missing")
    seen: set[int] = set()
    for index, item in enumerate(root.items("issues")):
        try:
            issue = _issue(Record(item, f"issues[{index}]", report.note), seen, report)
        except Refused as refusal:
            report.refuse(refusal, records=1 + _comments_in(item))
        else:
            seen.add(issue.number)
            yield issue


def _comments_in(item: object) -> int:
    """How many comments go with an issue that is refused."""
    comments = item.get("comments") if isinstance(item, dict) else None
    return len(comments) if isinstance(comments, list) else 0


def _issue(record: Record, seen: set[int], report: FileReport) -> Issue:
    number = record.number("number")
    if number in seen:
        raise Refused(record.at("number"), f"is {number} like that of an issue before")
    created_at = record.moment("createdAt")
    closed = record.value.get("closedAt") is not None
    return Issue(
        place=record.place,
        number=number,
        title=_title(record),
        body=sanitise(record.text_or("body", "")),
        status=_status(record),
        author=_login(record),
        association=record.text_or("authorAssociation", ""),
        assignees=[_checked_login(name, record.at("assignees")) for name in _assignees(record)],
        labels=record.texts("labels"),
        url=record.text_or("url", ""),
        created_at=created_at,
        updated_at=record.moment_or("updatedAt", created_at),
        closed_at=record.moment("closedAt") if closed else None,
        comments=list(_comments(record, report)),
    )


def _comments(issue: Record, report: FileReport) -> Iterator[Comment]:
    place = issue.at("comments")
    for index, item in enumerate(issue.items("comments")):
        try:
            yield _comment(Record(item, f"{place}[{index}]", report.note))
        except Refused as refusal:
            report.refuse(refusal)


def _comment(record: Record) -> Comment:
    created_at = record.moment("createdAt")
    return Comment(
        place=record.place,
        author=_login(record),
        association=record.text_or("authorAssociation", ""),
        body=sanitise(record.text_or("body", "")),
        created_at=created_at,
        updated_at=record.moment_or("updatedAt", created_at),
    )


def _title(record: Record) -> str:
    title = _CONTROLS.sub(" ", record.text("title")).strip()
    if not title:
        raise Refused(record.at("title"), "is blank")
    return title


def _status(record: Record) -> Status:
    state = record.text("state").upper()
    if state not in _STATES:
        raise Refused(record.at("state"), f"must be OPEN or CLOSED, is {state[:20]!r}")
    return _STATES[state]


def _assignees(record: Record) -> list[str]:
    return list(dict.fromkeys(name for name in record.texts("assignees") if name.strip()))


def _login(record: Record) -> str:
    return _checked_login(record.text_or("author", GHOST), record.at("author"))


def _checked_login(login: str, place: str) -> str:
    if not login.isprintable():
        login = _CONTROLS.sub("", login)
    login = login.strip() or GHOST
    if len(login) > LONGEST_LOGIN:
        raise Refused(place, f"has more than {LONGEST_LOGIN} characters")
    return login

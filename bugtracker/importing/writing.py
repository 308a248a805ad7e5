"""Writes the issues and comments of an archive that are not there yet."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select
from sqlalchemy.orm import Session

from bugtracker import models
from bugtracker.ids import new_id
from bugtracker.importing.behind import Behind
from bugtracker.importing.bulk import Bulk, Row, Statement, insertion
from bugtracker.importing.documents import Documents, Parameters, with_documents
from bugtracker.importing.fields import Refused
from bugtracker.importing.identity import imported_id, origin, origin_of
from bugtracker.importing.people import People
from bugtracker.importing.reading import Comment, Issue
from bugtracker.importing.report import FileReport
from bugtracker.importing.rows import changes, timestamp
from bugtracker.importing.splitting import split
from bugtracker.markdown import sanitise

LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 5000
LONGEST_COMMENT = 2000
EMPTY_COMMENT = "*(empty)*"
ROWS_AT_ONCE = 200
"""Of issues and comments. Nothing is written until the documents of the first batch are made, and
each statement costs some milliseconds."""


class Writer:
    """Collects rows and writes them some hundred at a time, into one project, while it collects
    the next. The session is its own until :meth:`wait` returns.

    What an earlier import wrote is found by the origin in its id and left alone.
    """

    def __init__(
        self,
        session: Session,
        project: tuple[UUID, UUID],
        people: People,
        report: FileReport,
        now: datetime,
        behind: Behind,
        documents: Documents,
    ) -> None:
        self._session, self._people, self._report, self._now = session, people, report, now
        self._behind, self._documents = behind, documents
        self._org_id, self._project_id = project
        self._project = str(self._project_id)
        self._issues: list[Row] = []
        self._comments: list[Row] = []
        self._events: list[Row] = []
        self._numbers = self._known_numbers()
        self._origins = self._known_origins()

    def foresee(self, issues: Iterable[Issue]) -> None:
        """Tells of all that will be added, so that people are written once, as what they end as."""
        fresh = (issue for issue in issues if issue.number not in self._numbers)
        self._people.foresee(issue.assignees[0] for issue in fresh if issue.assignees)

    def add(self, issue: Issue) -> None:
        """Takes in an issue and its comments, or what of them is new."""
        known = self._numbers.get(issue.number)
        if known and origin_of(known) != self._origin("issue", issue.number):
            reason = f"{issue.number} was given to another issue here"
            refusal = Refused(f"{issue.place}.number", reason)
            self._report.refuse(refusal, records=1 + len(issue.comments))
            return
        places: Counter[datetime] = Counter()
        issue_id = known or self._add_issue(issue, places)
        self._report.unchanged += bool(known)
        self._add_comments(issue, issue_id, places)
        if len(self._issues) + len(self._comments) >= ROWS_AT_ONCE:
            self._flush()

    def end(self) -> None:
        """Has what is left written."""
        self._flush()

    def wait(self) -> None:
        """Returns when all is written."""
        self._behind.wait()

    def _flush(self) -> None:
        """Has what was collected written, after what was collected before."""
        logins, write_people = self._people.changes()
        self._report.people |= logins
        statement = insertion(self._session, self._bulks())
        documents = self._documents.begin(statement[1]) if statement else None
        self._issues, self._comments, self._events = [], [], []
        self._behind.run(lambda: self._write(write_people, statement, documents))

    def _write(
        self,
        write_people: Callable[[], None],
        statement: Statement | None,
        documents: Future[Parameters] | None,
    ) -> None:
        write_people()
        if statement and documents:
            insert, values = statement
            self._session.execute(with_documents(insert), values | documents.result())
        elif statement:
            self._session.execute(*statement)

    def _bulks(self) -> list[Bulk]:
        """What was collected. What all rows have in common is sent once."""
        here = {"org_id": self._org_id, "version": 1}
        issue = {**here, "project_id": self._project_id, "priority": "medium"}
        event = {
            "org_id": self._org_id,
            "project_id": self._project_id,
            "resource_version": 1,
            "created_at": self._now,
        }
        return [
            Bulk(models.Comment, self._comments, here),
            Bulk(models.Issue, self._issues, issue),
            Bulk(models.Event, self._events, event),
        ]

    def _known_numbers(self) -> dict[int, UUID]:
        statement = select(models.Issue.number, models.Issue.id).where(
            models.Issue.org_id == self._org_id, models.Issue.project_id == self._project_id
        )
        return dict(self._session.execute(statement).all())

    def _known_origins(self) -> set[int]:
        """Origins of the project's comments. No join: right after an import the planner, who
        knows nothing of the new rows yet, would pick the slowest one."""
        if not self._numbers:
            return set()
        issue_ids = bindparam("issue_ids", list(self._numbers.values()), ARRAY(Uuid))
        statement = select(models.Comment.id).where(
            models.Comment.org_id == self._org_id, models.Comment.issue_id == any_(issue_ids)
        )
        return set(map(origin_of, self._session.scalars(statement)))

    def _origin(self, *words: object) -> int:
        return origin(self._project, *words)

    def _add_issue(self, issue: Issue, places: Counter[datetime]) -> UUID:
        issue_id = imported_id(issue.created_at, 0, self._origin("issue", issue.number))
        title, text = _title_and_text(issue, self._report)
        description, *rest = self._parts(issue, text, LONGEST_DESCRIPTION)
        self._issues.append(self._issue_row(issue, issue_id, title, description))
        self._add_issue_event(issue, issue_id)
        self._report.issues += 1
        for number, part in enumerate(rest, 1):
            part_origin = self._origin("description", issue.number, number)
            extra = {"continues": str(issue_id)}
            self._add_comment(issue, issue_id, part, part_origin, places, extra)
        self._report.continuations += len(rest)
        return issue_id

    def _add_comments(self, issue: Issue, issue_id: UUID, places: Counter[datetime]) -> None:
        for comment, comment_origin in self._identified(issue):
            if comment_origin in self._origins:
                self._report.unchanged += 1
                places[comment.created_at] += 1
            else:
                self._add_with_rest(comment, issue_id, comment_origin, places)

    def _parts(self, source: Issue | Comment, text: str, longest: int) -> list[str]:
        """A sanitised text in parts that fit: itself, hardly ever more."""
        if len(text) <= longest:
            return [text]
        parts = split(text, longest, LONGEST_COMMENT)
        if any(part.text != part.before + part.body + part.after for part in parts):
            place = f"{source.place}.body"
            self._report.note(place, "HTML was escaped where the text was cut in two")
        return [part.text for part in parts]

    def _identified(self, issue: Issue) -> Iterator[tuple[Comment, int]]:
        """Comments with their origins: archives give them no id, but author and second hardly
        ever repeat, and where they do the order tells them apart."""
        repeats: Counter[tuple[str, datetime]] = Counter()
        for comment in issue.comments:
            key = (comment.author.lower(), comment.created_at)
            yield comment, self._origin("comment", issue.number, *key, repeats[key])
            repeats[key] += 1

    def _add_with_rest(
        self, comment: Comment, issue_id: UUID, head: int, places: Counter[datetime]
    ) -> None:
        text = comment.body if comment.body.strip() else EMPTY_COMMENT
        parts = self._parts(comment, text, LONGEST_COMMENT)
        extra: dict[str, Any] = {"author_association": comment.association}
        for number, part in zip(count(), parts, strict=False):
            part_origin = self._origin(head, number) if number else head
            comment_id = self._add_comment(comment, issue_id, part, part_origin, places, extra)
            if number == 0:
                extra = {"continues": str(comment_id)}
        self._report.comments += 1
        self._report.continuations += len(parts) - 1

    def _add_comment(
        self,
        source: Issue | Comment,
        issue_id: UUID,
        content: str,
        comment_origin: int,
        places: Counter[datetime],
        extra: dict[str, Any],
    ) -> UUID:
        """One row, by the author and with the dates of ``source``."""
        comment_id = imported_id(source.created_at, places[source.created_at], comment_origin)
        places[source.created_at] += 1
        self._comments.append(
            {
                "id": comment_id,
                "issue_id": issue_id,
                "author_id": self._people.person(source.author),
                "content": content,
                "created_at": source.created_at,
                "updated_at": source.updated_at,
            }
        )
        self._add_event("comment", comment_id, issue_id, extra)
        return comment_id

    def _issue_row(self, issue: Issue, issue_id: UUID, title: str, description: str) -> Row:
        assignee_id = self._people.assignee(issue.assignees[0]) if issue.assignees else None
        return {
            "id": issue_id,
            "number": issue.number,
            "title": title,
            "description": description,
            "status": issue.status,
            "reporter_id": self._people.person(issue.author),
            "assignee_id": assignee_id,
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
        }

    def _add_issue_event(self, issue: Issue, issue_id: UUID) -> None:
        """Keeps what an issue has no column for."""
        created = {
            "title": issue.title,
            "status": issue.status,
            "labels": issue.labels,
            "assignees": issue.assignees,
            "url": issue.url,
            "closed_at": timestamp(issue.closed_at),
            "author_association": issue.association,
        }
        self._add_event("issue", issue_id, issue_id, created)

    def _add_event(self, kind: str, id: UUID, issue_id: UUID, created: dict[str, Any]) -> None:
        self._events.append(
            {
                "id": new_id(),
                "action": f"{kind}.imported",
                "resource_type": kind,
                "resource_id": id,
                "issue_id": issue_id,
                "changes": changes(created),
            }
        )


def _title_and_text(issue: Issue, report: FileReport) -> tuple[str, str]:
    """A title that fits, and the text; what is cut off the title stands in full before it."""
    if len(issue.title) <= LONGEST_TITLE:
        return issue.title, issue.body
    report.note(f"{issue.place}.title", "is too long; it is in full at the top of the description")
    return f"{issue.title[: LONGEST_TITLE - 1]}…", sanitise(f"{issue.title}\n\n{issue.body}")

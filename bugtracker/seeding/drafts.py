"""Made-up issues, before they are written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from bugtracker.models.issue import PRIORITIES, Priority, Status
from bugtracker.seeding.organisations import Person
from bugtracker.seeding.texts import Texts

PATHS: tuple[tuple[Status, ...], ...] = (
    ("open",),
    ("open", "in_progress"),
    ("open", "in_progress", "resolved"),
    ("open", "in_progress", "resolved", "closed"),
    ("open", "in_progress", "resolved", "closed", "reopened"),
)
"""Ways through the state machine, one for each last state."""

_PATH_WEIGHTS = (30, 15, 10, 40, 5)
_PRIORITY_WEIGHTS = (20, 50, 22, 8)
AGE = 365
"""Days since the organisation and its oldest issue were made."""

COMMENTS_CYCLE = (2, 0, 3, 1, 4)
"""How many comments issues have, in turn: two on average."""


@dataclass(frozen=True, slots=True)
class CommentDraft:
    """A comment to be written."""

    author: Person
    content: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class IssueDraft:
    """An issue to be written. ``steps`` are its states and when it took them."""

    title: str
    description: str
    priority: Priority
    reporter: Person
    assignee: Person | None
    due_date: date | None
    steps: list[tuple[Status, datetime]]
    comments: list[CommentDraft]


class Drafting:
    """Makes issues as the people of an organisation could have written them."""

    def __init__(
        self, random: Random, people: Sequence[Person], now: datetime, *, offset: int = 0
    ) -> None:
        self._random, self._texts, self._now, self._offset = random, Texts(random), now, offset
        self._writers = [person for person in people if person.role != "auditor"]
        self._assignable = [person for person in self._writers if person.role != "member"]

    def issues(self, titles: Sequence[str | None]) -> Iterator[IssueDraft]:
        """One issue per title (None: a made-up one), the oldest first, over the last year.

        From ``offset`` on, the first twenty take every state with every priority in turn.
        """
        count = len(titles)
        for index, title in enumerate(titles):
            age = timedelta(days=AGE) * (count - index) / count
            yield self._issue(index, title or self._texts.title(), self._now - age)

    def _issue(self, index: int, title: str, created_at: datetime) -> IssueDraft:
        random = self._random
        path, priority = self._fate(index)
        comment_count = COMMENTS_CYCLE[index % len(COMMENTS_CYCLE)]
        if comment_count == 0 and "closed" in path and priority == "critical":
            priority = "high"  # Critical issues are closed with a comment only.
        moments = self._moments(created_at, len(path) - 1 + comment_count)
        works = len(path) > 1 or random.random() < 0.4
        due = created_at.date() + timedelta(days=random.randint(7, 60))
        return IssueDraft(
            title=title,
            description=self._texts.description(title),
            priority=priority,
            reporter=random.choice(self._writers),
            assignee=random.choice(self._assignable) if works else None,
            due_date=due if random.random() < 0.3 else None,
            steps=[("open", created_at), *zip(path[1:], moments[comment_count:], strict=True)],
            comments=[self._comment(moment) for moment in moments[:comment_count]],
        )

    def _fate(self, index: int) -> tuple[tuple[Status, ...], Priority]:
        index += self._offset
        if index < len(PATHS) * len(PRIORITIES):
            return PATHS[index % len(PATHS)], PRIORITIES[index // len(PATHS)]
        [path] = self._random.choices(PATHS, _PATH_WEIGHTS)
        [priority] = self._random.choices(PRIORITIES, _PRIORITY_WEIGHTS)
        return path, priority

    def _moments(self, start: datetime, count: int) -> list[datetime]:
        """Later moments, in order and not in the future."""
        longest = min(self._now - start, timedelta(days=30))
        return sorted(start + longest * self._random.random() for _ in range(count))

    def _comment(self, moment: datetime) -> CommentDraft:
        return CommentDraft(self._random.choice(self._writers), self._texts.comment(), moment)

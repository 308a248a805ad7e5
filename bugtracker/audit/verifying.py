"""Checks an organisation's events against their seals, one batch in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from bugtracker.audit import leaves
from bugtracker.audit.chain import NO_SEAL, is_genuine, split
from bugtracker.audit.sealing import BATCH
from bugtracker.models import Event, EventSeal
from bugtracker.security.secrets import Keyring

Kind = Literal["changed", "removed", "inserted", "seal_changed", "seal_removed", "key_unknown"]

LINKS_AT_ONCE = 20
PROBLEMS_KEPT = 100
UNSEALED_CHECKED = 20_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is not as it was sealed, at this event or from it on."""

    number: int
    kind: Kind


@dataclass
class Report:
    """What was checked, and what was found."""

    sealed_to: int
    seal: bytes | None
    numbered_to: int
    checked_from: int
    checked_to: int = 0
    next_number: int | None = None
    """Where to go on, when this was not all."""
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    """The first of them, in the order of the events."""

    @property
    def ok(self) -> bool:
        """Whether all that was checked is as it was sealed."""
        return self.problem_count == 0

    @property
    def first_problem(self) -> Problem | None:
        """The one that comes first in the record."""
        return min(self.problems, key=lambda problem: problem.number, default=None)

    def add(self, problem: Problem) -> None:
        """One more problem."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)


def verify(
    session: Session,
    keyring: Keyring,
    org_id: UUID,
    *,
    from_number: int = 1,
    most: int | None = None,
) -> Report:
    """Checks the seals of the events from ``from_number`` on, and what is not sealed yet.

    Stops after the batch in which ``most`` events have been checked, and says where to go on.
    """
    report = _begin(session, org_id)
    before = _link_before(session, org_id, from_number)
    report.checked_to = before.to_number if before else 0
    report.checked_from = report.checked_to + 1
    previous = before.seal if before else NO_SEAL
    for link in _links(session, org_id, report.checked_to):
        _check_link(keyring, link, previous, report)
        _check_events(session, link, report)
        report.checked_to, previous = link.to_number, link.seal
        if most is not None and link.to_number - report.checked_from + 1 >= most:
            report.next_number = link.to_number + 1
            break
    if report.next_number is None or report.next_number > report.sealed_to:
        report.next_number = None
        _check_rest(session, org_id, report)
    return report


def is_noted(session: Session, org_id: UUID, number: int, seal: bytes) -> bool:
    """Whether a seal that was written down elsewhere is still the one at this number."""
    found = session.scalar(
        select(EventSeal.seal).where(EventSeal.org_id == org_id, EventSeal.to_number == number)
    )
    return found == seal


def _begin(session: Session, org_id: UUID) -> Report:
    last = session.execute(
        select(EventSeal.to_number, EventSeal.seal)
        .where(EventSeal.org_id == org_id)
        .order_by(EventSeal.to_number.desc())
        .limit(1)
    ).one_or_none()
    numbered = session.scalar(select(func.max(Event.number)).where(Event.org_id == org_id))
    return Report(
        sealed_to=last.to_number if last else 0,
        seal=last.seal if last else None,
        numbered_to=numbered or 0,
        checked_from=1,
    )


def _link_before(session: Session, org_id: UUID, number: int) -> EventSeal | None:
    """The last link that ends before this event."""
    return session.scalar(
        select(EventSeal)
        .where(EventSeal.org_id == org_id, EventSeal.to_number < number)
        .order_by(EventSeal.to_number.desc())
        .limit(1)
    )


def _links(session: Session, org_id: UUID, after: int) -> Iterator[EventSeal]:
    while True:
        found = session.scalars(
            select(EventSeal)
            .where(EventSeal.org_id == org_id, EventSeal.to_number > after)
            .order_by(EventSeal.to_number)
            .limit(LINKS_AT_ONCE)
        ).all()
        if not found:
            return
        yield from found
        after = found[-1].to_number
        session.expunge_all()


def _check_link(keyring: Keyring, link: EventSeal, previous: bytes, report: Report) -> None:
    """The link itself, and that it follows the one before."""
    expected = report.checked_to + 1
    if link.previous != previous:
        report.add(Problem(min(expected, link.from_number), "seal_removed"))
    elif link.from_number != expected:
        # They were gone already when this link was made.
        report.add(Problem(min(expected, link.from_number), "removed"))
    if link.key_id != keyring.seal_key_id:
        report.add(Problem(link.from_number, "key_unknown"))
    elif not is_genuine(keyring, link):
        report.add(Problem(link.from_number, "seal_changed"))


def _check_events(session: Session, link: EventSeal, report: Report) -> None:
    """Each event of a link against its leaf, by number."""
    found = _events_by_number(session, link)
    for place, leaf in enumerate(split(link.leaves)):
        number = link.from_number + place
        rows = found.get(number, [])
        if not rows:
            report.add(Problem(number, "removed"))
        elif not any(_is_intact(row, leaf) for row in rows):
            report.add(Problem(number, "changed"))
        elif len(rows) > 1:
            report.add(Problem(number, "inserted"))


def _events_by_number(session: Session, link: EventSeal) -> dict[int, list[Any]]:
    statement = leaves.rows().where(
        Event.org_id == link.org_id, Event.number.between(link.from_number, link.to_number)
    )
    found: dict[int, list[Any]] = {}
    # A link whose numbers were tampered with may claim any range.
    for row in session.execute(statement.order_by(Event.number).limit(2 * BATCH)):
        found.setdefault(row.number, []).append(row)
    return found


def _is_intact(row: Any, expected: bytes) -> bool:
    commitment = leaves.commitment_of(row)
    if leaves.leaf(row, commitment) != expected:
        return False
    return commitment is None or commitment.holds(row.changes)


def _check_rest(session: Session, org_id: UUID, report: Report) -> None:
    """What no seal covers: nothing below the first number, no gap behind the last seal."""
    for number in _numbers(session, org_id, Event.number < 1):
        report.add(Problem(number, "inserted"))
    unsealed = _numbers(session, org_id, Event.number > report.checked_to)
    for expected, number in enumerate(unsealed, report.checked_to + 1):
        if number != expected:
            report.add(Problem(expected, "removed"))
            return


def _numbers(session: Session, org_id: UUID, condition: ColumnElement[bool]) -> Sequence[int]:
    """As many as a worker leaves behind in a bad hour; more are a matter for the next seal."""
    statement = select(Event.number).where(Event.org_id == org_id, condition)
    numbers = session.scalars(statement.order_by(Event.number).limit(UNSEALED_CHECKED)).all()
    return [number for number in numbers if number is not None]

"""The people of an archive: members without account, who cannot log in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, case, func, literal, select, update
from sqlalchemy.orm import Session

from bugtracker.ids import new_id
from bugtracker.importing.bulk import Bulk, Row, insert_bulks, insert_rows
from bugtracker.importing.rows import event_row
from bugtracker.models import Event, Member
from bugtracker.models.organisation import Role
from bugtracker.security.secrets import Keyring

SOURCE = "github"
IMPORTER = "(import)"
"""Creator of projects where the organisation has neither owner nor admin; no possible login."""


@dataclass(slots=True)
class _Person:
    user_id: UUID
    username: str
    role: Role
    is_new: bool


_FOLD = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


class People:
    """Imported people of one organisation, one per login whatever its capitals.

    They are members; those who were assigned something are developers, as assignees must be.
    """

    def __init__(self, session: Session, org_id: UUID, now: datetime, keyring: Keyring) -> None:
        self._session, self._org_id, self._now, self._keyring = session, org_id, now, keyring
        self._pending: dict[str, _Person] = {}
        self._promoted: list[UUID] = []
        self._foreseen: set[str] = set()
        self._known = {
            _key(username): _Person(user_id, username, role, is_new=False)
            for user_id, username, role in session.execute(_imported_before(org_id))
            if username
        }
        self._erased = {row.hash: row.user_id for row in session.execute(_erased_before(org_id))}

    def person(self, login: str) -> UUID:
        """The id of who has this login, new or not."""
        return self._find(login).user_id

    def assignee(self, login: str) -> UUID:
        """The same, and they may be assigned work from now on."""
        person = self._find(login)
        if person.role in ("member", "auditor"):
            person.role = "developer"
            if not person.is_new:
                self._promoted.append(person.user_id)
        return person.user_id

    def foresee(self, logins: Iterable[str]) -> None:
        """These will be assigned something: who of them is new is a developer at once, rather than
        promoted as soon as that is read."""
        self._foreseen = {_key(login) for login in logins}

    def flush(self) -> set[str]:
        """Writes those who are new or changed; returns the logins of the new ones."""
        logins, write = self.changes()
        write()
        return logins

    def changes(self) -> tuple[set[str], Callable[[], None]]:
        """The logins of those who are new, and what writes them and those who changed: it uses
        the session and nothing else of what may have been changed when it is called."""
        fresh, promoted = list(self._pending.values()), self._promoted
        bulks = [
            Bulk(Member, [self._member(person) for person in fresh], {}),
            Bulk(Event, [self._imported(person) for person in fresh], {}),
        ]
        for person in fresh:
            person.is_new = False
        logins = set(self._pending)
        self._pending.clear()
        self._promoted = []
        return logins, lambda: self._write(bulks, promoted)

    def _write(self, bulks: list[Bulk], promoted: list[UUID]) -> None:
        insert_bulks(self._session, bulks)
        if promoted:
            self._promote(promoted)

    def manager(self) -> UUID:
        """Who imported projects belong to: the first owner, else admin, else nobody real."""
        found = self._session.scalar(
            select(Member.user_id)
            .where(
                Member.org_id == self._org_id,
                Member.account_id.is_not(None),
                Member.removed_at.is_(None),
                Member.role.in_(("owner", "admin")),
            )
            .order_by(Member.role, Member.created_at, Member.user_id)
            .limit(1)
        )
        return found or self.person(IMPORTER)

    def _find(self, login: str) -> _Person:
        key = _key(login)
        person = self._known.get(key)
        if person is None:
            person = self._known[key] = self._erased_or_new(login)
            if person.is_new:
                self._pending[key] = person
        return person

    def _erased_or_new(self, login: str) -> _Person:
        """Who was erased does not come back with the next import, and is not promoted."""
        erased = self._erased.get(erased_login(self._keyring, self._org_id, login))
        if erased is not None:
            return _Person(erased, login, "developer", is_new=False)
        role: Role = "developer" if _key(login) in self._foreseen else "member"
        return _Person(new_id(), login, role, is_new=True)

    def _promote(self, user_ids: list[UUID]) -> None:
        promoted = self._session.execute(
            update(Member)
            .where(Member.org_id == self._org_id, Member.user_id.in_(user_ids))
            .values(role="developer", version=Member.version + 1, updated_at=self._now)
            .returning(Member.user_id, Member.version, func.lower(Member.imported_username))
        )
        changes = {"role": ["member", "developer"]}
        rows = [
            {
                **event_row(self._org_id, "member.role_changed", ("user", user_id), {}, self._now),
                "resource_version": version,
                "changes": changes,
            }
            for user_id, version, _ in promoted
        ]
        insert_rows(self._session, Event, rows)

    def _member(self, person: _Person) -> Row:
        return {
            "org_id": self._org_id,
            "user_id": person.user_id,
            "account_id": None,
            "role": person.role,
            "imported_from": SOURCE,
            "imported_username": person.username,
            "created_at": self._now,
            "updated_at": self._now,
            "version": 1,
        }

    def _imported(self, person: _Person) -> Row:
        created = {"username": person.username, "role": person.role, "imported_from": SOURCE}
        return event_row(
            self._org_id, "member.imported", ("user", person.user_id), created, self._now
        )


def _imported_before(org_id: UUID) -> Select[UUID, str | None, Role]:
    """Who came with an import. For those linked to a member since, that one, whose role stands."""
    linked = Member.linked_to.is_not(None)
    return select(
        func.coalesce(Member.linked_to, Member.user_id),
        Member.imported_username,
        case((linked, literal("developer", Member.role.type)), else_=Member.role),
    ).where(
        Member.org_id == org_id,
        Member.account_id.is_(None),
        Member.imported_from == SOURCE,
    )


def _erased_before(org_id: UUID) -> Select[UUID, bytes | None]:
    return select(
        func.coalesce(Member.linked_to, Member.user_id).label("user_id"),
        Member.erased_login.label("hash"),
    ).where(Member.org_id == org_id, Member.erased_login.is_not(None))


def erased_login(keyring: Keyring, org_id: UUID, login: str) -> bytes:
    """What is kept of the login of somebody who was erased: enough to know it again."""
    return keyring.erased_hash(f"{org_id}/{SOURCE}/{_key(login)}".encode())


def _key(login: str) -> str:
    """One key per login whatever its capitals. Logins are ASCII; of others only the letters that
    every library folds alike are folded, as the database's unique index does."""
    return login.translate(_FOLD)

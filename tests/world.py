"""Organisations, people and things to test with: real rows, real tokens, real HTTP."""

from dataclasses import dataclass, field
from itertools import count
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select, update

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.importing.bulk import insert_rows
from bugtracker.models import Account, Event, Issue, Member
from bugtracker.models.organisation import Role
from bugtracker.runtime import Runtime
from bugtracker.security.tokens import AccessClaims, issue_access_token
from bugtracker.services import organisations
from bugtracker.services.events import Origin
from tests import people
from tests.conformance import Conformance
from tests.people import Person

PASSWORD = "Tide-Table-1843"

NO_TLS = SSLContext(PROTOCOL_TLS_CLIENT)
"""For clients: without the certificates of all authorities, which take 25 ms to read."""

Json = dict[str, Any]


@dataclass
class Caller:
    """A person with a session; calls the API in their organisation."""

    id: UUID
    username: str
    email: str
    role: Role
    session_id: UUID
    http: httpx.Client

    @property
    def authorization(self) -> dict[str, str]:
        """The header by which another client is this caller."""
        return {"Authorization": self.http.headers["Authorization"]}

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.http.get(path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> httpx.Response:
        return self.http.post(path, json=json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> httpx.Response:
        return self.http.patch(path, json=json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.http.delete(path, **kwargs)

    def create_project(self, **fields: Any) -> Json:
        """A project made by this caller."""
        body = {"name": f"Project {uuid4().hex[:12]}", **fields}
        return made(self.post("/api/projects", body))

    def create_issue(self, project: Json, **fields: Any) -> Json:
        """An issue reported by this caller."""
        body = {"title": "The tide table is wrong", **fields}
        return made(self.post(f"/api/projects/{project['id']}/issues", body))

    def create_comment(self, issue: Json, content: str = "Seen.") -> Json:
        """A comment by this caller."""
        return made(self.post(f"/api/issues/{issue['id']}/comments", {"content": content}))

    def create_api_key(self, *scopes: str, **fields: Any) -> Json:
        """A key of this caller's, with its secret."""
        body = {"name": "Nightly export", "scopes": scopes or ["projects.read"], **fields}
        return made(self.post("/api/api-keys", body))

    def create_webhook(self, **fields: Any) -> Json:
        """A webhook of this caller's, with its secret."""
        body = {"url": "https://hooks.example.com/bugtracker", "event_types": ["*"], **fields}
        return made(self.post("/api/webhooks", body))

    def ping(self, webhook_id: str) -> str:
        """Has a webhook pinged; the id of the event."""
        response = self.post(f"/api/webhooks/{webhook_id}/test")
        assert response.status_code == 202, response.text
        event_id: str = response.json()["event_id"]
        return event_id

    def move(self, issue: Json, *statuses: str) -> Json:
        """Changes the issue's status step by step."""
        for status in statuses:
            response = self.patch(f"/api/issues/{issue['id']}", {"status": status})
            assert response.status_code == 200, response.text
            issue = response.json()
        return issue


def made(response: httpx.Response) -> Json:
    """The body of a 201."""
    assert response.status_code == 201, response.text
    body: Json = response.json()
    return body


def refused(response: httpx.Response, status: int, code: str) -> Json:
    """The problem of a refusal, which must have this status and code."""
    body: Json = response.json()
    assert (response.status_code, body.get("code")) == (status, code), response.text
    return body


def without_id(problem: Json) -> Json:
    """A problem as two refusals that must be alike are compared."""
    return {name: value for name, value in problem.items() if name != "request_id"}


@dataclass
class Org:
    """An organisation; ``org.manager`` is a caller with that role, made on first use."""

    world: "World"
    id: UUID
    slug: str
    _callers: dict[str, Caller] = field(default_factory=dict)

    def caller(self, role: Role, name: str = "") -> Caller:
        """The organisation's caller of this role; another one for another ``name``."""
        key = f"{role}/{name}"
        if key not in self._callers:
            self._callers[key] = self.world.create_caller(self, role)
        return self._callers[key]

    @property
    def owner(self) -> Caller:
        return self.caller("owner")

    @property
    def admin(self) -> Caller:
        return self.caller("admin")

    @property
    def manager(self) -> Caller:
        return self.caller("manager")

    @property
    def developer(self) -> Caller:
        return self.caller("developer")

    @property
    def member(self) -> Caller:
        return self.caller("member")

    @property
    def auditor(self) -> Caller:
        return self.caller("auditor")


class World:
    """Makes what tests need on one server's database."""

    def __init__(self, runtime: Runtime, url: str, conformance: Conformance) -> None:
        self.runtime = runtime
        self.url = url
        self.conformance = conformance
        self._numbers = count(1)
        self._clients: list[httpx.Client] = []
        self._password_hash = runtime.hasher.hash(PASSWORD)

    def client(self, **headers: str) -> httpx.Client:
        """A client whose every answer is held to the contract."""
        client = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=30,
            # A context of each client's own, and a look at the proxies, take as long as a request.
            verify=NO_TLS,
            trust_env=False,
            event_hooks={"response": [self.conformance]},
        )
        self._clients.append(client)
        return client

    def create_org(self, slug: str = "") -> Org:
        """A new organisation without people."""
        slug = slug or f"org-{uuid4().hex[:12]}"
        with self.runtime.db.transaction() as session:
            org_id = organisations.ensure(session, slug, slug, Origin(utc_now(), None))
        return Org(self, org_id, slug)

    def create_account(self) -> tuple[UUID, str]:
        """A verified account without organisation: its id and username."""
        person = self._new_person()
        with self.runtime.db.transaction(account_id=person.id) as session:
            people.add_account(session, person, self._password_hash, utc_now())
        return person.id, person.username

    def _new_person(self) -> Person:
        return Person(new_id(), f"user{next(self._numbers)}-{uuid4().hex[:8]}")

    def join(self, account_id: UUID, org_id: UUID, role: Role) -> None:
        """Gives an account a role in an organisation."""
        with self.runtime.db.transaction() as session:
            by = Origin(utc_now(), None, account_id=account_id)
            organisations.add_member(session, org_id, account_id, role, by)

    def create_caller(self, org: Org, role: Role) -> Caller:
        """A new person with a role and a session."""
        person, now = self._new_person(), utc_now()
        with self.runtime.db.transaction(org_id=org.id, account_id=person.id) as session:
            people.add_account(session, person, self._password_hash, now)
            people.add_member(session, person, org.id, role, now)
            session_id = people.add_session(session, person.id, org.id, now)
        return self._caller(person, role, session_id, org.id)

    def open_session(self, account_id: UUID, org_id: UUID | None) -> tuple[UUID, str]:
        """A live session and an access token of it."""
        with self.runtime.db.transaction() as session:
            session_id = people.add_session(session, account_id, org_id, utc_now())
        return session_id, self._token(account_id, session_id, org_id)

    def _token(self, account_id: UUID, session_id: UUID, org_id: UUID | None) -> str:
        claims = AccessClaims(account_id, session_id, org_id)
        return issue_access_token(self.runtime.keys, self.runtime.settings, claims, utc_now())

    def _caller(
        self, person: Person, role: Role, session_id: UUID, org_id: UUID | None = None
    ) -> Caller:
        token = self._token(person.id, session_id, org_id)
        client = self.client(Authorization=f"Bearer {token}")
        return Caller(person.id, person.username, person.email, role, session_id, client)

    def with_key(self, made: Json) -> httpx.Client:
        """A program that uses a key."""
        return self.client(Authorization=f"Bearer {made['key']}")

    def set_role(self, org: Org, person: Caller, role: Role) -> None:
        """Changes a member's role behind the API's back."""
        self._update_member(org, person.id, role=role)
        person.role = role

    def remove(self, org: Org, person: Caller) -> None:
        """Ends a membership."""
        self._update_member(org, person.id, removed_at=utc_now())

    def deactivate(self, person: Caller) -> None:
        """Disables a person's account."""
        with self.runtime.db.transaction(account_id=person.id) as session:
            session.execute(update(Account).where(Account.id == person.id).values(is_active=False))

    def import_person(self, org: Org, username: str, role: Role = "developer") -> UUID:
        """Somebody who came with an import: no account, no login."""
        now, user_id = utc_now(), new_id()
        person = {"imported_username": username, "imported_from": "github", "role": role}
        with self.runtime.db.transaction(org_id=org.id) as session:
            row = {"user_id": user_id, "created_at": now, "updated_at": now, "version": 1}
            session.add(Member(org_id=org.id, **person, **row))
        return user_id

    def create_loner(self) -> Caller:
        """Somebody with a session and no organisation; the role stands for nothing."""
        person, now = self._new_person(), utc_now()
        with self.runtime.db.transaction(account_id=person.id) as session:
            people.add_account(session, person, self._password_hash, now)
            session_id = people.add_session(session, person.id, None, now)
        return self._caller(person, "member", session_id)

    def events(self, org: Org, resource: Json) -> list[Event]:
        """The events of one thing, oldest first."""
        statement = select(Event).where(Event.resource_id == UUID(resource["id"]))
        with self.runtime.db.transaction(org_id=org.id) as session:
            return list(session.scalars(statement.order_by(Event.created_at, Event.id)))

    def copy_issues(self, org: Org, project: Json, count: int) -> None:
        """Many issues of one moment, reported by the manager, by SQL."""
        now = utc_now()
        values = {
            "org_id": org.id,
            "project_id": UUID(project["id"]),
            "title": "The tide table is wrong",
            "description": "",
            "status": "open",
            "priority": "medium",
            "reporter_id": org.manager.id,
            "created_at": now,
            "updated_at": now,
            "version": 1,
        }
        rows = [{**values, "id": new_id(), "number": n} for n in range(1, count + 1)]
        with self.runtime.db.transaction(org_id=org.id) as session:
            insert_rows(session, Issue, rows)

    def _update_member(self, org: Org, user_id: UUID, **values: Any) -> None:
        statement = update(Member).where(Member.org_id == org.id, Member.user_id == user_id)
        with self.runtime.db.transaction(org_id=org.id) as session:
            session.execute(statement.values(**values))

    def close(self) -> None:
        for client in self._clients:
            client.close()

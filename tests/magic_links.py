"""Logging in by a mailed link, step by step."""

import re

import httpx
from sqlalchemy import func, select

from bugtracker.models import Account, Session
from bugtracker.runtime import Runtime
from tests.registering import Newcomer, text_of


def ask(person: Newcomer, **fields: str) -> httpx.Response:
    body = {"email": person.email, **fields}
    return person.http.post("/api/auth/magic-link", json=body)


def mailed(person: Newcomer, number: int = 1, action: str = "magic-link") -> str:
    """The token in the mail of that number to the person."""
    found = re.search(rf"#action={action}&token=(\S+)", text_of(person.mail(number)))
    assert found is not None
    return found[1]


def linked(person: Newcomer, number: int = 1) -> str:
    """Asks for a link; returns the token in it, in the mail of that number to the person."""
    assert ask(person).status_code == 202
    return mailed(person, number)


def follow(person: Newcomer, token: str, **fields: str) -> httpx.Response:
    return person.http.post("/api/auth/magic-link/login", json={"token": token, **fields})


def complete(person: Newcomer, challenge: str, code: str) -> httpx.Response:
    body = {"challenge": challenge, "code": code}
    return person.http.post("/api/auth/login/two-factor", json=body)


def sessions_of(runtime: Runtime, person: Newcomer) -> int:
    """How many sessions the account ever had."""
    account_id = select(Account.id).where(Account.email == person.email).scalar_subquery()
    with runtime.db.transaction() as session:
        wanted = select(func.count()).where(Session.account_id == account_id)
        return session.scalar(wanted) or 0

"""What newcomers do: register, wait for the mail, open its link."""

import re
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from bugtracker.settings import Settings

PASSWORD = "Tide-Table-1843"
SECONDS_FOR_A_MAIL = 20

# What differs between two answers to the same request.
VOLATILE = {"x-request-id", "date", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"}


@dataclass
class Newcomer:
    """Somebody with an address and no account yet."""

    http: httpx.Client
    mail_dir: Path
    email: str = field(default_factory=lambda: f"new-{uuid4().hex[:12]}@example.com")
    username: str = field(default_factory=lambda: f"new-{uuid4().hex[:12]}")
    password: str = PASSWORD

    def register(self, **fields: Any) -> httpx.Response:
        body = {"email": self.email, "username": self.username, "password": self.password}
        return self.http.post("/api/auth/register", json={**body, **fields})

    def registered(self, **fields: Any) -> "Newcomer":
        response = self.register(**fields)
        assert response.status_code == 202, response.text
        return self

    def mail(self, number: int = 1) -> EmailMessage:
        """The mail to this address, or the one of that number; waits for it."""
        deadline = time.monotonic() + SECONDS_FOR_A_MAIL
        while len(mails := self._mails()) < number:
            assert time.monotonic() < deadline, f"no mail {number} to {self.email}"
            time.sleep(0.02)
        return mails[number - 1]

    def _mails(self) -> list[EmailMessage]:
        needle = f"to: {self.email.lower()}".encode()
        contents = [file.read_bytes() for file in sorted(self.mail_dir.glob("*.eml"))]
        return [
            message_from_bytes(content, policy=policy.default)
            for content in contents
            if needle in content.lower()
        ]

    def token(self, number: int = 1) -> str:
        """The token of a mailed link."""
        return token_in(self.mail(number))

    def verify(self, token: str | None = None) -> httpx.Response:
        token = token or self.token()
        return self.http.post("/api/auth/verify-email", json={"token": token})

    def verified(self, **fields: Any) -> "Newcomer":
        """Registers with these fields and opens the mailed link."""
        response = self.registered(**fields).verify()
        assert response.status_code == 200, response.text
        return self

    def resend(self, **fields: Any) -> httpx.Response:
        """Asks for another verification mail."""
        return self.http.post("/api/auth/verify-email/resend", json={"email": self.email, **fields})

    def login(self, **fields: Any) -> httpx.Response:
        body = {"email": self.email, "password": self.password, **fields}
        return self.http.post("/api/auth/login", json=body)

    def me(self) -> dict[str, Any]:
        """The account as a new session sees it."""
        me: dict[str, Any] = get_me(self.http, tokens_of(self.login())["access_token"]).json()
        return me


def newcomer(http: httpx.Client, settings: Settings, **fields: str) -> Newcomer:
    return Newcomer(http, settings.mail_dir, **fields)


def token_in(mail: EmailMessage) -> str:
    found = re.search(r"#action=verify-email&token=(\S+)", text_of(mail))
    assert found is not None
    return found[1]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def tokens_of(response: httpx.Response) -> dict[str, Any]:
    """The token pair of a login or refresh that must have gone well."""
    assert response.status_code == 200, response.text
    pair: dict[str, Any] = response.json()
    return pair


def get_me(http: httpx.Client, access_token: str) -> httpx.Response:
    return http.get("/api/auth/me", headers={"Authorization": f"Bearer {access_token}"})


def refresh(http: httpx.Client, refresh_token: str, **fields: Any) -> httpx.Response:
    return http.post("/api/auth/refresh", json={"refresh_token": refresh_token, **fields})


def logout(http: httpx.Client, refresh_token: str) -> httpx.Response:
    return http.post("/api/auth/logout", json={"refresh_token": refresh_token})


def answer(response: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers, without what differs from request to request."""
    body = {name: value for name, value in response.json().items() if name != "request_id"}
    headers = {n: v for n, v in response.headers.items() if n.lower() not in VOLATILE}
    return response.status_code, body, headers

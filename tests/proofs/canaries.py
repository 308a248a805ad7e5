"""A visitor who goes through every operation of accounts and sessions, well and badly, and
remembers every secret that passed."""

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.registering import Newcomer, get_me, logout, refresh, text_of, tokens_of
from tests.repeating import new_key
from tests.world import Json

TOKEN = re.compile(r"#action=[a-z-]+&token=(\S+)")


class Visitor(Newcomer):
    """Somebody all of whose secrets are canaries."""

    def __init__(self, http: httpx.Client, mail_dir: Path) -> None:
        super().__init__(http, mail_dir)
        self.secrets: dict[str, str] = {}
        self.password = self.new_password()
        self.mails_read = 0

    def new_password(self) -> str:
        """A password that is a canary, and so are those made of it."""
        return self.keep("password", f"Canary-{uuid4().hex}")

    def keep(self, kind: str, secret: str) -> str:
        """Remembers a secret."""
        self.secrets[f"{kind} {len(self.secrets) + 1}"] = secret
        return secret

    def kept(self, response: httpx.Response) -> Json:
        """The tokens of an answer, remembered; the signature also by itself."""
        pair = tokens_of(response)
        self.keep("refresh token", pair["refresh_token"])
        self.keep("access token", pair["access_token"])
        self.keep("signature", pair["access_token"].rpartition(".")[2])
        return pair

    def logged_in(self, **fields: Any) -> Json:
        """The tokens of a login."""
        return self.kept(self.login(**fields))

    def mailed(self) -> str:
        """The token in the next mail that has one."""
        while True:
            self.mails_read += 1
            found = TOKEN.search(text_of(self.mail(self.mails_read)))
            if found is not None:
                return self.keep("mailed token", found[1])

    def as_me(self, pair: Json) -> dict[str, str]:
        return {"Authorization": f"Bearer {pair['access_token']}"}

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)


def register(visitor: Visitor) -> None:
    visitor.registered(org_name="Canaries")
    visitor.register()
    visitor.register(email=f"other-{uuid4().hex[:8]}@example.com")
    visitor.register(email=visitor.password, password=visitor.password + "x" * 500, extra="x")
    visitor.register(password=visitor.keep("password", f"canary{uuid4().hex[:6]}"))
    visitor.http.post("/api/register", json={"password": visitor.password})


def verify(visitor: Visitor) -> None:
    visitor.post("/api/auth/verify-email", token=visitor.keep("token", uuid4().hex))
    visitor.resend()
    old, new = visitor.mailed(), visitor.mailed()
    while visitor.verify(new).status_code != 200:
        old, new = new, visitor.mailed()
    assert visitor.verify(old).status_code == 422
    visitor.resend(password=visitor.password)


def log_in(visitor: Visitor) -> None:
    key = new_key()
    for _ in range(2):
        body = {"email": visitor.email, "password": visitor.password}
        visitor.kept(visitor.http.post("/api/auth/login", json=body, headers=key))
    visitor.login(password=visitor.keep("password", visitor.password + "-wrong"))
    visitor.login(username=visitor.password, otp=visitor.password)
    visitor.post("/api/auth/login", email=visitor.password, password=visitor.password)
    visitor.post("/api/login", email=visitor.email, password=visitor.password)
    visitor.http.post("/api/auth/login", data={"password": visitor.password})
    visitor.http.post("/api/auth/login?password=" + visitor.password, json={})
    for broken in ('{"password": "%s', '{"password": "%s", "password": ""}', '["%s"]', '"%s"'):
        headers = {"Content-Type": "application/json"}
        content = broken % visitor.password
        assert visitor.http.post("/api/auth/login", content=content, headers=headers).is_error


def use_a_session(visitor: Visitor) -> None:
    pair, other = visitor.logged_in(), visitor.logged_in()
    mine = visitor.as_me(pair)
    assert get_me(visitor.http, pair["access_token"]).status_code == 200
    get_me(visitor.http, pair["access_token"] + "x")
    visitor.http.get("/api/auth/me?token=" + pair["access_token"], headers=mine)
    visitor.http.get("/api/auth/me", headers={"Authorization": f"Basic {visitor.password}"})
    visitor.http.get("/api/auth/me/activity", headers=mine)
    visitor.http.get("/api/auth/me/activity?cursor=" + pair["refresh_token"], headers=mine)
    sessions = visitor.http.get("/api/auth/sessions", headers=mine).json()["items"]
    (ended,) = (item["id"] for item in sessions[:2] if not item["current"])
    visitor.http.delete(f"/api/auth/sessions/{ended}", headers=mine)
    visitor.http.get("/.well-known/jwks.json")
    refresh(visitor.http, other["refresh_token"])


def refresh_and_leave(visitor: Visitor) -> None:
    first = visitor.logged_in()
    second = visitor.kept(refresh(visitor.http, first["refresh_token"]))
    refresh(visitor.http, second["refresh_token"], org_id=str(uuid4()))
    refresh(visitor.http, second["refresh_token"], extra=second["access_token"])
    assert refresh(visitor.http, first["refresh_token"]).status_code == 401
    refresh(visitor.http, visitor.keep("token", f"canary-{uuid4().hex}"))
    logout(visitor.http, visitor.logged_in()["refresh_token"])
    visitor.post("/api/auth/logout", token=first["refresh_token"])
    pair = visitor.logged_in()
    visitor.http.post("/api/auth/logout-all", headers=visitor.as_me(pair))


def change_password(visitor: Visitor) -> None:
    mine = visitor.as_me(visitor.logged_in())
    new = visitor.new_password()
    for current, wanted in (
        (visitor.keep("password", f"Wrong-{uuid4().hex}"), new),
        (visitor.password, visitor.keep("password", f"weak{uuid4().hex[:6]}")),
        (visitor.password, new),
    ):
        body = {"current_password": current, "new_password": wanted}
        last = visitor.http.post("/api/auth/password", json=body, headers=mine)
    assert last.status_code == 204
    visitor.password = new


def reset_password(visitor: Visitor) -> None:
    visitor.post("/api/auth/password/forgot", email=visitor.email)
    visitor.post("/api/auth/password/forgot", email=visitor.email, password=visitor.password)
    token, new = visitor.mailed(), visitor.new_password()
    weak = visitor.keep("password", f"weak{uuid4().hex[:6]}")
    visitor.post("/api/auth/password/reset", token=token, new_password=weak)
    visitor.post("/api/auth/password/reset", token=token + "x", new_password=new)
    for expected in (200, 422):
        answer = visitor.post("/api/auth/password/reset", token=token, new_password=new)
        assert answer.status_code == expected
    visitor.password = new


STEPS: tuple[Callable[[Visitor], None], ...] = (
    register,
    verify,
    log_in,
    use_a_session,
    refresh_and_leave,
    change_password,
    reset_password,
)
"""In this order. Two-factor login and mailed links that log in come here."""


def mails_in(directory: Path) -> list[EmailMessage]:
    """Every mail that was sent."""
    files = sorted(directory.glob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]

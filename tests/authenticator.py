"""Somebody with an authenticator app."""

import time
from typing import Any

import httpx
import pyotp
from sqlalchemy import select, update

from bugtracker.models import Account, LoginAttempts, TwoFactor
from bugtracker.runtime import Runtime
from bugtracker.security.totp import STEP_SECONDS
from tests.registering import Newcomer, tokens_of

TWO_FACTOR = "/api/auth/two-factor"
SLACK = 5
"""Seconds of a step that a request may take; the code before it must not go stale on the way."""


def code_of(secret: str, *, steps_ago: int = 0) -> str:
    """What an app with this secret shows now, or showed so many times 30 seconds ago."""
    left = STEP_SECONDS - time.time() % STEP_SECONDS
    if left < SLACK:
        time.sleep(left)
    return pyotp.TOTP(secret).at(int(time.time()) - steps_ago * STEP_SECONDS)


class Authenticator:
    """A person's second factor: enrols it, shows codes, logs in with them."""

    def __init__(self, runtime: Runtime, person: Newcomer) -> None:
        self.runtime, self.person = runtime, person
        self.http = person.http
        self.access = tokens_of(person.login())["access_token"]
        self.secret = ""
        self.backup_codes: list[str] = []

    @property
    def code(self) -> str:
        """The code of this moment."""
        return code_of(self.secret)

    @property
    def fresh_code(self) -> str:
        """A code that counts as new, also within the 30 seconds of the one before."""
        self.rewind()
        return self.code

    @property
    def wrong_code(self) -> str:
        """Six digits that are no code of these minutes."""
        totp, now = pyotp.TOTP(self.secret), int(time.time())
        near = {totp.at(now + 30 * steps) for steps in range(-2, 4)}
        return next(code for n in range(10) if (code := f"{n:06}") not in near)

    def call(self, method: str, path: str = "", json: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.access}"}
        return self.http.request(method, TWO_FACTOR + path, json=json, headers=headers)

    def enrol(self, password: str = "") -> httpx.Response:
        response = self.call("POST", json={"password": password or self.person.password})
        if response.status_code == 200:
            self.secret = response.json()["secret"]
        return response

    def confirm(self, code: str = "") -> httpx.Response:
        response = self.call("POST", "/confirm", {"code": code or self.code})
        if response.status_code == 200:
            self.backup_codes = response.json()["backup_codes"]
        return response

    def switched_on(self) -> "Authenticator":
        """With the second factor in force."""
        assert self.enrol().status_code == 200
        assert self.confirm().status_code == 200
        return self

    def proof(self, **different: str) -> dict[str, str]:
        return {"password": self.person.password, "code": self.fresh_code, **different}

    def disable(self, **different: str) -> httpx.Response:
        return self.call("POST", "/disable", self.proof(**different))

    def regenerate(self, **different: str) -> httpx.Response:
        return self.call("POST", "/backup-codes", self.proof(**different))

    def state(self) -> Any:
        response = self.call("GET")
        assert response.status_code == 200, response.text
        return response.json()

    def challenge(self, **fields: Any) -> str:
        """What a login by password answers with."""
        response = self.person.login(**fields)
        assert response.status_code == 202, response.text
        challenge: str = response.json()["challenge"]
        return challenge

    def complete(
        self, challenge: str, code: str, http: httpx.Client | None = None
    ) -> httpx.Response:
        body = {"challenge": challenge, "code": code}
        return (http or self.http).post("/api/auth/login/two-factor", json=body)

    @property
    def attempts(self) -> int:
        """What the counter of wrong passwords and codes says."""
        with self.runtime.db.transaction() as session:
            own = select(Account.id).where(Account.email == self.person.email)
            key = self.runtime.keyring.attempts_key(f"account:{session.scalar(own)}")
            counted = select(LoginAttempts.attempts).where(LoginAttempts.key == key)
            return session.scalar(counted) or 0

    def rewind(self) -> None:
        """Makes codes of this moment count as not used yet."""
        account_id = select(Account.id).where(Account.email == self.person.email)
        with self.runtime.db.transaction() as session:
            own = update(TwoFactor).where(TwoFactor.account_id == account_id.scalar_subquery())
            session.execute(own.values(last_step=0))

"""People with an authenticator app: their second factor is switched on through the API."""

import time
from dataclasses import dataclass
from typing import Any

import httpx
import pyotp

from bugtracker.security.totp import STEP_SECONDS
from tests.registering import Newcomer, tokens_of

SLACK = 5
"""Seconds of a step that a request may take; the code before it must not go stale on the way."""


@dataclass
class Authenticator:
    """The app, and the backup codes on paper."""

    secret: str
    backup_codes: list[str]

    def code(self) -> str:
        """What the app shows now."""
        return _code(self.secret, steps_ago=0)

    def wrong_code(self) -> str:
        """Six digits that are right neither now nor soon."""
        shown = {_code(self.secret, steps_ago=ago) for ago in range(-4, 3)}
        return next(code for code in map("{:06}".format, range(100)) if code not in shown)


def enrolled(person: Newcomer) -> tuple[Authenticator, str]:
    """Switches the second factor on; returns the app and an access token of its session.

    The app's present code is still good: the one of the step before confirmed it.
    """
    access_token = tokens_of(person.login())["access_token"]
    http, headers = person.http, {"Authorization": f"Bearer {access_token}"}
    password = {"password": person.password}
    enrolment = _given(http.post("/api/auth/two-factor", json=password, headers=headers))
    code = {"code": _code(enrolment["secret"], steps_ago=1)}
    codes = _given(http.post("/api/auth/two-factor/confirm", json=code, headers=headers))
    return Authenticator(enrolment["secret"], codes["backup_codes"]), access_token


def _given(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def _code(secret: str, *, steps_ago: int) -> str:
    left = STEP_SECONDS - time.time() % STEP_SECONDS
    if left < SLACK:
        time.sleep(left)
    return pyotp.TOTP(secret).at(int(time.time()) - steps_ago * STEP_SECONDS)

"""What a visitor does with mailed links that log in, and with a second factor, well and badly."""

from typing import Any
from uuid import uuid4

import httpx

from tests.proofs.visitor import Step, Visitor, bearer

FACTOR, LINK, COMPLETE = (
    f"/api/auth/{path}" for path in ("two-factor", "magic-link", "login/two-factor")
)


def follow(visitor: Visitor, token: str, **fields: Any) -> httpx.Response:
    return visitor.post(f"{LINK}/login", token=token, **fields)


def ask(visitor: Visitor) -> str:
    """The token of a new link."""
    assert visitor.post(LINK, email=visitor.email).status_code == 202
    return visitor.mailed("magic-link")


def log_in_by_link(visitor: Visitor) -> None:
    visitor.post(LINK, email=visitor.email, password=visitor.password)
    old, token = ask(visitor), ask(visitor)
    visitor.http.get(f"{LINK}/login?token={token}")
    assert follow(visitor, old).status_code == 422
    follow(visitor, visitor.keep("token", token + "x"))
    follow(visitor, token, password=visitor.password)
    visitor.kept(follow(visitor, token))
    assert follow(visitor, token).status_code == 422


class Factor:
    """A visitor's second factor, in one session."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._headers = visitor.as_me(visitor.logged_in())
        self.seed = ""
        self.codes: list[str] = []

    def post(self, path: str, expected: int, **body: Any) -> Any:
        """The answer, of this status."""
        answer = self._visitor.http.post(FACTOR + path, json=body, headers=self._headers)
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    def switch_on(self) -> None:
        visitor = self._visitor
        self.post("", 422, password=visitor.keep("password", f"Wrong-{uuid4().hex}"))
        self.post("", 400, password=visitor.password, code="x")
        self.seed = visitor.keep("seed", self.post("", 200, password=visitor.password)["secret"])
        self.post("/confirm", 422, code=visitor.shown(self.seed, steps_ago=4))
        # The code before, so that the present one is good for a login.
        confirmed = self.post("/confirm", 200, code=visitor.shown(self.seed, steps_ago=1))
        self.codes = visitor.kept_codes(confirmed["backup_codes"])
        self.post("", 409, password=visitor.password)
        assert visitor.http.get(FACTOR, headers=self._headers).json()["enabled"]
        visitor.http.get(f"{FACTOR}?secret={self.seed}", headers=self._headers)

    def regenerate(self) -> None:
        visitor = self._visitor
        self.post("/backup-codes", 422, password=visitor.password, code=self.codes.pop()[::-1])
        proof = {"password": visitor.password, "code": self.codes.pop()}
        new = self.post("/backup-codes", 200, **proof)["backup_codes"]
        self.codes = visitor.kept_codes(new)

    def switch_off(self) -> None:
        visitor = self._visitor
        self.post("/disable", 422, password=visitor.password + "x", code=self.codes[0])
        self.post("/disable", 204, password=visitor.password, code=self.codes.pop())


def complete(visitor: Visitor, challenge: str, code: str) -> None:
    """The login, and once more in vain."""
    body = {"challenge": challenge, "code": code}
    visitor.kept(visitor.post(COMPLETE, **body))
    assert visitor.post(COMPLETE, **body).status_code == 401


def challenged(visitor: Visitor, answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return visitor.keep("challenge", answer.json()["challenge"])


def use_a_second_factor(visitor: Visitor) -> None:
    factor = Factor(visitor)
    factor.switch_on()
    by_password, by_link = (
        challenged(visitor, answer) for answer in (visitor.login(), follow(visitor, ask(visitor)))
    )
    visitor.post(COMPLETE, challenge=by_password, code=visitor.shown(factor.seed, steps_ago=4))
    visitor.post(COMPLETE, challenge=by_password, code=factor.codes[0], password=visitor.password)
    visitor.post(COMPLETE, challenge=factor.codes[0], code=by_password)
    visitor.http.get("/api/auth/me", headers=bearer(by_password))
    complete(visitor, by_password, visitor.shown(factor.seed))
    complete(visitor, by_link, factor.codes.pop().replace("-", "").upper())
    factor.regenerate()
    factor.switch_off()


STEPS: tuple[Step, ...] = (log_in_by_link, use_a_second_factor)

"""Everything a visitor does with accounts and sessions, well and badly."""

from uuid import uuid4

from tests.proofs import (
    canaries_of_exports,
    canaries_of_factors,
    canaries_of_guests,
    canaries_of_partners,
)
from tests.proofs.visitor import Step, Visitor
from tests.registering import get_me, logout, refresh
from tests.repeating import new_key


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
    old, new = visitor.mailed("verify-email"), visitor.mailed("verify-email")
    while visitor.verify(new).status_code != 200:
        old, new = new, visitor.mailed("verify-email")
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
    for language in ("de", pair["access_token"], None):
        visitor.http.patch("/api/auth/me", json={"language": language}, headers=mine)
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
    token, new = visitor.mailed("reset-password"), visitor.new_password()
    weak = visitor.keep("password", f"weak{uuid4().hex[:6]}")
    visitor.post("/api/auth/password/reset", token=token, new_password=weak)
    visitor.post("/api/auth/password/reset", token=token + "x", new_password=new)
    for expected in (200, 422):
        answer = visitor.post("/api/auth/password/reset", token=token, new_password=new)
        assert answer.status_code == expected
    visitor.password = new


def delete_account(visitor: Visitor) -> None:
    """Somebody who goes; the visitor stays."""
    leaver = visitor.companion(f"leaver-{uuid4().hex[:8]}@example.com")
    leaver.verified()
    mine = leaver.as_me(leaver.logged_in())
    wrong = leaver.keep("password", f"Wrong-{uuid4().hex}")
    for password, status in ((wrong, 422), (leaver.password, 202), (leaver.password, 401)):
        body = {"password": password}
        answer = leaver.http.post("/api/auth/me/deletion", json=body, headers=mine)
        assert answer.status_code == status


STEPS: tuple[Step, ...] = (
    register,
    verify,
    log_in,
    use_a_session,
    refresh_and_leave,
    change_password,
    reset_password,
    *canaries_of_factors.STEPS,
    *canaries_of_guests.STEPS,
    *canaries_of_exports.STEPS,
    *canaries_of_partners.STEPS,
    delete_account,
)
"""In this order."""

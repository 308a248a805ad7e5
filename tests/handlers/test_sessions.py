"""One's own sessions: listing them, ending one, ending all."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.ids import new_id
from bugtracker.models import Account, Session
from bugtracker.runtime import Runtime
from bugtracker.serializers.sessions import device
from bugtracker.settings import Settings
from tests.behind import change_session, employee, events_of
from tests.blocking import Blocker
from tests.registering import Newcomer, get_me, logout, refresh, tokens_of
from tests.world import Org, World, refused, without_id

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0"


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    """A developer of the organisation, with a password and no session yet."""
    return employee(world, org, anonymous, settings)


@pytest.fixture
def here(person: Newcomer) -> dict[str, Any]:
    """The tokens of the session that asks."""
    return tokens_of(person.login())


@pytest.fixture
def there(person: Newcomer, here: dict[str, Any]) -> dict[str, Any]:
    """The tokens of a later session."""
    return tokens_of(person.login())


def ask(
    http: httpx.Client, method: str, path: str, tokens: dict[str, Any], **kwargs: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return http.request(method, f"/api/auth/{path}", headers=headers, **kwargs)


def listed(http: httpx.Client, tokens: dict[str, Any]) -> list[dict[str, Any]]:
    response = ask(http, "GET", "sessions", tokens)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def other_id(http: httpx.Client, tokens: dict[str, Any]) -> str:
    """The id of the one other session."""
    (found,) = (item["id"] for item in listed(http, tokens) if not item["current"])
    return str(found)


class TestList:
    def test_shows_where_one_is_logged_in(self, person: Newcomer) -> None:
        before = utc_now()
        body = {"email": person.email, "password": person.password}
        tokens = tokens_of(
            person.http.post("/api/auth/login", json=body, headers={"User-Agent": FIREFOX})
        )
        (item,) = listed(person.http, tokens)
        assert (item["device"], item["user_agent"]) == ("Firefox on Linux", FIREFOX)
        assert (item["ip"], item["current"]) == ("127.0.0.1", True)
        assert item["created_at"] == item["last_used_at"] > f"{before:%Y-%m-%dT%H:%M:%S}"

    def test_shows_a_program_without_a_name_as_unknown(self, person: Newcomer) -> None:
        body = {"email": person.email, "password": person.password}
        empty, none = (
            person.http.build_request("POST", "/api/auth/login", json=body, headers=headers)
            for headers in ({"User-Agent": ""}, {"User-Agent": ""})
        )
        del none.headers["User-Agent"]
        tokens_of(person.http.send(empty))
        items = listed(person.http, tokens_of(person.http.send(none)))
        shown = [(item["device"], item["user_agent"]) for item in items]
        assert shown == [("Unknown device", None)] * 2

    def test_begins_with_the_newest_and_marks_the_current(
        self, person: Newcomer, here: dict[str, Any], there: dict[str, Any]
    ) -> None:
        assert [item["current"] for item in listed(person.http, here)] == [False, True]
        assert [item["current"] for item in listed(person.http, there)] == [True, False]

    def test_a_refresh_is_a_use(self, person: Newcomer, here: dict[str, Any]) -> None:
        fresh = tokens_of(refresh(person.http, here["refresh_token"]))
        (item,) = listed(person.http, fresh)
        assert item["last_used_at"] > item["created_at"]

    def test_leaves_out_what_has_ended_and_what_is_of_others(
        self, world: World, runtime: Runtime, org: Org, person: Newcomer, here: dict[str, Any]
    ) -> None:
        employee(world, org, person.http, runtime.settings).login()
        ended, expired = (tokens_of(person.login()) for _ in range(2))
        logout(person.http, ended["refresh_token"])
        change_session(runtime, expired, expires_at=utc_now() - timedelta(seconds=1))
        assert [item["current"] for item in listed(person.http, here)] == [True]

    def test_is_paged_without_an_organisation_and_a_cursor_is_of_one_account(
        self, world: World
    ) -> None:
        loner, stranger = world.create_loner(), world.create_loner()
        for _ in range(2):
            world.open_session(loner.id, None)
        seen, cursor = [], {}
        while True:
            page = loner.get("/api/auth/sessions", params={"limit": 1, **cursor}).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(seen) == len(set(seen)) == 3
        refused(stranger.get("/api/auth/sessions", params=cursor), 400, "cursor_invalid")


class TestEndOne:
    def test_bites_at_the_next_request(
        self,
        runtime: Runtime,
        org: Org,
        person: Newcomer,
        here: dict[str, Any],
        there: dict[str, Any],
    ) -> None:
        path = f"sessions/{other_id(person.http, here)}"
        assert ask(person.http, "DELETE", path, here).status_code == 204
        refused(get_me(person.http, there["access_token"]), 401, "token_invalid")
        refused(refresh(person.http, there["refresh_token"]), 401, "refresh_token_invalid")
        assert get_me(person.http, here["access_token"]).status_code == 200
        (event,) = events_of(runtime, org, "session.ended")
        assert event.changes == {"revoked_reason": [None, "revoked"]}

    def test_may_be_the_one_in_use(self, person: Newcomer, here: dict[str, Any]) -> None:
        (item,) = listed(person.http, here)
        assert ask(person.http, "DELETE", f"sessions/{item['id']}", here).status_code == 204
        assert get_me(person.http, here["access_token"]).status_code == 401

    def test_foreign_ended_expired_and_missing_ones_are_alike(
        self, world: World, runtime: Runtime, org: Org, person: Newcomer, here: dict[str, Any]
    ) -> None:
        expired = tokens_of(person.login())
        expired_id = other_id(person.http, here)
        change_session(runtime, expired, expires_at=utc_now() - timedelta(seconds=1))
        ended = tokens_of(person.login())
        ended_id = other_id(person.http, here)
        logout(person.http, ended["refresh_token"])
        foreign = org.owner
        problems = [
            without_id(
                refused(
                    ask(person.http, "DELETE", f"sessions/{session_id}", here),
                    404,
                    "resource_not_found",
                )
            )
            for session_id in (foreign.session_id, ended_id, expired_id, uuid4())
        ]
        assert all(problem == problems[0] for problem in problems)
        assert foreign.get("/api/auth/me").status_code == 200


class TestLogoutAll:
    def test_ends_every_session_this_one_too(
        self,
        runtime: Runtime,
        org: Org,
        person: Newcomer,
        here: dict[str, Any],
        there: dict[str, Any],
    ) -> None:
        expired, ended = (tokens_of(person.login()) for _ in range(2))
        change_session(runtime, expired, expires_at=utc_now() - timedelta(seconds=1))
        logout(person.http, ended["refresh_token"])
        assert ask(person.http, "POST", "logout-all", here).status_code == 204
        for tokens in (here, there):
            refused(get_me(person.http, tokens["access_token"]), 401, "token_invalid")
            assert refresh(person.http, tokens["refresh_token"]).status_code == 401
        (event,) = events_of(runtime, org, "session.all_ended")
        assert event.changes == {"sessions_ended": [None, 2]}
        assert person.login().status_code == 200

    def test_ends_what_a_login_begins_meanwhile(self, world: World, runtime: Runtime) -> None:
        loner = world.create_loner()
        with Blocker(runtime) as blocker:
            account = select(Account).where(Account.id == loner.id)
            blocker.session.execute(account.with_for_update(key_share=True))
            begun = Session(
                id=new_id(),
                account_id=loner.id,
                created_at=utc_now(),
                last_used_at=utc_now(),
                expires_at=utc_now() + timedelta(hours=1),
            )
            blocker.session.add(begun)
            waiting = blocker.start(lambda: loner.post("/api/auth/logout-all"))
        assert waiting.result().status_code == 204
        with runtime.db.transaction() as session:
            assert session.get_one(Session, begun.id).revoked_at is not None

    def test_leaves_others_alone_and_needs_no_organisation(self, world: World) -> None:
        loner, other = world.create_loner(), world.create_loner()
        assert loner.post("/api/auth/logout-all").status_code == 204
        assert loner.get("/api/auth/me").status_code == 401
        assert other.get("/api/auth/me").status_code == 200


class TestDevice:
    @pytest.mark.parametrize(
        ("user_agent", "expected"),
        [
            (FIREFOX, "Firefox on Linux"),
            (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36",
             "Chrome on Windows"),
            (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/134.0.0.0",
             "Edge on Windows"),
            (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} Safari/537.36 OPR/118.0.0.0",
             "Opera on Linux"),
            (f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {CHROME} Mobile Safari/537.36",
             "Chrome on Android"),
            (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36",
             "Chrome on ChromeOS"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like"
             " Gecko) Version/18.3 Safari/605.1.15", "Safari on macOS"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML,"
             " like Gecko) CriOS/134.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
            ("Mozilla/5.0 (iPad; CPU OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
             " Gecko) Version/18.3 Mobile/15E148 Safari/604.1", "Safari on iPad"),
            ("Firefox/1", "Firefox"),
            ("curl/8.12.1", "curl/8.12.1"),
            ("x" * 400, "x" * 80),
            (None, "Unknown device"),
        ],
    )  # fmt: skip
    def test_is_what_a_person_would_say(self, user_agent: str | None, expected: str) -> None:
        assert device(user_agent) == expected

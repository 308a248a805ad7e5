"""The mail after a login by another program, or from another network, than before."""

from collections.abc import Iterator

import pytest

from bugtracker.app import create_app, create_runtime
from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.jobs.expiry import KEPT_SESSIONS, expire
from bugtracker.jobs.worker import WorkerThread
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.authenticator import Authenticator
from tests.behind import change_session, employee
from tests.behind import new_sign_ins_told as told
from tests.conformance import Conformance
from tests.magic_links import follow, linked
from tests.registering import Newcomer, refresh, text_of, tokens_of
from tests.serving import serve
from tests.world import World

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
NEXT_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/130.0.0.0 Safari/537.36"
)
SUBJECT = "A new sign-in to your account"


@pytest.fixture(scope="module")
def proxied(settings: Settings, contract: Contract) -> Iterator[World]:
    """A server that believes this machine who the client is."""
    behind = settings.model_copy(update={"trusted_proxies": ("127.0.0.1",)})
    runtime = create_runtime(behind)
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    runtime.db.close()


@pytest.fixture
def person(proxied: World) -> Newcomer:
    """A developer with a password and no session yet."""
    return employee(proxied, proxied.create_org(), proxied.client(), proxied.runtime.settings)


def sign_in(person: Newcomer, program: str | None = FIREFOX, ip: str = "198.51.100.7") -> None:
    tokens_of(from_there(person, program, ip).login())


def from_there(person: Newcomer, program: str | None, ip: str) -> Newcomer:
    """The same person at another machine."""
    person.http.headers["X-Forwarded-For"] = ip
    # Without a value, httpx sends a name of its own.
    person.http.headers["User-Agent"] = program or ""
    return person


class TestNewSignIn:
    def test_the_first_one_is_no_news(self, runtime: Runtime, person: Newcomer) -> None:
        sign_in(person)
        assert told(runtime, person) == 0

    @pytest.mark.parametrize("ip", ["198.51.100.7", "198.51.100.255", "198.51.100.0"])
    def test_the_same_program_in_the_same_network_is_known(
        self, runtime: Runtime, person: Newcomer, ip: str
    ) -> None:
        sign_in(person)
        sign_in(person, ip=ip)
        assert told(runtime, person) == 0

    def test_an_updated_program_is_the_same(self, runtime: Runtime, person: Newcomer) -> None:
        sign_in(person)
        sign_in(person, NEXT_FIREFOX)
        assert told(runtime, person) == 0

    @pytest.mark.parametrize(
        ("program", "ip"),
        [
            (CHROME, "198.51.100.7"),
            (None, "198.51.100.7"),
            (FIREFOX, "198.51.101.7"),
            (FIREFOX, "2001:db8:1::7"),
        ],
    )
    def test_another_program_or_network_is_told_once(
        self, runtime: Runtime, person: Newcomer, program: str | None, ip: str
    ) -> None:
        sign_in(person)
        for times in (1, 1):
            sign_in(person, program, ip)
            assert told(runtime, person) == times
        sign_in(person)
        assert told(runtime, person) == 1

    @pytest.mark.parametrize(
        ("ip", "news"), [("2001:db8:1:ffff::1", 0), ("2001:db8:2::7", 1), ("198.51.100.7", 1)]
    )
    def test_a_network_of_ipv6_is_a_48(
        self, runtime: Runtime, person: Newcomer, ip: str, news: int
    ) -> None:
        sign_in(person, ip="2001:db8:1::7")
        sign_in(person, ip=ip)
        assert told(runtime, person) == news

    def test_a_known_program_in_the_network_of_another_is_news(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        sign_in(person, FIREFOX, "198.51.100.7")
        sign_in(person, CHROME, "203.0.113.9")
        sign_in(person, FIREFOX, "203.0.113.9")
        assert told(runtime, person) == 2

    def test_without_an_address_the_program_decides(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        pair = tokens_of(from_there(person, FIREFOX, "198.51.100.7").login())
        change_session(runtime, pair, ip=None)
        sign_in(person, ip="203.0.113.9")
        assert told(runtime, person) == 0

    def test_after_so_long_that_no_session_is_left_it_is_news(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        pair = tokens_of(from_there(person, FIREFOX, "198.51.100.7").login())
        change_session(runtime, pair, expires_at=utc_now() - KEPT_SESSIONS)
        expire(runtime)
        sign_in(person)
        assert told(runtime, person) == 1

    def test_sessions_of_others_count_for_nothing(
        self, runtime: Runtime, proxied: World, person: Newcomer
    ) -> None:
        other = employee(proxied, proxied.create_org(), proxied.client(), runtime.settings)
        sign_in(other, CHROME, "203.0.113.9")
        sign_in(person)
        sign_in(person, CHROME, "203.0.113.9")
        assert (told(runtime, person), told(runtime, other)) == (1, 0)

    def test_refreshing_is_no_sign_in(self, runtime: Runtime, person: Newcomer) -> None:
        pair = tokens_of(from_there(person, FIREFOX, "198.51.100.7").login())
        from_there(person, CHROME, "203.0.113.9")
        assert refresh(person.http, pair["refresh_token"]).status_code == 200
        assert told(runtime, person) == 0

    def test_a_refused_one_is_not_told(self, runtime: Runtime, person: Newcomer) -> None:
        sign_in(person)
        elsewhere = from_there(person, CHROME, "203.0.113.9")
        assert elsewhere.login(password="Wrong-Words-12").status_code == 401
        assert told(runtime, person) == 0

    def test_the_mail_says_device_and_address(
        self, runtime: Runtime, person: Newcomer, worker: WorkerThread
    ) -> None:
        sign_in(person)
        sign_in(person, CHROME, "203.0.113.9")
        mail = person.mail()
        assert mail["Subject"] == SUBJECT
        assert "Chrome on Windows" in text_of(mail)
        assert "203.0.113.9" in text_of(mail)


class TestWaysIn:
    def test_a_link_is_a_sign_in_too(
        self, runtime: Runtime, person: Newcomer, worker: WorkerThread
    ) -> None:
        sign_in(person)
        token = linked(person)
        tokens_of(follow(from_there(person, CHROME, "203.0.113.9"), token))
        assert person.mail(2)["Subject"] == SUBJECT

    def test_a_challenge_is_none_until_the_code(self, runtime: Runtime, person: Newcomer) -> None:
        from_there(person, FIREFOX, "198.51.100.7")
        app = Authenticator(runtime, person).switched_on()
        from_there(person, CHROME, "203.0.113.9")
        challenge = app.challenge()
        assert told(runtime, person) == 0
        tokens_of(app.complete(challenge, app.fresh_code))
        assert told(runtime, person) == 1

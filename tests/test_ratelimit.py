"""Limits that operations declare: by address, by account, by mailbox, by user."""

import re
from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import httpx
import pytest

from bugtracker.callerlimit import SENSITIVE
from bugtracker.contract import Contract, Operation, load_contract
from bugtracker.ratelimit import LIMITS
from bugtracker.runtime import Runtime
from tests.behind import employee
from tests.limiting import WRONG, Clients, limited, some_address, stranger
from tests.parallel import at_once
from tests.registering import Newcomer, answer
from tests.world import Org, World

CONTRACT = load_contract()
LIMITED = [each for each in CONTRACT.operations.values() if each.rate_limit is not None]
MAILS = {
    "register": "/api/auth/register",
    "resend_verification": "/api/auth/verify-email/resend",
    "request_password_reset": "/api/auth/password/forgot",
}


def policy(response: httpx.Response) -> str:
    """The name of the limit that speaks in the headers."""
    found = re.match(r'"([a-z]+)"', response.headers["ratelimit"])
    assert found is not None
    assert response.headers["ratelimit-policy"].startswith(f'"{found[1]}";')
    return found[1]


def ask(clients: Clients, operation: str, email: str, address: str) -> httpx.Response:
    """Asks for one of the mails that anybody may ask for."""
    body = {"email": email}
    if operation == "register":
        body |= {"username": f"new-{uuid4().hex[:12]}", "password": "Tide-Table-1843"}
    return clients.post(MAILS[operation], body, address)


@pytest.fixture
def person(world: World, org: Org, anonymous: httpx.Client, runtime: Runtime) -> Newcomer:
    return employee(world, org, anonymous, runtime.settings)


class TestAddressLimit:
    def test_more_logins_than_allowed_are_refused(self, runtime: Runtime) -> None:
        with limited(runtime, login="3/hour") as clients:
            statuses = [clients.log_in("192.0.2.1", **stranger()).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]

    def test_the_refusal_says_what_the_limit_is_and_when_to_come_back(
        self, runtime: Runtime
    ) -> None:
        with limited(runtime, login="1/hour") as clients:
            clients.statuses(1)
            refused = clients.log_in("192.0.2.1", **stranger())
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "rate_limit_exceeded"
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["ratelimit-policy"] == '"login";q=1;w=3600'
        assert refused.headers["ratelimit"].startswith('"login";r=0;t=')
        assert refused.headers["x-ratelimit-limit"] == "1"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["strict-transport-security"]

    def test_other_operations_are_not_limited_by_it(self, runtime: Runtime) -> None:
        with limited(runtime, login="1/hour") as clients:
            clients.statuses(2)
            refresh = clients.post("/api/auth/refresh", {"refresh_token": "x"}, "192.0.2.1")
        assert refresh.status_code == 401
        assert policy(refresh) == "ip"

    def test_a_request_that_breaks_the_contract_counts_for_the_limit_of_all_requests(
        self, runtime: Runtime
    ) -> None:
        with limited(runtime, login="1/hour", per_ip="4/hour") as clients:
            clients.statuses(2)
            invalid = [clients.post("/api/auth/login", {}, "192.0.2.1") for _ in range(3)]
        assert [response.status_code for response in invalid] == [400, 400, 429]
        assert policy(invalid[2]) == "ip"

    def test_a_network_of_ipv6_counts_as_one_client(self, runtime: Runtime) -> None:
        with limited(runtime, login="1/hour") as clients:
            first = clients.log_in("2001:db8:7::1", **stranger())
            second = clients.log_in("2001:db8:7::2", **stranger())
        assert (first.status_code, second.status_code) == (401, 429)


class TestAccountLimit:
    def test_counts_from_wherever_somebody_tries(self, runtime: Runtime) -> None:
        name = stranger()
        with limited(runtime, login="3/hour") as clients:
            answers = [clients.log_in(some_address(), **name) for _ in range(4)]
            assert [response.status_code for response in answers] == [401, 401, 401, 429]
            assert clients.log_in(some_address(), **stranger()).status_code == 401
        assert policy(answers[3]) == "account"
        assert 0 < int(answers[3].headers["retry-after"]) <= 3600

    def test_is_the_same_for_the_known_and_the_unknown(
        self, runtime: Runtime, person: Newcomer
    ) -> None:
        with limited(runtime, login="2/hour") as clients:
            known, unknown = (
                [answer(clients.log_in(some_address(), **name)) for _ in range(4)]
                for name in ({"email": person.email}, stranger())
            )
        for pair in zip(known, unknown, strict=True):
            for status, body, headers in pair:
                # Seconds may pass between two answers.
                headers.pop("retry-after", None)
                body["detail"] = re.sub(r"in \d+ s", "in … s", body["detail"])
                assert status in (401, 429)
        assert known == unknown

    def test_upper_and_lower_case_are_the_same_account(self, runtime: Runtime) -> None:
        email = stranger()["email"]
        with limited(runtime, login="1/hour") as clients:
            first = clients.log_in(some_address(), email=email)
            second = clients.log_in(some_address(), email=email.upper())
        assert (first.status_code, second.status_code) == (401, 429)

    def test_the_username_is_bounded_too(self, runtime: Runtime, person: Newcomer) -> None:
        with limited(runtime, login="1/hour") as clients:
            answers = [clients.log_in(some_address(), username=person.username) for _ in range(2)]
        assert [response.status_code for response in answers] == [401, 429]

    def test_whom_the_limit_of_addresses_refuses_uses_nothing_of_it(self, runtime: Runtime) -> None:
        name, address = stranger(), some_address()
        with limited(runtime, login="3/hour") as clients:
            for _ in range(3):
                clients.log_in(address, **stranger())
            assert [clients.log_in(address, **name).status_code for _ in range(5)] == [429] * 5
            statuses = [clients.log_in(some_address(), **name).status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]

    def test_of_many_at_once_no_more_than_allowed_are_evaluated(self, runtime: Runtime) -> None:
        name = stranger()
        with limited(runtime, login="5/hour") as clients:
            calls = [partial(clients.log_in, some_address(), **name) for _ in range(40)]
            statuses = [response.status_code for response in at_once(calls)]
        assert (statuses.count(401), statuses.count(429)) == (5, 35)


class TestWhoeverUsesUpTheLimitOfAnAccount:
    """Keeps strangers out, and not the person it belongs to."""

    @pytest.fixture
    def home(self) -> str:
        return some_address()

    @pytest.fixture
    def clients(self, runtime: Runtime, person: Newcomer, home: str) -> Iterator[Clients]:
        with limited(runtime, login="3/hour") as clients:
            assert clients.log_in(home, person.password, email=person.email).status_code == 200
            yield clients

    @staticmethod
    def burn(clients: Clients, person: Newcomer) -> None:
        while clients.log_in(some_address(), email=person.email).status_code != 429:
            pass

    def test_does_not_keep_its_owner_out_at_home(
        self, clients: Clients, person: Newcomer, home: str
    ) -> None:
        self.burn(clients, person)
        for name in ({"email": person.email}, {"username": person.username}):
            logged_in = clients.log_in(home, person.password, **name)
            assert logged_in.status_code == 200, logged_in.text

    def test_keeps_everybody_else_out(self, clients: Clients, person: Newcomer) -> None:
        self.burn(clients, person)
        refused = clients.log_in(some_address(), person.password, email=person.email)
        assert refused.status_code == 429

    def test_finds_no_more_tries_at_home_than_the_limit(
        self, clients: Clients, runtime: Runtime, person: Newcomer, home: str
    ) -> None:
        self.burn(clients, person)
        # Another server of the same database, so that the limit of the address is fresh.
        with limited(runtime, login="3/hour") as others:
            self.burn(others, person)
            assert others.statuses(5, home, email=person.email) == [401, 401, 401, 429, 429]

    def test_is_told_the_same_about_an_account_that_was_never_there(
        self, clients: Clients, home: str
    ) -> None:
        name = stranger()
        while clients.log_in(some_address(), **name).status_code != 429:
            pass
        assert clients.log_in(home, **name).status_code == 429


class TestMailLimit:
    @pytest.mark.parametrize("operation", MAILS)
    def test_a_mailbox_gets_no_more_mails_than_allowed(
        self, runtime: Runtime, operation: str
    ) -> None:
        email = stranger()["email"]
        with limited(runtime, mail="2/hour") as clients:
            answers = [ask(clients, operation, email, some_address()) for _ in range(3)]
            assert [response.status_code for response in answers] == [202, 202, 429]
            other = ask(clients, operation, stranger()["email"], some_address())
            assert other.status_code == 202
            shouted = ask(clients, operation, email.upper(), some_address())
            assert shouted.status_code == 429
        assert policy(answers[2]) == "mailbox"

    @pytest.mark.parametrize("operation", MAILS)
    def test_known_and_unknown_addresses_are_refused_alike(
        self, runtime: Runtime, person: Newcomer, operation: str
    ) -> None:
        with limited(runtime, mail="1/hour") as clients:
            known, unknown = (
                [ask(clients, operation, email, some_address()) for _ in range(2)]
                for email in (person.email, stranger()["email"])
            )
        assert [response.status_code for response in known] == [202, 429]
        assert [response.status_code for response in unknown] == [202, 429]
        assert known[1].json()["code"] == unknown[1].json()["code"]
        assert known[1].headers.keys() == unknown[1].headers.keys()

    @pytest.mark.parametrize("operation", MAILS)
    def test_an_address_asks_no_more_often_than_it_may_log_in(
        self, runtime: Runtime, operation: str
    ) -> None:
        address = some_address()
        with limited(runtime, login="2/hour") as clients:
            answers = [ask(clients, operation, stranger()["email"], address) for _ in range(3)]
            assert clients.log_in(address, **stranger()).status_code == 401
        assert [response.status_code for response in answers] == [202, 202, 429]
        assert policy(answers[2]) == "mail"

    def test_one_kind_of_mail_does_not_hold_back_another(self, runtime: Runtime) -> None:
        email, address = stranger()["email"], some_address()
        with limited(runtime, mail="1/hour", login="1/hour") as clients:
            for operation in MAILS:
                assert ask(clients, operation, email, address).status_code == 202

    def test_of_many_at_once_no_more_than_allowed_are_mailed(self, runtime: Runtime) -> None:
        email = stranger()["email"]
        with limited(runtime, mail="3/hour") as clients:
            calls = [
                partial(ask, clients, "request_password_reset", email, some_address())
                for _ in range(30)
            ]
            statuses = [response.status_code for response in at_once(calls)]
        assert (statuses.count(202), statuses.count(429)) == (3, 27)


class TestSensitiveLimit:
    BODY = {"current_password": WRONG, "new_password": "Lighthouse-1907"}

    def change(self, clients: Clients, token: str, address: str) -> httpx.Response:
        authorization = {"Authorization": f"Bearer {token}"}
        return clients.post("/api/auth/password", self.BODY, address, **authorization)

    def test_counts_a_user_wherever_they_are(self, runtime: Runtime, person: Newcomer) -> None:
        with limited(runtime, sensitive="2/hour") as clients:
            tokens = [
                clients.log_in(some_address(), person.password, email=person.email).json()
                for _ in range(2)
            ]
            answers = [
                self.change(clients, each["access_token"], some_address()) for each in tokens * 2
            ]
        assert [response.status_code for response in answers] == [422, 422, 429, 429]
        assert policy(answers[2]) == "sensitive"

    def test_users_of_one_address_do_not_share_it(
        self, runtime: Runtime, world: World, org: Org, anonymous: httpx.Client
    ) -> None:
        statuses = []
        with limited(runtime, sensitive="1/hour") as clients:
            for _ in range(2):
                user = employee(world, org, anonymous, runtime.settings)
                tokens = clients.log_in("192.0.2.1", user.password, email=user.email).json()
                answered = self.change(clients, tokens["access_token"], "192.0.2.1")
                statuses.append(answered.status_code)
        assert statuses == [422, 422]

    def test_counts_what_reads_the_whole_audit_log(
        self, runtime: Runtime, world: World, org: Org
    ) -> None:
        _, token = world.open_session(org.auditor.id, org.id)
        headers = {"Authorization": f"Bearer {token}"}
        with limited(runtime, sensitive="2/hour") as clients:
            paths = ("export", "verify", "export", "verify")
            answers = [clients.http.get(f"/api/audit/{p}", headers=headers) for p in paths]
        assert [response.status_code for response in answers] == [200, 200, 429, 429]
        assert policy(answers[0]) == policy(answers[3]) == "sensitive"

    def test_nobody_without_a_session_is_counted(self, runtime: Runtime) -> None:
        with limited(runtime, sensitive="1/hour") as clients:
            answers = [self.change(clients, "no token", "192.0.2.1") for _ in range(3)]
        assert [response.status_code for response in answers] == [401] * 3


class TestHeaders:
    def test_an_answer_tells_of_the_limit_that_is_nearest(self, runtime: Runtime) -> None:
        name = stranger()
        with limited(runtime, login="5/hour", per_ip="100/hour") as clients:
            first, second = (clients.log_in(some_address(), **name) for _ in range(2))
        assert first.headers["x-ratelimit-remaining"] == "4"
        assert (policy(second), second.headers["x-ratelimit-remaining"]) == ("account", "3")
        assert second.headers["ratelimit-policy"] == '"account";q=5;w=3600'
        for name in ("ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-reset"):
            assert len(second.headers.get_list(name)) == 1


@pytest.mark.parametrize("operation", LIMITED, ids=lambda operation: operation.id)
class TestContract:
    def test_names_a_limit_that_exists(self, operation: Operation) -> None:
        assert operation.rate_limit in {*LIMITS, SENSITIVE}

    def test_has_what_its_limit_counts_by(self, operation: Operation, contract: Contract) -> None:
        if operation.rate_limit == "sensitive":
            assert operation.permission is not None
        if operation.rate_limit == "mail":
            assert "email" in contract.resolve(operation.body)["required"]

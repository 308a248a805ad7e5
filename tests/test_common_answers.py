"""Answers that every operation can give, given by every operation that documents them.

They come of the edge, of limits, of authentication and of faults: nothing an operation does decides
about them, so that all can be asked alike.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract, Operation, load_contract
from bugtracker.embedded import Cluster
from bugtracker.longpoll import LongPolls
from bugtracker.runtime import Runtime
from tests.answers import documented
from tests.partners import Partner, create_partner
from tests.serving import Server, serve
from tests.test_oddities_targets import IDS
from tests.world import Org, World

OPERATIONS = load_contract().operations.values()
STALL = 0.1
"""Seconds that a body may take on the server of these tests."""

Ask = Callable[[httpx.Client, Operation], httpx.Response]


def path_of(operation: Operation) -> str:
    return operation.path.format(**IDS)


def example_of(operation: Operation) -> Any:
    """A body that is right, None where there is none."""
    media = operation.raw.get("requestBody", {}).get("content", {}).values()
    return next((each["value"] for one in media for each in one["examples"].values()), None)


def plain(client: httpx.Client, operation: Operation, **more: Any) -> httpx.Response:
    """A request that is right, but for what ``more`` says."""
    body = example_of(operation)
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if content else {}
    needed = {each.name: "a" for each in operation.parameters if _is_needed(each)}
    target = path_of(operation) + (f"?{urlencode(needed)}" if needed else "")
    asked = {"content": content, "headers": headers, "url": target, **more}
    return client.request(operation.method, **asked)


def _is_needed(parameter: Any) -> bool:
    return bool(parameter.required) and parameter.location == "query"


def stalled(client: httpx.Client, operation: Operation) -> httpx.Response:
    def body() -> Iterator[bytes]:
        yield b"{"
        time.sleep(3 * STALL)
        yield b"}"

    headers = {"Content-Type": "application/json"}
    return client.request(operation.method, path_of(operation), content=body(), headers=headers)


def with_query(query: str) -> Ask:
    return lambda client, operation: client.request(
        operation.method, f"{path_of(operation)}?{query}"
    )


def with_body(content: bytes, **headers: str) -> Ask:
    return lambda client, operation: plain(
        client,
        operation,
        content=content,
        headers={"Content-Type": "application/json", **headers},
    )


def all_give(client: httpx.Client, status: int, code: str, ask: Ask = plain) -> None:
    """Every operation that documents this answer gives it; the client holds it to the contract."""
    names = {operation for operation, _, given in documented() if given == code}
    asked = [each for each in OPERATIONS if each.id in names]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: ask(client, each), asked))
    others = {
        each.id: (answer.status_code, answer.text[:80])
        for each, answer in zip(asked, answers, strict=True)
        if answer.status_code != status or answer.json()["code"] != code
    }
    assert others == {}


@pytest.fixture(scope="module")
def strict(runtime: Runtime, contract: Contract) -> Iterator[Server]:
    """A server with little patience."""
    changes = {"max_body_bytes": 2048, "body_timeout": STALL}
    settings = runtime.settings.model_copy(update=changes)
    with serve(create_app(Runtime(**{**vars(runtime), "settings": settings}), contract)) as server:
        yield server


@pytest.fixture(scope="module")
def partner(runtime: Runtime, world: World) -> Partner:
    return create_partner(runtime, world.client())


@pytest.fixture
def client(world: World, strict: Server, org: Org) -> Iterator[httpx.Client]:
    """An owner on the strict server."""
    with there(world, strict, org) as http:
        yield http


def there(world: World, server: Server, org: Org | None = None) -> httpx.Client:
    headers = {} if org is None else org.owner.authorization
    return httpx.Client(
        base_url=server.url,
        headers=headers,
        timeout=30,
        verify=False,
        event_hooks={"response": [world.conformance]},
    )


class TestEdge:
    @pytest.mark.parametrize(
        ("status", "code", "ask"),
        [
            (400, "request_malformed", with_query("x=%zz")),
            (414, "uri_too_long", with_query("x=" + "a" * 9_000)),
            (413, "body_too_large", with_body(b"x" * 2_049)),
            (415, "media_type_not_supported", with_body(b"{}", **{"Content-Encoding": "gzip"})),
            (408, "request_timeout", stalled),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_refuses_for_all(self, client: httpx.Client, status: int, code: str, ask: Ask) -> None:
        all_give(client, status, code, ask)

    def test_counts_for_all(
        self, world: World, runtime: Runtime, contract: Contract, org: Org
    ) -> None:
        settings = runtime.settings.model_copy(update={"rate_limit_per_ip": "1/hour"})
        changed = Runtime(**{**vars(runtime), "settings": settings})
        with serve(create_app(changed, contract)) as server, there(world, server, org) as http:
            http.get("/api/auth/me")
            all_give(http, 429, "rate_limit_exceeded")

    def test_says_so_when_something_broke(
        self,
        world: World,
        runtime: Runtime,
        contract: Contract,
        org: Org,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def broken(*_: object) -> None:
            raise RuntimeError("a fault behind the edge")

        monkeypatch.setattr(LongPolls, "__call__", broken)
        with serve(create_app(runtime, contract)) as server, there(world, server, org) as http:
            all_give(http, 500, "internal_error")


class TestAuthentication:
    def test_is_required(self, world: World, strict: Server) -> None:
        with there(world, strict) as http:
            all_give(http, 401, "authentication_required")

    def test_wants_a_token_that_holds(self, client: httpx.Client) -> None:
        client.headers["Authorization"] = "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
        all_give(client, 401, "token_invalid")

    def test_wants_an_organisation(self, world: World, strict: Server) -> None:
        with there(world, strict) as http:
            http.headers.update(world.create_loner().authorization)
            all_give(http, 403, "organisation_required")


class TestRequest:
    def test_that_breaks_the_contract_is_invalid(
        self, client: httpx.Client, partner: Partner
    ) -> None:
        def ask(http: httpx.Client, operation: Operation) -> httpx.Response:
            target = f"{path_of(operation)}?unknown=1"
            headers = partner.headers(operation.method.upper(), target)
            return http.request(operation.method, target, headers=headers)

        all_give(client, 400, "request_invalid", ask)

    def test_without_a_database_is_answered_all_the_same(
        self, world: World, runtime: Runtime, contract: Contract, cluster: Cluster, org: Org,
        partner: Partner,
    ) -> None:  # fmt: skip
        url = SecretStr(cluster.api_url("nowhere"))
        away = create_runtime(runtime.settings.model_copy(update={"database_url": url}))

        def ask(http: httpx.Client, operation: Operation) -> httpx.Response:
            if "/provisioning/" not in operation.path:
                return plain(http, operation)
            content = json.dumps(example_of(operation)).encode() if operation.body else b""
            target = path_of(operation)
            headers = partner.headers(operation.method.upper(), target, content)
            return plain(http, operation, content=content, headers=headers | JSON)

        with serve(create_app(away, contract)) as server, there(world, server, org) as http:
            all_give(http, 503, "service_unavailable", ask)
        away.db.close()


class TestWithoutBody:
    """Operations that take none, but for those that are read or lead elsewhere."""

    def test_refuse_one(self, client: httpx.Client, partner: Partner) -> None:
        for answer in each_without_body(client, partner, b'{"role": "owner"}'):
            assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
            assert [each["code"] for each in answer.json()["errors"]] == ["unexpected_body"]

    def test_refuse_another_type(self, client: httpx.Client, partner: Partner) -> None:
        text = {"Content-Type": "text/plain"}
        for answer in each_without_body(client, partner, b"x", text):
            assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")

    @pytest.mark.parametrize("content", [b"", b"{}"])
    def test_take_an_empty_one(
        self, client: httpx.Client, partner: Partner, content: bytes
    ) -> None:
        for answer in each_without_body(client, partner, content):
            assert answer.status_code in (202, 204, 401, 404)


JSON = {"Content-Type": "application/json"}


def each_without_body(
    client: httpx.Client, partner: Partner, content: bytes, typed: dict[str, str] = JSON
) -> Iterator[httpx.Response]:
    """The answers of all such operations to this body; logging out comes last."""
    asked = [each for each in OPERATIONS if each.method != "get" and each.body is None]
    for operation in sorted(asked, key=lambda each: each.id == "logout_all"):
        if "308" not in operation.raw["responses"]:
            method, target = operation.method.upper(), path_of(operation)
            signed = partner.headers(method, target, content) if "provis" in target else {}
            yield client.request(method, target, content=content, headers=typed | signed)

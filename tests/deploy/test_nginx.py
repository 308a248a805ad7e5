"""What nginx does between clients and the API: TLS, addresses, compression, caches."""

import json
import socket
import ssl
import time
from contextlib import closing
from typing import Any

import httpx
import pytest

from bugtracker.settings import Settings
from tests.behind import employee
from tests.deploy.proxy import Proxy
from tests.registering import tokens_of
from tests.world import PASSWORD, World


def negotiate(front: Proxy, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
    """A TLS connection to nginx, of this version only where one is given."""
    context = front.trust
    context.set_alpn_protocols(["h2", "http/1.1"])
    if version is not None:
        # OpenSSL refuses old versions on our side already, unless told to be lax.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    raw = socket.create_connection(("127.0.0.1", front.https_port), timeout=10)
    return context.wrap_socket(raw, server_hostname="localhost")


def requests_logged(front: Proxy, path: str, count: int) -> list[dict[str, Any]]:
    """So many requests of a path from the log, which is written when they have been answered."""
    while True:
        lines = [json.loads(line) for line in front.log.splitlines() if line.startswith("{")]
        found = [line for line in lines if line["path"] == path]
        if len(found) >= count:
            return found
        time.sleep(0.01)


class TestTls:
    def test_http_is_sent_to_https(self, front: Proxy) -> None:
        answer = httpx.post(f"http://127.0.0.1:{front.http_port}/api/auth/login?a=b")
        assert answer.status_code == 308
        assert answer.headers["location"] == "https://127.0.0.1/api/auth/login?a=b"

    def test_http_2_is_offered(self, front: Proxy) -> None:
        with closing(negotiate(front)) as connection:
            assert connection.selected_alpn_protocol() == "h2"

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_new_versions_are_spoken(self, front: Proxy, version: ssl.TLSVersion) -> None:
        with closing(negotiate(front, version)) as connection:
            name = connection.cipher()
            assert name is not None
            assert "GCM" in name[0] or "CHACHA20" in name[0]

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    @pytest.mark.parametrize("name", ["TLSv1", "TLSv1_1"])
    def test_old_versions_are_refused(self, front: Proxy, name: str) -> None:
        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
            negotiate(front, ssl.TLSVersion[name])


class TestClientAddress:
    def test_what_the_client_claims_to_be_is_not_believed(
        self, front: Proxy, world: World, anonymous: httpx.Client, settings: Settings
    ) -> None:
        person = employee(world, world.create_org(), anonymous, settings)
        claims = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
        claims["X-Real-IP"] = "203.0.113.7"
        with front.client("127.0.0.9") as client:
            login = {"username": person.username, "password": PASSWORD}
            tokens = tokens_of(client.post("/api/auth/login", json=login, headers=claims))
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            sessions = client.get("/api/auth/sessions", headers=bearer).json()
        logins = requests_logged(front, "/api/auth/login", 1)
        (logged,) = [line for line in logins if line["tls"]]
        assert logged["client_ip"] == "127.0.0.9"
        assert [each["ip"] for each in sessions["items"]] == ["127.0.0.9"]


class TestCompression:
    def test_what_is_long_is_compressed(self, outside: httpx.Client) -> None:
        answer = outside.get("/openapi.json")
        assert answer.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["vary"]
        assert answer.json()["openapi"].startswith("3.")

    def test_what_has_tokens_in_it_is_not(self, outside: httpx.Client, world: World) -> None:
        owner = world.create_org().owner
        answer = outside.get("/api/auth/me", headers=owner.authorization)
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers

    def test_a_tag_of_a_compressed_answer_can_be_used(
        self, outside: httpx.Client, world: World
    ) -> None:
        owner = world.create_org().owner
        project = owner.create_project(description="The tide table. " * 60)
        path = f"/api/projects/{project['id']}"
        read = outside.get(path, headers=owner.authorization)
        assert read.headers["content-encoding"] == "gzip"
        condition = {"If-Match": read.headers["etag"], **owner.authorization}
        assert outside.patch(path, json={"name": "Ebb"}, headers=condition).status_code == 200
        assert outside.patch(path, json={"name": "Flood"}, headers=condition).status_code == 412


class TestCache:
    def test_public_documents_are_fetched_once(self, front: Proxy, outside: httpx.Client) -> None:
        scripts = [
            f"/{page}/" + outside.get(f"/{page}").text.split(f'src="/{page}/')[1].split('"')[0]
            for page in ("docs", "reference")
        ]
        for path in ("/openapi.yaml", "/.well-known/jwks.json", *scripts):
            answers = [outside.get(path) for _ in range(3)]
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.headers["x-request-id"] for answer in answers}) == 3
            assert len({answer.content for answer in answers}) == 1
            for answer in answers:
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert not [name for name in answer.headers if "ratelimit" in name]
            cached = [line["cache"] for line in requests_logged(front, path, 3)]
            assert cached == ["MISS", "HIT", "HIT"]
        tag = {"If-None-Match": outside.get("/openapi.yaml").headers["etag"]}
        assert outside.get("/openapi.yaml", headers=tag).status_code == 304

    def test_nothing_else_is_kept(self, front: Proxy, outside: httpx.Client, world: World) -> None:
        owner = world.create_org().owner
        for path in ("/api/organisations", "/api/auth/me", "/healthz", "/docs"):
            for _ in range(2):
                assert outside.get(path, headers=owner.authorization).status_code == 200
            assert {line["cache"] for line in requests_logged(front, path, 2)} == {""}


class TestWaiting:
    def test_an_event_is_waited_for(self, outside: httpx.Client, world: World) -> None:
        owner = world.create_org().owner
        first = outside.get("/api/events", headers=owner.authorization).json()
        params = {"after": first["next_cursor"], "wait": "1"}
        answer = outside.get("/api/events", params=params, headers=owner.authorization)
        assert answer.status_code == 200, answer.text

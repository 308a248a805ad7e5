"""Who is let in as a partner system: whoever signs as agreed, and nobody else."""

import json
import re
import urllib.error
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from bugtracker.runtime import Runtime
from bugtracker.security.partner_signatures import signature
from tests.limiting import limited
from tests.partners import URL, Partner, create_partner, disable, rotate_key, wanted
from tests.serving import Server
from tests.world import Org, refused, without_id

DOCUMENT = (Path(__file__).parents[2] / "docs" / "provisioning.md").read_text()
CODE = "partner_credentials_invalid"
PATH = f"{URL}/nothing"


@pytest.fixture
def partner(runtime: Runtime, anonymous: httpx.Client) -> Partner:
    return create_partner(runtime, anonymous)


class Gate:
    """Sends requests and notes why they were refused."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.answers: list[httpx.Response] = []

    def refuses(self, reason: str, headers: dict[str, str], path: str = PATH) -> None:
        with capture_logs() as lines:
            answer = self.http.get(path, headers=headers)
        refused(answer, 401, CODE)
        told = [line["reason"] for line in lines if line["event"] == "partner_refused"]
        assert told == [reason]
        self.answers.append(answer)

    def admits(self, headers: dict[str, str]) -> None:
        refused(self.http.get(PATH, headers=headers), 404, "resource_not_found")


class TestSignature:
    def test_whatever_is_wrong_the_refusal_is_the_same(
        self, runtime: Runtime, org: Org, partner: Partner
    ) -> None:
        gate, other = Gate(partner.http), create_partner(runtime, partner.http)
        good = partner.headers("GET", PATH)
        for name in good:
            without = {key: value for key, value in good.items() if key != name}
            gate.refuses("key" if name == "Bugtracker-Key" else "malformed", without)
        for name, value in (
            ("Timestamp", "now"), ("Timestamp", good["Bugtracker-Timestamp"] + "0"),
            ("Timestamp", "-" + good["Bugtracker-Timestamp"][1:]), ("Nonce", "short"),
            ("Nonce", "n" * 65), ("Nonce", "!" * 20),
            ("Signature", good["Bugtracker-Signature"][3:]),
            ("Signature", good["Bugtracker-Signature"].upper()), ("Signature", "v1="),
        ):  # fmt: skip
            gate.refuses("malformed", good | {f"Bugtracker-{name}": value})
        key = org.owner.create_api_key()["key"]
        for value in (key, other.key[:-1], other.key + "x", partner.secret, "bp_", key[3:]):
            gate.refuses("key", good | {"Bugtracker-Key": value})
        for headers in (
            good | {"Bugtracker-Key": other.key},
            good | {"Bugtracker-Nonce": uuid4().hex},
            good | {"Bugtracker-Timestamp": str(int(good["Bugtracker-Timestamp"]) + 1)},
            good | {"Bugtracker-Signature": "v1=" + "0" * 64},
            partner.headers("POST", PATH),
            partner.headers("HEAD", PATH),
            partner.headers("GET", f"{PATH}?"),
            partner.headers("GET", PATH.upper()),
            partner.headers("GET", PATH, b"{}"),
            other.headers("GET", PATH) | {"Bugtracker-Key": partner.key},
        ):
            gate.refuses("signature", headers)
        gate.refuses("signature", good, f"{PATH}?x=1")
        for age in (302, -302):
            gate.refuses("timestamp", partner.headers("GET", PATH, age=age))
        # None of this has used the nonce up; now it is used once.
        gate.admits(good)
        gate.refuses("nonce", good)
        self._are_alike(gate.answers)

    def _are_alike(self, answers: list[httpx.Response]) -> None:
        volatile = {"x-request-id", "date", "ratelimit", "x-ratelimit-remaining"}
        volatile |= {"x-ratelimit-reset"}
        problems = {json.dumps(without_id(answer.json())) for answer in answers}
        headers = {
            json.dumps({k: v for k, v in answer.headers.items() if k not in volatile})
            for answer in answers
        }
        assert len(answers) > 30
        assert (len(problems), len(headers)) == (1, 1)
        assert answers[0].headers["WWW-Authenticate"].startswith("Bugtracker-HMAC")

    def test_clocks_may_differ_by_five_minutes(self, partner: Partner) -> None:
        for age in (290, -290):
            Gate(partner.http).admits(partner.headers("GET", PATH, age=age))

    def test_is_of_the_body_as_it_was_sent(self, partner: Partner) -> None:
        content = json.dumps(wanted()).encode()
        headers = partner.headers("POST", URL, content) | {"Content-Type": "application/json"}
        for changed in (content + b" ", content.replace(b"owner", b"Owner", 1), b""):
            refused(partner.http.post(URL, content=changed, headers=headers), 401, CODE)

    def test_is_of_the_path_as_it_was_sent(self, partner: Partner) -> None:
        gate, escaped = Gate(partner.http), f"{URL}/n%6Fthing"
        gate.refuses("signature", partner.headers("GET", PATH), escaped)
        answer = partner.http.get(escaped, headers=partner.headers("GET", escaped))
        refused(answer, 404, "resource_not_found")

    def test_opens_nothing_but_what_is_for_partners(self, partner: Partner) -> None:
        for path in ("/api/projects", "/api/auth/me"):
            answer = partner.send("GET", path)
            refused(answer, 401, "authentication_required")
        bearer = {"Authorization": f"Bearer {partner.key}"}
        refused(partner.http.get("/api/projects", headers=bearer), 401, "token_invalid")

    def test_a_log_line_never_has_what_was_sent_as_the_key(self, partner: Partner) -> None:
        headers = partner.headers("GET", PATH) | {"Bugtracker-Key": partner.secret}
        with capture_logs() as lines:
            partner.http.get(PATH, headers=headers)
        assert partner.secret[:8] not in str(lines)


class TestKeys:
    def test_of_before_a_rotation_end_with_the_overlap(
        self, runtime: Runtime, partner: Partner
    ) -> None:
        gate = Gate(partner.http)
        second = rotate_key(runtime, partner, timedelta(hours=1))
        third = rotate_key(runtime, second, timedelta(0))
        for ended in (partner, second):
            gate.refuses("key", ended.headers("GET", PATH))
        fourth = rotate_key(runtime, third, timedelta(hours=1))
        for live in (third, fourth):
            gate.admits(live.headers("GET", PATH))

    def test_of_a_disabled_partner_end_at_once(self, runtime: Runtime, partner: Partner) -> None:
        disable(runtime, partner)
        Gate(partner.http).refuses("key", partner.headers("GET", PATH))


class TestLimit:
    def test_is_of_each_partner_alone(self, runtime: Runtime, partner: Partner) -> None:
        with limited(runtime, partner="2/hour") as clients:
            mine, other = partner.at(clients.http), create_partner(runtime, clients.http)
            assert [mine.status("x").status_code for _ in range(3)] == [404, 404, 429]
            # Whoever cannot sign uses nobody's limit up.
            forged = other.headers("GET", PATH) | {"Bugtracker-Nonce": uuid4().hex}
            assert {clients.http.get(PATH, headers=forged).status_code for _ in range(3)} == {401}
            answer = other.status("x")
        assert answer.status_code == 404
        assert answer.headers["ratelimit-policy"] == '"partner";q=2;w=3600'


class TestDocument:
    def test_its_program_works(self, server: Server, partner: Partner) -> None:
        program: dict[str, Any] = {}
        exec(re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)[0], program)
        call, body = (
            program["call"],
            json.loads(re.findall(r"```json\n(.*?)```", DOCUMENT, re.S)[0]),
        )
        body["organisation"]["slug"] = f"engines-{uuid4().hex[:8]}"
        who = (server.url, partner.key, partner.secret)
        status, begun = call(*who, "POST", URL, body)
        assert (status, begun["status"]) == (202, "pending")
        status, found = call(*who, "GET", f"{URL}/{body['reference']}")
        assert (status, found["reference"]) == (200, body["reference"])
        with pytest.raises(urllib.error.HTTPError, match="401"):
            call(server.url, partner.key, "another secret", "GET", PATH)

    def test_its_example_is_worked_out_right(self) -> None:
        lines = re.search(r"\n(bugtracker-v1\n.*?)\n<SHA", DOCUMENT, re.S)
        secret = re.search(r"the secret is\n`(.*?)`", DOCUMENT)
        body = re.search(r"the body is `(.*?)`", DOCUMENT)
        assert lines
        assert secret
        assert body
        _, method, path, timestamp, nonce = lines[1].split("\n")
        right = signature(secret[1], method, path, timestamp, nonce, body[1].encode())
        assert f"\n{right}\n" in DOCUMENT

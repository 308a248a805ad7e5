"""Deliveries reach public addresses only: as written down, as resolved, and each time anew."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from bugtracker.errors import WebhookUrlNotAllowed
from bugtracker.webhooks.addresses import check_url, is_public
from bugtracker.webhooks.sending import Outcome, Sender
from tests.webhooks.receiver import Receiver, status
from tests.webhooks.stepping import WEBHOOKS
from tests.webhooks.tls import certificate, server_context
from tests.world import Org, World, refused

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
    "2001:10::1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]

REFUSED = [
    "http://hooks.example.com/", "https://user@hooks.example.com/", "https://a:b@example.com/",
    "https://hooks.example.com/#fragment", "https://hooks.example.com:22/",
    "https://hooks.example.com:25/x", "https://hooks.example.com:80/", "https://127.0.0.1/",
    "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/",
    "https://[::1]/", "https://[::ffff:169.254.169.254]/", "https://169.254.169.254/latest/",
    "https://localhost/", "https://intranet/", "https://db.local/", "https://metadata.internal/",
    "https://api.localhost/", "https://hooks.example.com:99999/", "https:///x", "https://[fe80::1%25eth0]/",
    "https://hooks..example.com/", "https://hooks.example.com\\@127.0.0.1/", "https://%31%32%37.0.0.1/",
    "https://hooks_.example.com./", "https://-x.example.com/", "https://127.0.0.1./",
]  # fmt: skip
ALLOWED = [
    "https://hooks.example.com", "https://hooks.example.com:443/x?y=z", "https://hooks.example.com:8443/",
    "https://1.1.1.1/", "https://[2606:4700::1111]:8443/x", "https://xn--bcher-kva.example/hook",
    "https://hooks.example.com./a", "https://a_b.example.com/",
]  # fmt: skip

TLS = Outcome(error="tls_failed")


class Names:
    """A resolver that answers as told, one answer after the other, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise OSError("no such name")
        return found


def post(names: Names, port: int, *, allow_local: bool = False, scheme: str = "http") -> Outcome:
    """One attempt; what is not for development is by TLS."""
    scheme = scheme if allow_local else "https"
    sender = Sender(timeout=10.0, allow_local=allow_local, resolve=names)
    return asyncio.run(sender.post(f"{scheme}://hooks.example.com:{port}/hook", {}, b"{}"))


class TestAddress:
    @pytest.mark.parametrize("address", PRIVATE)
    def test_that_is_not_everybodys_is_refused(self, address: str) -> None:
        assert not is_public(address)

    @pytest.mark.parametrize("address", PUBLIC)
    def test_of_the_internet_is_allowed(self, address: str) -> None:
        assert is_public(address)


class TestUrl:
    @pytest.mark.parametrize("url", REFUSED)
    def test_that_nothing_may_be_sent_to_is_refused(self, url: str) -> None:
        with pytest.raises(WebhookUrlNotAllowed):
            check_url(url, allow_local=False)

    @pytest.mark.parametrize("url", ALLOWED)
    def test_of_a_receiver_is_allowed(self, url: str) -> None:
        check_url(url, allow_local=False)

    def test_is_refused_over_http_with_every_reason(self, world: World) -> None:
        body = {"url": "http://root@10.0.0.1:22/#x", "event_types": ["*"]}
        response = world.create_org().admin.post(WEBHOOKS, body)
        problem = refused(response, 422, "webhook_url_not_allowed")
        assert len(problem["errors"]) == 5
        assert {error["pointer"] for error in problem["errors"]} == {"/url"}

    def test_may_be_local_for_development(self, org: Org, receiver: Receiver) -> None:
        for url in (receiver.url, "http://localhost:9/", "https://db.local/"):
            assert org.admin.post(WEBHOOKS, {"url": url, "event_types": ["*"]}).is_success


class TestSending:
    def test_checks_every_address_of_a_name(self, receiver: Receiver) -> None:
        for found in (["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%1"]):
            assert post(Names(found), receiver.port) == Outcome(error="address_not_allowed")
        assert receiver.messages == []

    def test_connects_to_the_address_that_was_checked(self, receiver: Receiver) -> None:
        """The name is looked up once for an attempt: what it answers next changes nothing."""
        names = Names(["127.0.0.1"], ["192.0.2.1"])
        assert post(names, receiver.port, allow_local=True).status == 204
        assert names.asked == 1
        assert receiver.messages[0].headers["host"] == f"hooks.example.com:{receiver.port}"

    def test_checks_anew_each_time(self, receiver: Receiver) -> None:
        """A name that flips from a public address to a private one is caught at the next try."""
        names = Names(["192.88.99.1"], ["127.0.0.1"])
        sender = Sender(timeout=10.0, allow_local=False, resolve=names)

        async def twice() -> list[Outcome]:
            url = f"https://hooks.example.com:{receiver.port}/"
            return [await sender.post(url, {}, b"{}") for _ in range(2)]

        outcomes = asyncio.run(twice())
        assert [each.error for each in outcomes] == ["address_not_allowed"] * 2
        assert (names.asked, receiver.messages) == (2, [])

    def test_checks_the_url_anew_too(self, receiver: Receiver) -> None:
        """One that was written down when development was allowed goes nowhere in production."""
        names = Names(["1.1.1.1"])
        sender = Sender(timeout=10.0, allow_local=False, resolve=names)
        outcome = asyncio.run(sender.post(receiver.url, {}, b"{}"))
        assert (outcome, names.asked) == (Outcome(error="url_not_allowed"), 0)

    def test_follows_no_redirect(self, receiver: Receiver) -> None:
        target = f"http://127.0.0.1:{receiver.port}/elsewhere"
        for code in (301, 302, 303, 307, 308):
            receiver.answer = status(code, Location=target)
            outcome = post(Names(["127.0.0.1"]), receiver.port, allow_local=True)
            assert outcome == Outcome(code)
        assert {message.path for message in receiver.messages} == {"/hook"}

    def test_uses_no_proxy(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert post(Names(["127.0.0.1"]), receiver.port, allow_local=True).status == 204

    def test_takes_the_next_address_when_one_does_not_answer(self, receiver: Receiver) -> None:
        names = Names(["127.0.0.2", "127.0.0.1"])
        assert post(names, receiver.port, allow_local=True).accepted

    def test_of_a_name_without_address_says_so(self, receiver: Receiver) -> None:
        assert post(Names([]), receiver.port).error == "name_not_resolved"

    def test_speaks_tls_with_the_name_and_nobody_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = Names(["127.0.0.1"])
        for host, outcome in (("hooks.example.com", Outcome(204)), ("other.example.com", TLS)):
            file = certificate(tmp_path, host)
            with Receiver(server_context(file)) as receiver:
                monkeypatch.delenv("SSL_CERT_FILE", raising=False)
                assert post(names, receiver.port, allow_local=True, scheme="https") == TLS
                monkeypatch.setenv("SSL_CERT_FILE", str(file))
                assert post(names, receiver.port, allow_local=True, scheme="https") == outcome

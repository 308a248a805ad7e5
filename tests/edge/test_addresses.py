"""Whose request it is."""

import pytest

from bugtracker.edge.addresses import ClientAddresses, limit_key, parse_address

PROXIES = ClientAddresses(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2,192.0.2.7", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, rubbish", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, rubbish, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:5555", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("10.0.0.1", "9" * 100, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9\xff", "10.0.0.1"),
        (None, "203.0.113.9", "unknown"),
        ("/run/socket", None, "unknown"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    peer: str | None, forwarded: str | None, client: str
) -> None:
    raw = forwarded.encode("latin-1") if forwarded is not None else None
    assert PROXIES.client(peer, raw) == client


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert ClientAddresses([]).client("10.0.0.1", b"203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_ipv6_is_counted_by_network(client: str, key: str) -> None:
    assert limit_key(client) == key


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "1.2.3.4.5", ":", "[", "[]", "a:b", "01.2.3.4"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


def test_a_wrong_proxy_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        ClientAddresses(["nonsense"])

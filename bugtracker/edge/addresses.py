"""Who is calling: the client's address behind the proxies we trust."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address

UNKNOWN = "unknown"
"""The address of a peer that has none, such as a Unix socket."""

_MAX_ADDRESS = 64


class ClientAddresses:
    """Finds client addresses; `X-Forwarded-For` counts only when a trusted proxy wrote it."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        """Take addresses or networks in CIDR form. ValueError for anything else."""
        self._trusted = tuple(ip_network(proxy, strict=False) for proxy in trusted_proxies)

    def client(self, peer: str | None, forwarded_for: bytes | None) -> str:
        """The client's address as text.

        `forwarded_for` is walked from the right, over the proxies that are trusted. The first
        address that is not is the client; what stands to its left anybody could have written.
        """
        address = parse_address(peer or "")
        if address is None:
            return UNKNOWN
        if forwarded_for is None or not self._trusted:
            return str(address)
        hops = forwarded_for.decode("latin-1").split(",")
        while hops and _is_within(address, self._trusted):
            previous = parse_address(hops.pop().strip())
            if previous is None:
                break
            address = previous
        return str(address)


@lru_cache(maxsize=4096)
def limit_key(client: str) -> str:
    """What the per-address limit counts by: IPv4 addresses, and /64 networks of IPv6.

    One IPv6 customer usually has a whole /64, so single addresses would be no limit at all.
    """
    address = parse_address(client)
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed[:8] + bytes(8), 64)))
    return client


def parse_address(text: str) -> Address | None:
    """An address, with or without port or zone; IPv4 inside IPv6 becomes IPv4. None if unclear."""
    # Long texts stay out of the cache, which would otherwise hold whatever anybody sends.
    return _parsed(text) if len(text) <= _MAX_ADDRESS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def _is_within(address: Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)

"""Where deliveries may go: to public addresses, by TLS, and nowhere else.

A URL is checked when it is written down (:func:`check_url`), and the addresses that its name has
each time it is used (:func:`is_public`): names can be pointed elsewhere at any time.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from bugtracker.errors import Violation, WebhookUrlNotAllowed
from bugtracker.messages import Message, _

# What ip_address().is_global lets through although it leads, or may lead, into a private network:
# the relays of 6to4, a cloud's own services, and all ways to write IPv4 in IPv6.
NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
    )
)
PUBLIC_IPV6 = IPv6Network("2000::/3")

NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+"
                  r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?")  # fmt: skip
LOCAL_NAME = re.compile(r"(.*\.)?(localhost|local|internal|intranet|lan|home\.arpa|test)\.?", re.I)
LOWEST_PORT = 1024


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach this address."""
    ip = ip_address(address)
    if not ip.is_global or any(ip in network for network in NOT_PUBLIC):
        return False
    return ip.version == 4 or ip in PUBLIC_IPV6


def check_url(url: str, *, allow_local: bool) -> None:
    """422 for a URL that nothing may be sent to, with everything that is wrong with it."""
    wrong = list(_problems(url, allow_local))
    if wrong:
        raise WebhookUrlNotAllowed(
            _("Deliveries cannot be sent to this URL; see errors."),
            errors=[Violation("url", each, pointer="/url") for each in wrong],
        )


def _problems(url: str, allow_local: bool) -> Iterator[Message]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield _("cannot be read")
        return
    if parts.scheme != "https" and not (allow_local and parts.scheme == "http"):
        yield _("must begin with https://")
    if "@" in parts.netloc:
        yield _("must not hold a username or password")
    if parts.fragment:
        yield _("must not have a fragment")
    if not allow_local and port is not None and port != 443 and port < LOWEST_PORT:
        yield _("must be on port 443 or one from {lowest}", lowest=LOWEST_PORT)
    yield from _host_problems(parts, allow_local)


def _host_problems(parts: SplitResult, allow_local: bool) -> Iterator[Message]:
    host = parts.hostname or ""
    if literal := _literal(host):
        if not allow_local and not is_public(literal):
            yield _("must be at a public address")
    elif allow_local and host == "localhost":
        return
    elif not NAME.fullmatch(host):
        yield _("must have a full host name or an address in its usual form")
    elif not allow_local and LOCAL_NAME.fullmatch(host):
        yield _("must not be at a name for private use")


def _literal(host: str) -> str | None:
    """The address that a host is written as, if it is one; a zone is none."""
    try:
        return str(ip_address(host)) if "%" not in host else None
    except ValueError:
        return None

"""Where a request comes from, as sessions and the events of logins keep it."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from bugtracker.context import Context
from bugtracker.services import events

MAX_USER_AGENT = 400


def address(ctx: Context) -> IPv4Address | IPv6Address | None:
    """None for a peer without an address, such as a proxy on a Unix socket."""
    try:
        return ip_address(ctx.client_ip)
    except ValueError:
        return None


def user_agent(ctx: Context) -> str | None:
    """The program as it calls itself, cut."""
    return (ctx.user_agent or "")[:MAX_USER_AGENT] or None


def told(ctx: Context) -> events.Changes:
    """Both, for an event. They are personal: the seal hides them, so that they can be erased
    (:mod:`bugtracker.audit.personal`)."""
    ip = address(ctx)
    return events.created(ip=None if ip is None else str(ip), user_agent=user_agent(ctx))

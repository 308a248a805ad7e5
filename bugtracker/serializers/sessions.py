"""Sessions as the contract shows them."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from bugtracker.messages import _

UNKNOWN_DEVICE = _("Unknown device")
MAX_DEVICE = 80

# The first that fits counts: most browsers also claim to be Safari, many to be Chrome, and
# Android is a Linux. Words are those of user agents of the last ten years.
_BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS)/"),
    ("Safari", r"\bVersion/.*\bSafari/"),
)
_SYSTEMS = (
    ("Windows", r"\bWindows\b"),
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("macOS", r"\bMacintosh\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


def session(current: UUID | None) -> Callable[[Any], dict[str, Any]]:
    """``Session`` of the contract, for the caller whose session is ``current``."""

    def serialise(row: Any) -> dict[str, Any]:
        return {
            "id": row.id,
            "current": row.id == current,
            "device": device(row.user_agent),
            "user_agent": row.user_agent,
            "ip": None if row.ip is None else str(row.ip),
            "created_at": row.created_at,
            "last_used_at": row.last_used_at,
            "expires_at": row.expires_at,
        }

    return serialise


def device(user_agent: str | None) -> str:
    """What a person recognises a device by, such as "Firefox on Linux"; the beginning of the user
    agent where it is no browser we know."""
    if not user_agent:
        return UNKNOWN_DEVICE
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser is None:
        return user_agent[:MAX_DEVICE]
    return browser if system is None else _("{browser} on {system}", browser=browser, system=system)


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for name, pattern in names if re.search(pattern, user_agent)), None)

"""An answer beside the example of it that the contract shows."""

import re
from typing import Any

KINDS = {
    "<id>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
    "<issue>": r"[A-Z0-9]{2,10}-[1-9]\d*",
    "<access token>": r"eyJ[\w-]+\.[\w-]+\.[\w-]+",
    "<api key>": r"bt_[a-z0-9]{8}_\w+",
    "<key's prefix>": r"bt_[a-z0-9]{8}",
    "<webhook's secret>": r"whsec_[A-Za-z0-9+/]+=*",
    "<backup code>": r"[a-z0-9]{4}(-[a-z0-9]{4}){3}",
    "<picture>": r"data:image/svg\+xml;charset=utf-8,.+",
    "<otpauth>": r"otpauth://totp/Bugtracker:ada%40example\.com\?secret=[A-Z2-7]+&.+",
    "<secret>": r"[A-Z2-7]{32}",
    "<token>": r"[\w-]{32,}",
}
MISSING = "<nothing>"
COUNTS = {"version", "number", "login_count", "events_checked", "queued"}


def normalised(value: Any, name: str = "") -> Any:
    """Without what differs from one run to the next: ids, times, tokens and counts."""
    if isinstance(value, dict):
        return {key: normalised(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [normalised(each, name) for each in value]
    if isinstance(value, str):
        kinds = (kind for kind, form in KINDS.items() if re.fullmatch(form, value))
        return next(kinds, value)
    return "<count>" if name in COUNTS else value


def differences(answer: Any, expected: Any, where: str = "") -> list[str]:
    """Where an answer is not what was expected, both normalised."""
    if isinstance(answer, dict) and isinstance(expected, dict):
        pairs = {
            f"{where}/{key}": (answer.get(key, MISSING), expected.get(key, MISSING))
            for key in sorted(answer.keys() | expected.keys())
        }
        return [line for below, pair in pairs.items() for line in differences(*pair, below)]
    return [] if answer == expected else [f"{where}: {answer!r}, not {expected!r}"]

"""Which values in events are about a person, and can be erased without breaking the record."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

ANYTHING = "*"

PERSONAL: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "user": frozenset({"username", "name", "imported_username", "imported_name", "language"}),
        "invitation": frozenset({"username", "name"}),
        "session": frozenset({"device"}),
        "api_key": frozenset({"name"}),
        ANYTHING: frozenset({"email", "ip", "user_agent", "phone"}),
    }
)
"""Resource type → fields of its events; ``*`` holds for all.

Add a field before the first event with it is sealed: events that are sealed keep it as it was.
"""


def personal_fields(resource_type: str, changes: Mapping[str, Any]) -> list[str]:
    """The fields of an event that hold personal values, in order."""
    hidden = PERSONAL[ANYTHING] | PERSONAL.get(resource_type, frozenset())
    return sorted(hidden & changes.keys())

"""Merge patches on entities."""

from typing import Any

from bugtracker.models import Base


def apply_patch(entity: Base, patch: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Sets the members of ``patch`` that differ; returns what changed as field → (old, new)."""
    changes = {}
    for field, new in patch.items():
        old = getattr(entity, field)
        if old != new:
            setattr(entity, field, new)
            changes[field] = (old, new)
    return changes


def cleared(patch: dict[str, Any], *texts: str) -> dict[str, Any]:
    """The patch, in which ``null`` empties these texts: they can be empty, but not missing."""
    return {field: "" if new is None and field in texts else new for field, new in patch.items()}

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

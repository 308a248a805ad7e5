"""Organisations and members as the contract shows them."""

from typing import Any

Json = dict[str, Any]


def organisation(row: Any) -> Json:
    """``Organisation`` of the contract, with the caller's role in it."""
    return {
        "id": row.id,
        "slug": row.slug,
        "name": row.name,
        "role": row.role,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }


def member(row: Any) -> Json:
    """``Member`` of the contract."""
    return {
        "id": row.id,
        "username": row.username,
        "name": row.name,
        "email": row.email,
        "role": row.role,
        "imported_from": row.imported_from,
        "joined_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }

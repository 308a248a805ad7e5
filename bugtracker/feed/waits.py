"""What an answer can ask for instead of being sent: to be made again later."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Wait:
    """The wish of a request that found nothing, and how it would ask again."""

    org_id: UUID
    number: int
    """Nothing up to this event is of interest."""
    actions: frozenset[str]
    seconds: int
    query: str
    """The query string of the same request from there on."""

"""What all tables share."""

from datetime import datetime
from typing import Any, ClassVar, get_args
from uuid import UUID

from sqlalchemy import DateTime, Dialect, MetaData, SmallInteger, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class OrderedEnum(TypeDecorator[str]):
    """A word stored as its rank, so that sorting follows the declared order.

    smallint comparison is leakproof, which keeps indexes usable under row-level security; a
    native enum's is not.
    """

    impl = SmallInteger
    cache_ok = True

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words
        self._ranks = {word: rank for rank, word in enumerate(words)}

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else self._ranks[value]

    def process_result_value(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else self.words[value]


def words_of(literal: Any) -> Any:
    """The members of a ``Literal`` type as a tuple, in order."""
    return get_args(literal)


class Base(DeclarativeBase):
    """Declarative base; names of constraints follow PostgreSQL's own scheme."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        UUID: PgUUID(as_uuid=True),
        dict[str, Any]: JSONB,
    }


class Versioned:
    """A row that is edited: creation, last change, and the version that ``If-Match`` compares."""

    created_at: Mapped[datetime] = mapped_column()
    updated_at: Mapped[datetime] = mapped_column()
    version: Mapped[int] = mapped_column(default=1)

    def touch(self, now: datetime) -> None:
        """Marks one more change."""
        self.version += 1
        # Who waited for another writer may have begun before it.
        self.updated_at = max(now, self.updated_at or now)

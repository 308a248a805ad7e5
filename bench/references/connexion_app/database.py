"""The engine, and a session of its own for each request."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from bench.references import common

engine = create_engine(
    common.DATABASE_URL.replace("://", "+psycopg://"), pool_size=common.POOL_SIZE
)
SessionMaker = sessionmaker(engine, expire_on_commit=False)


@contextmanager
def session() -> Iterator[Session]:
    """Commits at the end, unless something was raised."""
    with SessionMaker.begin() as opened:
        yield opened

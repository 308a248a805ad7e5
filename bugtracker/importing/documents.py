"""Search documents of new issues and their comments, made while others write rows."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from struct import pack
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import pq
from psycopg.adapt import Dumper
from psycopg.postgres import types
from sqlalchemy import Insert, Uuid, bindparam, func, insert, select, text
from sqlalchemy.orm import Session
from sqlalchemy.types import UserDefinedType

from bugtracker.db import Database, lift_timeouts
from bugtracker.models import CommentDocument, IssueDocument

# What the triggers of comments and issues would write (migrations 0025 and 0026): of more than half
# a megabyte of an issue's words the first are taken. Binary is read back without parsing.
_DOCUMENTS = text("""
    WITH issues AS MATERIALIZED (
        SELECT i.id, issue_text(i.title, i.description) AS words
        FROM json_to_recordset(cast(:issues AS json)) AS i (id uuid, title text, description text)
    ), comments AS MATERIALIZED (
        SELECT c.id, c.issue_id, c.created_at, to_tsvector('english', c.content) AS words
        FROM json_to_recordset(cast(:comments AS json)) AS c (
            id uuid, issue_id uuid, created_at timestamptz, content text
        )
        WHERE c.issue_id IN (SELECT id FROM issues)
    ), together AS (
        SELECT issue_id,
               joined_words(words ORDER BY created_at, id) FILTER (WHERE bytes < 500000) AS words
        FROM (
            SELECT *, sum(pg_column_size(words)) OVER (
                PARTITION BY issue_id ORDER BY created_at, id
            ) AS bytes
            FROM comments
        ) sized
        GROUP BY issue_id
    ), scope AS MATERIALIZED (
        SELECT issue_scope(:org_id, :project_id) AS words
    )
    SELECT 'issue', uuid_send(i.id), tsvectorsend(s.words || i.words || coalesce(t.words, ''))
    FROM scope s, issues i LEFT JOIN together t ON t.issue_id = i.id
    UNION ALL
    SELECT 'comment', uuid_send(c.id), tsvectorsend(s.words || setweight(c.words, 'C'))
    FROM scope s, comments c
""").bindparams(bindparam("org_id", type_=Uuid), bindparam("project_id", type_=Uuid))

Parameters = dict[str, Any]
MOST_CHARACTERS = 8_000_000


class _Binary(NamedTuple):
    """Values as PostgreSQL sends them."""

    values: Sequence[bytes]


class _Ids(_Binary):
    """Values of ``uuid``."""


class _Vectors(_Binary):
    """Values of ``tsvector``."""


class _ArrayDumper(Dumper):
    """An array of one dimension, in the form that PostgreSQL itself sends and receives."""

    format = pq.Format.BINARY
    item_oid: int

    def dump(self, obj: _Binary) -> bytes:
        dimensions = pack(">ii", len(obj.values), 1) if obj.values else b""
        items = (part for value in obj.values for part in (pack(">i", len(value)), value))
        header = pack(">iiI", bool(obj.values), 0, self.item_oid)
        return b"".join((header, dimensions, *items))


class _IdsDumper(_ArrayDumper):
    oid, item_oid = types["uuid"].array_oid, types["uuid"].oid


class _VectorsDumper(_ArrayDumper):
    oid, item_oid = types["tsvector"].array_oid, types["tsvector"].oid


class _Array(UserDefinedType[_Binary]):
    """An array that goes to the driver as it is."""

    cache_ok = True

    def __init__(self, item: str) -> None:
        self.item = item

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.item}[]"


class Documents:
    """Makes the documents of a project's new issues, batch after batch, in a thread.

    Its connection only calculates: nothing is written, nor read, but what it is given.
    """

    def __init__(
        self, session: Session, thread: ThreadPoolExecutor, project: tuple[UUID, UUID]
    ) -> None:
        self._session, self._thread = session, thread
        self._org_id, self._project_id = project

    def begin(self, values: Parameters) -> Future[Parameters] | None:
        """Begins those of a statement that inserts issues, and perhaps comments, with these values;
        those that :func:`with_documents` needs come of it. None where the triggers have to do it:
        of no new issue, or of more than should be in memory several times over."""
        issues, comments = values.get("issues_rows"), values.get("comments_rows", "[]")
        if issues is None or len(issues) + len(comments) > MOST_CHARACTERS:
            return None
        return self._thread.submit(self._made, issues, comments)

    def _made(self, issues: str, comments: str) -> Parameters:
        given = {"issues": issues, "comments": comments}
        scope = {"org_id": self._org_id, "project_id": self._project_id}
        made: dict[str, list[tuple[bytes, bytes]]] = {"issue": [], "comment": []}
        for kind, id, vector in self._session.execute(_DOCUMENTS, {**given, **scope}):
            made[kind].append((id, vector))
        values: Parameters = {f"documents_{name}": value for name, value in scope.items()}
        for kind, documents in made.items():
            values[f"{kind}_ids"] = _Ids([id for id, _ in documents])
            values[f"{kind}_vectors"] = _Vectors([vector for _, vector in documents])
        return values


@contextmanager
def documents(db: Database, writing: Session, project: tuple[UUID, UUID]) -> Iterator[Documents]:
    """For the block; leaving it waits until nothing runs. ``writing`` will execute the statements
    (and learns to send what is binary); its organisation and project are ``project``."""
    driver: Any = writing.connection().connection.driver_connection
    driver.adapters.register_dumper(_Ids, _IdsDumper)
    driver.adapters.register_dumper(_Vectors, _VectorsDumper)
    session, thread = db.session(), ThreadPoolExecutor(1, "documents")
    try:
        lift_timeouts(session)
        yield Documents(session, thread, project)
    finally:
        # After an error nobody needs what has not begun.
        thread.shutdown(cancel_futures=True)
        session.close()


@lru_cache
def with_documents(statement: Insert) -> Insert:
    """The statement, which also inserts documents; the triggers leave alone what has one."""
    kinds = ((CommentDocument, "comment"), (IssueDocument, "issue"))
    return statement.add_cte(
        *(_insert(model, kind).cte(f"into_{kind}_documents") for model, kind in kinds)
    )


def _insert(model: type[CommentDocument | IssueDocument], kind: str) -> Insert:
    ids = bindparam(f"{kind}_ids", type_=_Array("uuid"))
    vectors = bindparam(f"{kind}_vectors", type_=_Array("tsvector"))
    made = func.unnest(ids, vectors).table_valued("id", "vector").render_derived(f"{kind}_made")
    scope = (bindparam(f"documents_{name}", type_=Uuid) for name in ("org_id", "project_id"))
    columns = ["org_id", "project_id", f"{kind}_id", "document"]
    return insert(model).from_select(columns, select(*scope, made.c.id, made.c.vector))

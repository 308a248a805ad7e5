"""The database: one engine per process, one transaction per request, the tenant set in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    BindParameter,
    Connection,
    Engine,
    NullPool,
    Select,
    bindparam,
    create_engine,
    event,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, SessionTransaction

from bugtracker import driver

Rows = Select[*tuple[Any, ...]]
"""A statement that selects the columns of an answer."""

APP_ROLE = "bugtracker_app"

# Every connection acts as the API's role, so row-level security applies even where the login
# is the schema's owner. The job queue has a schema of its own.
SESSION_OPTIONS = {
    "role": APP_ROLE,
    "search_path": "public,jobs",
    "timezone": "UTC",
    "statement_timeout": "15s",
    "lock_timeout": "8s",
    "idle_in_transaction_session_timeout": "30s",
}

SET_TENANT = text(
    "SELECT set_config('app.org_id', :org_id, true),"
    " set_config('app.account_id', :account_id, true)"
)


LIFT_TIMEOUTS = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),"
    " set_config('idle_in_transaction_session_timeout', '0', true)"
)


def given(column: InstrumentedAttribute[Any]) -> BindParameter[Any]:
    """The place of a value for a column, by its name, in a statement that is made once."""
    return bindparam(column.key, type_=column.type)


def libpq_options(options: dict[str, str]) -> str:
    """The ``options`` connection parameter that sets these at session start."""
    return " ".join(f"-c {name}={value}" for name, value in options.items())


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


class TenantSession(Session):
    """A session whose transactions each begin with the tenant set that its info tells."""


class Database:
    """The API's connections. Threads share it; a Session belongs to one thread.

    Who waits longer than ``pool_timeout`` seconds for a connection gets SQLAlchemy's TimeoutError.
    """

    def __init__(self, url: str, *, pool_size: int, pool_timeout: float = 5) -> None:
        options: dict[str, Any] = {
            # Statements in error messages must not show what people wrote.
            "hide_parameters": True,
            "json_serializer": _json,
            "json_deserializer": orjson.loads,
            "connect_args": {
                "options": libpq_options(SESSION_OPTIONS),
                "connect_timeout": 5,
                "cursor_factory": driver.Cursor,
            },
        }
        self.engine: Engine = create_engine(
            url, pool_size=pool_size, max_overflow=0, pool_timeout=pool_timeout, **options
        )
        self._unpooled = create_engine(url, poolclass=NullPool, **options)
        for engine in (self.engine, self._unpooled):
            event.listen(engine, "do_connect", _connect)
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for single statements outside any tenant; no transaction around them."""
        with self._autocommit.connect() as connection:
            yield connection

    @contextmanager
    def transaction(
        self, *, org_id: UUID | None = None, account_id: UUID | None = None, pooled: bool = True
    ) -> Iterator[Session]:
        """One transaction in a tenant: commits at the end, rolls back on any exception. What takes
        minutes has a connection of its own, not ``pooled``: requests must not run out of them."""
        session = self.session(org_id=org_id, account_id=account_id, pooled=pooled)
        try:
            yield session
            session.commit()
        finally:
            session.close()

    @contextmanager
    def snapshot(
        self, *, org_id: UUID | None = None, account_id: UUID | None = None
    ) -> Iterator[Session]:
        """A tenant as it is at one moment, however long reading takes; nothing can be written. The
        connection is not of the pool."""
        session = self.session(org_id=org_id, account_id=account_id, pooled=False)
        try:
            session.connection(
                execution_options={
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                }
            )
            yield session
        finally:
            session.close()

    def session(
        self, *, org_id: UUID | None = None, account_id: UUID | None = None, pooled: bool = True
    ) -> Session:
        """A session whose transactions each begin with the tenant set. The caller ends it."""
        engine = self.engine if pooled else self._unpooled
        return TenantSession(engine, expire_on_commit=False, info={"tenant": (org_id, account_id)})

    def joined(
        self, connection: Connection, *, org_id: UUID | None, account_id: UUID | None
    ) -> Session:
        """A session in the transaction that runs on a connection, whose tenant is set already.

        The caller commits both, the session first, and ends both."""
        tenant = (org_id, account_id)
        return TenantSession(
            connection, expire_on_commit=False, info={"tenant": tenant, "is_in_tenant": True}
        )

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> driver.Connection:
    return driver.Connection.connect(*arguments, **options)


def _set_tenant(session: Session, _: SessionTransaction, connection: Connection) -> None:
    if not session.info.pop("is_in_tenant", False):
        apply_tenant(connection, *session.info["tenant"])


event.listen(TenantSession, "after_begin", _set_tenant)


def apply_tenant(connection: Connection, org_id: UUID | None, account_id: UUID | None) -> None:
    """Sets whose rows row-level security shows, until the transaction ends."""
    connection.execute(
        SET_TENANT, {"org_id": str(org_id or ""), "account_id": str(account_id or "")}
    )


def enter_tenant(session: Session, org_id: UUID | None, account_id: UUID | None = None) -> None:
    """Moves a running transaction into a tenant: login, the worker and set-up need it."""
    session.flush()
    session.info["tenant"] = (org_id, account_id)
    apply_tenant(session.connection(), org_id, account_id)


def lift_timeouts(session: Session) -> None:
    """Lets this transaction take its time; the limits of the API are meant for requests."""
    session.execute(LIFT_TIMEOUTS)


def owner_engine(url: str) -> Engine:
    """Connections as the schema's owner, for migrations and administration."""
    return create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": 5}
    )

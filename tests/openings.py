"""Requests' transactions made by hand, and what PostgreSQL knows of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import NullPool, create_engine, text

from bugtracker.clock import utc_now
from bugtracker.context import Context
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.foresight import Foreseen
from bugtracker.opening import Opened
from bugtracker.runtime import Runtime
from bugtracker.security.authentication import LIVE_SESSION
from bugtracker.security.principal import Principal
from tests.world import Caller, Org

OTHERS = "datname = current_database() AND pid <> pg_backend_pid()"
OPEN = f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS} AND state LIKE 'idle in%'"
TERMINATED = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {OTHERS}"


class Admin:
    """A superuser's view of one database."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        engine = create_engine(cluster.admin_url(database), poolclass=NullPool)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def execute(self, statement: str) -> list[object]:
        """The first column of the rows."""
        with self._engine.connect() as connection:
            result = connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []

    def count_open(self) -> int:
        """Transactions that wait for their client."""
        (count,) = self.execute(OPEN)
        assert isinstance(count, int)
        return count

    def terminate_all(self) -> None:
        """Ends every connection but this one."""
        assert all(self.execute(TERMINATED))


def admin_of(cluster: Cluster, runtime: Runtime) -> Admin:
    """The superuser's view of a runtime's database."""
    name = runtime.db.engine.url.database
    assert name is not None
    return Admin(cluster, name)


@contextmanager
def opened_context(
    runtime: Runtime,
    contract: Contract,
    org: Org,
    caller: Caller,
    foreseen: Foreseen | None = None,
) -> Iterator[Context]:
    """The context of a request that a caller makes, whose transaction has just begun."""
    opened = Opened(runtime.db, foreseen)
    opened.org_id = org.id
    opened.begin(LIVE_SESSION, session_id=caller.session_id, org_id=org.id)
    context = Context(
        runtime=runtime,
        operation=contract.operations["get_project"],
        caller=Principal(caller.id, caller.session_id, caller.username, org.id, caller.role),
        now=utc_now(),
        request_id="made-by-hand",
        client_ip="192.0.2.1",
        user_agent=None,
        target="/",
        query={},
        given_query={},
        headers={},
        opened=opened,
    )
    try:
        yield context
    finally:
        context.close()

"""A server without tenant scoping of its own in any statement: row-level security is left."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.settings import Settings
from tests.serving import Server, serve

# A comparison of a tenant column with a value, as SQLAlchemy writes it for psycopg.
SCOPE = re.compile(r"(?:\w+\.)?org_id = %\(\w+\)s(?:::UUID)?")


@dataclass
class Unscoped:
    """The server, and how many statements lost their scope."""

    server: Server
    statements: list[str] = field(default_factory=list)

    def loosen(
        self, _conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        """Replaces each comparison with the caller's organisation by ``true``."""
        # Where a row is written, its tenant is a value and no condition.
        head, found, tail = statement.partition("WHERE")
        loosened, count = SCOPE.subn("true", tail)
        if count:
            self.statements.append(statement)
        return head + found + loosened, parameters


@contextmanager
def serve_unscoped(settings: Settings, contract: Contract) -> Iterator[Unscoped]:
    """Runs such a server beside the tests' own, on the same database."""
    runtime = create_runtime(settings)
    with serve(create_app(runtime, contract)) as server:
        unscoped = Unscoped(server)
        event.listen(runtime.db.engine, "before_cursor_execute", unscoped.loosen, retval=True)
        yield unscoped
    runtime.db.close()

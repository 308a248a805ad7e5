"""Plans of statements as the API's role gets them: with row-level security, tenant set."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson
import psycopg
from psycopg.sql import Literal

PARAMETER = re.compile(r"%\((\w+)\)s")
MODES = ("force_custom_plan", "force_generic_plan")
_NUMBERS = count(1)
BIG_TABLES = {"issues", "comments", "events", "issue_documents", "comment_documents"}


TOLD = ("Node Type", "Relation Name", "Index Name", "Index Cond", "Filter", "Actual Rows")


@dataclass(frozen=True, repr=False)
class Plan:
    """A plan that was run, as the tree PostgreSQL reports."""

    root: dict[str, Any]

    def __repr__(self) -> str:
        lines = (" | ".join(str(node[k]) for k in TOLD if k in node) for node in self.nodes())
        return "\n".join(lines)

    def nodes(self) -> Iterator[dict[str, Any]]:
        pending = [self.root]
        while pending:
            node = pending.pop()
            pending += node.get("Plans", [])
            yield node

    @property
    def kinds(self) -> set[str]:
        """The types of its nodes."""
        return {node["Node Type"] for node in self.nodes()}

    @property
    def indexes(self) -> set[str]:
        """The indexes it uses."""
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    @property
    def read_whole(self) -> set[str]:
        """The big tables that it reads from end to end."""
        scans = (node for node in self.nodes() if node["Node Type"] == "Seq Scan")
        return {node["Relation Name"] for node in scans} & BIG_TABLES

    @property
    def sorts(self) -> bool:
        """Whether rows come out of it in another order than out of an index."""
        return any("Sort" in kind for kind in self.kinds)

    @property
    def rows_read(self) -> int:
        """Rows that were fetched from the big tables, those thrown away included."""
        return sum(
            int(node["Actual Loops"])
            * (int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0)))
            for node in self.nodes()
            if node.get("Relation Name") in BIG_TABLES
        )


def plan_of(
    connection: psycopg.Connection, sql: str, parameters: dict[str, Any], mode: str
) -> Plan:
    """The plan of a prepared statement, made for these values or (generic) for any."""
    names = list(dict.fromkeys(PARAMETER.findall(sql)))
    numbered = PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql)
    values = ", ".join(Literal(parameters[name]).as_string(connection) for name in names)
    name, cursor = f"plan_{next(_NUMBERS)}", connection.cursor()
    for statement in (
        f"SET LOCAL plan_cache_mode = {mode}",
        f"PREPARE {name} AS {numbered}",
        f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {name}{f'({values})' if names else ''}",
    ):
        cursor.execute(statement.encode())
    row = cursor.fetchone()
    assert row is not None
    cursor.execute(f"DEALLOCATE {name}".encode())
    [explained] = row[0] if isinstance(row[0], list) else orjson.loads(row[0])
    return Plan(explained["Plan"])

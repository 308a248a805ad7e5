"""(d) Starlette, asyncpg, SQL written by hand, orjson: little else could be left out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import jwt
import orjson
import uuid_utils
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.references import common

LIVE = """
SELECT m.role FROM sessions s
JOIN accounts a ON a.id = s.account_id
JOIN members m ON m.account_id = a.id AND m.org_id = $2 AND m.removed_at IS NULL
WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND a.is_active AND a.id = $3
"""
COLUMNS = """
i.id::text, p.key || '-' || i.number AS key, i.number, i.project_id::text, i.title, i.description,
i.status, i.priority, i.reporter_id::text, i.assignee_id::text, i.due_date, i.created_at,
i.updated_at, i.version
"""
FROM = "FROM issues i JOIN projects p ON p.org_id = i.org_id AND p.id = i.project_id"
ONE = f"SELECT {COLUMNS} {FROM} WHERE i.org_id = $1 AND i.id = $2"
SEARCH = f"""
SELECT {COLUMNS}, (ts_rank(newest.document, newest.words) * 1000000)::integer AS rank
FROM (
    SELECT d.org_id, d.issue_id, d.document, q.words
    FROM (SELECT websearch_to_tsquery('english', $3) AS words) q, issue_documents d
    WHERE numnode(q.words) > 0 AND d.org_id = $1 AND d.project_id = $2 AND d.document
        @@ (q.words && format('''o:%s''', $1)::tsquery && format('''p:%s''', $2)::tsquery)
    ORDER BY d.issue_id DESC LIMIT 1000
) newest
JOIN issues i ON i.org_id = newest.org_id AND i.id = newest.issue_id
JOIN projects p ON p.org_id = i.org_id AND p.id = i.project_id
ORDER BY rank DESC, i.id DESC LIMIT $4
"""
NEXT_NUMBER = """
UPDATE projects SET last_issue_number = last_issue_number + 1
WHERE org_id = $1 AND id = $2 AND NOT is_archived RETURNING last_issue_number, key
"""
INSERT = """
INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
    reporter_id, assignee_id, due_date, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11, $11, 1)
"""
LOCKED = f"""
SELECT {COLUMNS}, p.created_by_id::text, p.is_archived {FROM}
WHERE i.org_id = $1 AND i.id = $2 FOR UPDATE OF i
"""
UPDATE = """
UPDATE issues SET title = $3, description = $4, status = $5, priority = $6, assignee_id = $7,
    due_date = $8, updated_at = $9, version = version + 1
WHERE org_id = $1 AND id = $2
"""
OWN = ("rank", "created_by_id", "is_archived")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(common.DATABASE_URL, max_size=common.POOL_SIZE) as pool:
        app.state.pool = pool
        yield


def answer(body: Any, status: int = 200) -> Response:
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return Response(content, status, media_type="application/json")


async def problem(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    return answer({"detail": error.detail}, error.status_code)


async def authenticated(request: Request, connection: Any) -> tuple[str, str, int]:
    """(organisation, person, role) of the token; 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        claims = common.verified(token)
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    role = await connection.fetchval(LIVE, claims["sid"], claims["org"], claims["sub"])
    if scheme.lower() != "bearer" or role is None:
        raise HTTPException(401)
    return claims["org"], claims["sub"], role


def shown(row: Any) -> dict[str, Any]:
    body = {name: value for name, value in row.items() if name not in OWN}
    body["status"] = common.STATUSES[row["status"]]
    body["priority"] = common.PRIORITIES[row["priority"]]
    return body


async def get_issue(request: Request) -> Response:
    async with request.app.state.pool.acquire() as connection:
        org_id, _, _ = await authenticated(request, connection)
        row = await connection.fetchrow(ONE, org_id, request.path_params["issue_id"])
    if row is None:
        raise HTTPException(404)
    return answer(shown(row))


def list_statement(request: Request, org_id: str, limit: int) -> tuple[str, list[Any]]:
    """The statement of a list and its parameters."""
    query = request.query_params
    where, values = ["i.org_id = $1", "i.project_id = $2"], [org_id, request.path_params["id"]]

    def condition(sql: str, *added: Any) -> None:
        numbers = range(len(values) + 1, len(values) + 1 + len(added))
        where.append(sql.format(*(f"${number}" for number in numbers)))
        values.extend(added)

    if status := query.get("status"):
        condition("i.status = {}", common.STATUSES.index(status))
    if priority := query.get("priority"):
        condition("i.priority = {}", common.PRIORITIES.index(priority))
    if assignee := query.get("assignee"):
        condition("i.assignee_id = {}", assignee)
    if cursor := query.get("cursor"):
        created_at, identity = common.decode_cursor(cursor)
        condition("(i.created_at, i.id) < ({}, {})", datetime.fromisoformat(created_at), identity)
    values.append(limit + 1)
    return (
        f"SELECT {COLUMNS} {FROM} WHERE {' AND '.join(where)} "
        f"ORDER BY i.created_at DESC, i.id DESC LIMIT ${len(values)}",
        values,
    )


async def list_issues(request: Request) -> Response:
    query, cursor = request.query_params, None
    try:
        limit = int(query.get("limit", "20"))
    except ValueError:
        raise HTTPException(400) from None
    async with request.app.state.pool.acquire() as connection:
        org_id, _, _ = await authenticated(request, connection)
        if words := query.get("search"):
            values = [org_id, request.path_params["id"], words, limit + 1]
            rows = await connection.fetch(SEARCH, *values)
        else:
            statement, values = list_statement(request, org_id, limit)
            rows = await connection.fetch(statement, *values)
    if len(rows) > limit:
        rows = rows[:limit]
        cursor = common.encode_cursor(rows[-1]["created_at"], rows[-1]["id"])
    return answer({"items": [shown(row) for row in rows], "next_cursor": cursor, "limit": limit})


def checked(body: Any) -> dict[str, Any]:
    """The fields of an issue that somebody sent; 400."""
    title, description = body.get("title", "?"), body.get("description", "")
    fits = isinstance(title, str) and 1 <= len(title) <= 200
    fits &= isinstance(description, str) and len(description) <= 5000
    fits &= body.get("priority", "low") in common.PRIORITIES
    fits &= body.get("status", "open") in common.STATUSES
    if not fits:
        raise HTTPException(400)
    if body.get("due_date"):
        body["due_date"] = date.fromisoformat(body["due_date"])
    return dict(body)


async def create_issue(request: Request) -> Response:
    body, project_id = checked(orjson.loads(await request.body())), request.path_params["id"]
    async with request.app.state.pool.acquire() as connection:
        org_id, user_id, role = await authenticated(request, connection)
        if role == common.AUDITOR:
            raise HTTPException(403)
        async with connection.transaction():
            project = await connection.fetchrow(NEXT_NUMBER, org_id, project_id)
            if project is None:
                raise HTTPException(404)
            identity, now = str(uuid_utils.uuid7()), datetime.now(UTC)
            await connection.execute(
                INSERT, org_id, identity, project_id, project["last_issue_number"], body["title"],
                body.get("description", ""),
                common.PRIORITIES.index(body.get("priority", "medium")),
                user_id, body.get("assignee_id"), body.get("due_date"), now,
            )  # fmt: skip
            row = await connection.fetchrow(ONE, org_id, identity)
    return answer(shown(row), 201)


async def update_issue(request: Request) -> Response:
    patch, issue_id = checked(orjson.loads(await request.body())), request.path_params["issue_id"]
    async with request.app.state.pool.acquire() as connection:
        org_id, user_id, role = await authenticated(request, connection)
        async with connection.transaction():
            row = await connection.fetchrow(LOCKED, org_id, issue_id)
            if row is None:
                raise HTTPException(404)
            people = (row["reporter_id"], row["assignee_id"], row["created_by_id"])
            if not common.may_change(role, user_id, *people):
                raise HTTPException(403)
            issue = shown(row)
            status = patch.get("status", issue["status"])
            allowed = common.TRANSITIONS[issue["status"]] | {issue["status"]}
            if row["is_archived"] or status not in allowed:
                raise HTTPException(409)
            issue |= {**patch, "updated_at": datetime.now(UTC), "version": issue["version"] + 1}
            await connection.execute(
                UPDATE, org_id, issue_id, issue["title"], issue["description"],
                common.STATUSES.index(status), common.PRIORITIES.index(issue["priority"]),
                issue["assignee_id"], issue["due_date"], issue["updated_at"],
            )  # fmt: skip
    return answer(issue)


ISSUES = "/api/projects/{id}/issues"
ISSUE = "/api/issues/{issue_id}"
app = Starlette(
    routes=[
        Route(ISSUES, list_issues, methods=["GET"]),
        Route(ISSUES, create_issue, methods=["POST"]),
        Route(ISSUE, get_issue, methods=["GET"]),
        Route(ISSUE, update_issue, methods=["PATCH"]),
    ],
    exception_handlers={HTTPException: problem},
    lifespan=lifespan,
)

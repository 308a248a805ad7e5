"""(c) FastAPI, SQLAlchemy's asynchronous ORM on asyncpg, pydantic models: as its community does."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import jwt
import uuid_utils.compat
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload

from bench.references import common
from bench.references.models import Account, Issue, Member, Project, Session
from bench.references.searching import by_relevance

engine = create_async_engine(
    common.DATABASE_URL.replace("://", "+asyncpg://"), pool_size=common.POOL_SIZE
)
SessionMaker = async_sessionmaker(engine, expire_on_commit=False)
bearer = HTTPBearer()
app = FastAPI()

Status = Literal["open", "in_progress", "resolved", "closed", "reopened"]
Priority = Literal["low", "medium", "high", "critical"]
Title = Annotated[str, Field(min_length=1, max_length=200)]
Description = Annotated[str, Field(max_length=5000)]


class IssueOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    key: str
    number: int
    project_id: UUID
    title: str
    description: str
    status: Status
    priority: Priority
    reporter_id: UUID
    assignee_id: UUID | None
    due_date: date | None
    created_at: datetime
    updated_at: datetime
    version: int


class IssuePage(BaseModel):
    items: list[IssueOut]
    next_cursor: str | None
    limit: int


class IssueCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description = ""
    priority: Priority = "medium"
    assignee_id: UUID | None = None
    due_date: date | None = None


class IssueUpdate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    description: Description | None = None
    status: Status | None = None
    priority: Priority | None = None
    assignee_id: UUID | None = None
    due_date: date | None = None


class Caller(BaseModel):
    org_id: UUID
    user_id: UUID
    role: int


async def get_session() -> AsyncIterator[AsyncSession]:
    async with SessionMaker() as session:
        yield session


Db = Annotated[AsyncSession, Depends(get_session)]


async def get_caller(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], db: Db
) -> Caller:
    try:
        claims = common.verified(credentials.credentials)
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    member = await db.scalar(
        select(Member)
        .join(Account, Account.id == Member.account_id)
        .join(Session, Session.account_id == Account.id)
        .where(
            Member.org_id == UUID(claims["org"]),
            Member.user_id == UUID(claims["sub"]),
            Member.removed_at.is_(None),
            Account.is_active,
            Session.id == UUID(claims["sid"]),
            Session.revoked_at.is_(None),
            Session.expires_at > func.now(),
        )
    )
    if member is None:
        raise HTTPException(401)
    return Caller(org_id=member.org_id, user_id=member.user_id, role=member.role)


Who = Annotated[Caller, Depends(get_caller)]


def visible(caller: Caller) -> Select[Issue]:
    return select(Issue).options(joinedload(Issue.project)).where(Issue.org_id == caller.org_id)


@app.get("/api/issues/{issue_id}", response_model=IssueOut)
async def get_issue(issue_id: UUID, caller: Who, db: Db) -> Any:
    issue = await db.scalar(visible(caller).where(Issue.id == issue_id))
    if issue is None:
        raise HTTPException(404)
    return issue


@app.get("/api/projects/{project_id}/issues", response_model=IssuePage)
async def list_issues(
    project_id: UUID,
    caller: Who,
    db: Db,
    status: Status | None = None,
    priority: Priority | None = None,
    assignee: UUID | None = None,
    search: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    sort: Literal["-created_at"] = "-created_at",
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Any:
    del sort
    statement = visible(caller).where(Issue.project_id == project_id)
    if status:
        statement = statement.where(Issue.status == status)
    if priority:
        statement = statement.where(Issue.priority == priority)
    if assignee:
        statement = statement.where(Issue.assignee_id == assignee)
    if search:
        statement = by_relevance(statement, caller.org_id, project_id, search)
    else:
        statement = statement.order_by(Issue.created_at.desc(), Issue.id.desc())
    if cursor:
        value, identity = common.decode_cursor(cursor)
        here = (datetime.fromisoformat(value), UUID(identity))
        statement = statement.where(tuple_(Issue.created_at, Issue.id) < here)
    issues = list(await db.scalars(statement.limit(limit + 1)))
    next_cursor = None
    if len(issues) > limit:
        issues = issues[:limit]
        next_cursor = common.encode_cursor(issues[-1].created_at, issues[-1].id)
    return {"items": issues, "next_cursor": next_cursor, "limit": limit}


@app.post("/api/projects/{project_id}/issues", response_model=IssueOut, status_code=201)
async def create_issue(project_id: UUID, body: IssueCreate, caller: Who, db: Db) -> Any:
    if caller.role == common.AUDITOR:
        raise HTTPException(403)
    project = await db.scalar(
        select(Project)
        .where(Project.org_id == caller.org_id, Project.id == project_id)
        .with_for_update()
    )
    if project is None:
        raise HTTPException(404)
    if project.is_archived:
        raise HTTPException(409)
    project.last_issue_number += 1
    now = datetime.now(UTC)
    issue = Issue(
        id=uuid_utils.compat.uuid7(),
        org_id=caller.org_id,
        project=project,
        number=project.last_issue_number,
        status="open",
        reporter_id=caller.user_id,
        created_at=now,
        updated_at=now,
        version=1,
        **body.model_dump(),
    )
    db.add(issue)
    await db.commit()
    return issue


@app.patch("/api/issues/{issue_id}", response_model=IssueOut)
async def update_issue(issue_id: UUID, body: IssueUpdate, caller: Who, db: Db) -> Any:
    issue = await db.scalar(visible(caller).where(Issue.id == issue_id).with_for_update(of=Issue))
    if issue is None:
        raise HTTPException(404)
    people = (issue.reporter_id, issue.assignee_id, issue.project.created_by_id)
    if not common.may_change(caller.role, caller.user_id, *people):
        raise HTTPException(403)
    patch = body.model_dump(exclude_unset=True)
    allowed = common.TRANSITIONS[issue.status] | {issue.status}
    if issue.project.is_archived or patch.get("status", issue.status) not in allowed:
        raise HTTPException(409)
    for name, value in patch.items():
        setattr(issue, name, value)
    issue.version += 1
    issue.updated_at = datetime.now(UTC)
    await db.commit()
    return issue

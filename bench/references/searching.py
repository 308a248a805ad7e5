"""Full-text search, for the two references that use SQLAlchemy's ORM."""

from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, cast, func, select
from sqlalchemy.dialects.postgresql import TSQUERY

from bench.references.models import Issue, IssueDocument


def by_relevance(
    statement: Select[Issue], org_id: UUID, project_id: UUID, search: str
) -> Select[Issue]:
    """The issues of a project that match: of the newest thousand, the best first."""
    words: Any = func.websearch_to_tsquery("english", search)
    own = cast(f"'o:{org_id}' & 'p:{project_id}'", TSQUERY)
    document: Any = IssueDocument.document
    newest = (
        select(IssueDocument.issue_id, document.label("document"))
        .where(
            IssueDocument.org_id == org_id,
            func.numnode(words) > 0,
            document.op("@@")(words.op("&&")(own)),
        )
        .order_by(IssueDocument.issue_id.desc())
        .limit(1000)
        .subquery()
    )
    rank = cast(func.ts_rank(newest.c.document, words) * 1000000, Integer)
    return (
        statement.join(newest, newest.c.issue_id == Issue.id)
        .where(Issue.org_id == org_id)
        .order_by(rank.desc(), Issue.id.desc())
    )

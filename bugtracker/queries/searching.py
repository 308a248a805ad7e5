"""One search over projects, issues, comments and people.

First the order: one statement that ranks what is found, and reads nothing of it. Then what is
shown: one more for the things of the page alone, since highlighting reads every word of a text.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from bugtracker.context import Context
from bugtracker.db import Rows
from bugtracker.models import Account, Comment, Issue, Member, Project
from bugtracker.models.base import OrderedEnum
from bugtracker.paging import Sort, Sorts
from bugtracker.queries.matching import matches, relevance
from bugtracker.queries.people import NAME, USERNAME, has_account
from bugtracker.queries.users import TEXTS
from bugtracker.security.named import ISSUE_KEY, in_same_project, issue_named
from bugtracker.security.permissions import Relations, authorise, may
from bugtracker.snippets import BEGIN, END

Kind = Literal["project", "issue", "comment", "user"]
KINDS: tuple[Kind, ...] = ("project", "issue", "comment", "user")
"""In the order of things that fit equally well."""
_KIND = OrderedEnum(*KINDS)

PERMISSIONS: dict[Kind, str] = {
    "project": "projects.read",
    "issue": "issues.read",
    "comment": "comments.read",
    "user": "users.read",
}

MOST_RANKED = 1000
"""So many issues and so many comments are ranked, the newest; as in the contract."""

HIGHLIGHTED = 5000
"""Characters of a text that are looked through for words; an imported one may have more."""

EXACTLY = 1_000_000
# By the steps of matching.relevance. A title that has the word once is at 0.61, a comment at 0.12.
STEPS = {4: 950_000, 3: 800_000, 2: 600_000, 1: 300_000}

_ENGLISH: ColumnElement[Any] = literal_column("'english'::regconfig")
_ID = PgUUID(as_uuid=True)
_HEADLINE = f'StartSel="{BEGIN}", StopSel="{END}", MaxWords=35, MinWords=15'


def plain_words(query: str) -> str:
    """The query for names, which are not searched with operators: quotation marks mean nothing."""
    return query.replace('"', " ").strip() or query


def listed(ctx: Context) -> tuple[Rows, Sorts]:
    """Type, id and score (in millionths) of what fits, best first.

    403 for a type that was asked for and that the caller may not read.
    """
    parts = [part for kind in _kinds(ctx) for part in _FOUND[kind](ctx)]
    found = union_all(*parts).subquery("found")
    # An issue named by its key may be found by its words, too.
    score = func.max(found.c.score)
    hits = (
        select(found.c.type, found.c.id, score.label("score"))
        .group_by(found.c.type, found.c.id)
        .subquery("hits")
    )
    # One number for the order, so that one comparison finds the next page: score, then type.
    order = hits.c.score * len(KINDS) - type_coerce(hits.c.type, Integer)
    sorts = Sorts({"relevance": Sort(order)}, hits.c.id, "-relevance")
    return select(hits.c.type, hits.c.id, hits.c.score), sorts


def _kinds(ctx: Context) -> Sequence[Kind]:
    """Those asked for; else those that the caller may read."""
    asked: Sequence[Kind] | None = ctx.query["type"]
    if asked is None:
        return [kind for kind in KINDS if may(ctx.principal, PERMISSIONS[kind], Relations())]
    for kind in asked:
        authorise(ctx.principal, PERMISSIONS[kind], Relations())
    return asked


def _part(kind: Kind, id_: SQLColumnExpression[UUID], score: SQLColumnExpression[int]) -> Rows:
    # Said in SQL: a bound smallint and an integer of another part would not match.
    kind_is = type_coerce(literal_column(str(KINDS.index(kind)), Integer), _KIND)
    return select(kind_is.label("type"), id_.label("id"), score.label("score"))


def _projects(ctx: Context) -> list[Rows]:
    words = plain_words(ctx.query["q"])
    part = _part("project", Project.id, _step((Project.key, Project.name), words))
    fits = matches((Project.key, Project.name, Project.description), words)
    return [part.where(Project.org_id == ctx.org_id, fits, *_where_archived(ctx))]


def _people(ctx: Context) -> list[Rows]:
    words = plain_words(ctx.query["q"])
    part = _part("user", Member.user_id, _step(TEXTS, words)).outerjoin(Account, has_account())
    here = (Member.org_id == ctx.org_id, Member.removed_at.is_(None))
    return [part.where(*here, matches(TEXTS, words))]


def _step(texts: Sequence[SQLColumnExpression[Any]], words: str) -> ColumnElement[int]:
    return case(STEPS, value=relevance(texts, words))


def _issues(ctx: Context) -> list[Rows]:
    parts = [_documents(ctx, "issue", func.search_newest_issues)]
    query = ctx.query["q"].strip()
    if ISSUE_KEY.fullmatch(query):
        part = _part("issue", Issue.id, literal(EXACTLY, Integer)).join(Project, in_same_project())
        parts.append(part.where(issue_named(ctx.org_id, query), *_where_archived(ctx)))
    return parts


def _comments(ctx: Context) -> list[Rows]:
    return [_documents(ctx, "comment", func.search_newest_comments)]


_FOUND: dict[Kind, Callable[[Context], list[Rows]]] = {
    "project": _projects,
    "issue": _issues,
    "comment": _comments,
    "user": _people,
}


def _documents(ctx: Context, kind: Kind, function: Callable[..., Any]) -> Rows:
    without = select(Project.id).where(
        Project.org_id == ctx.org_id, Project.is_archived, literal(not ctx.query["archived"])
    )
    hits = (
        function(ctx.query["q"], func.array(without.scalar_subquery()), MOST_RANKED)
        .table_valued(column("id", _ID), column("rank", Integer))
        .alias(f"{kind}_hits")
    )
    return _part(kind, hits.c.id, hits.c.rank)


def _where_archived(ctx: Context) -> list[ColumnElement[bool]]:
    return [] if ctx.query["archived"] else [Project.is_archived.is_(False)]


def shown(ctx: Context, found: Sequence[Any]) -> dict[tuple[Kind, UUID], Any]:
    """What is shown of each, by type and id; the texts of issues and comments with marks."""
    if not found:
        return {}
    wanted = func.unnest(
        bindparam(None, [row.type for row in found], ARRAY(_KIND)),
        bindparam(None, [row.id for row in found], ARRAY(_ID)),
    ).table_valued(column("type", _KIND), column("id", _ID))
    wanted = wanted.render_derived(name="wanted")
    rows = ctx.session.execute(_details(ctx, wanted.c.type, wanted.c.id))
    return {(row.type, row.id): row for row in rows}


def _details(ctx: Context, kind: Any, id_: Any) -> Rows:
    is_ = {name: kind == name for name in KINDS}
    query = ctx.query["q"]
    issue_id = case((is_["comment"], Comment.issue_id), (is_["issue"], id_))
    project_id = case((is_["project"], id_), else_=Issue.project_id)
    return (
        select(
            kind.label("type"),
            id_.label("id"),
            Project.id.label("project_id"),
            Project.key.label("project_key"),
            Project.name.label("project_name"),
            Project.description.label("project_description"),
            Issue.id.label("issue_id"),
            Issue.number,
            Issue.title,
            _headline(query, func.coalesce(Comment.content, Issue.description)).label(
                "text_marked"
            ),
            _headline(query, Issue.title).label("title_marked"),
            USERNAME.label("username"),
            NAME.label("name"),
            Account.email,
        )
        .outerjoin(Comment, and_(is_["comment"], Comment.org_id == ctx.org_id, Comment.id == id_))
        .outerjoin(Issue, and_(Issue.org_id == ctx.org_id, Issue.id == issue_id))
        .outerjoin(Project, and_(Project.org_id == ctx.org_id, Project.id == project_id))
        .outerjoin(Member, and_(is_["user"], Member.org_id == ctx.org_id, Member.user_id == id_))
        .outerjoin(Account, has_account())
    )


def _headline(query: str, text: SQLColumnExpression[Any]) -> ColumnElement[str]:
    """The part of a text that fits best; what is to be highlighted is between BEGIN and END."""
    # Nobody can write a mark: those in the text are taken out.
    clean = func.translate(func.left(text, HIGHLIGHTED), BEGIN + END, "")
    return func.ts_headline(_ENGLISH, clean, func.any_word_of(query), _HEADLINE)

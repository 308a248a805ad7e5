"""bt projects, issues, show, create, comment, move."""

import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, get_args
from uuid import UUID

import click
from bugtracker_client import AuthenticatedClient
from bugtracker_client.api.auth import get_me
from bugtracker_client.api.comments import create_comment, list_comments
from bugtracker_client.api.issues import create_issue, get_issue, list_all_issues, update_issue
from bugtracker_client.api.projects import list_projects
from bugtracker_client.api.users import get_user
from bugtracker_client.models import (
    Comment,
    CommentCreate,
    CommentPage,
    Issue,
    IssueCreate,
    IssuePage,
    IssuePriority,
    IssueStatus,
    IssueUpdate,
    ListAllIssuesSort,
    Me,
    Project,
    ProjectPage,
    User,
)
from bugtracker_client.types import UNSET, Response, Unset

from bugtracker_cli.api import Api
from bugtracker_cli.failures import NoSuchThing, Refused
from bugtracker_cli.output import (
    day,
    json_option,
    show_fields,
    show_json,
    show_markdown,
    show_table,
    wants_json,
)

STATUSES = click.Choice(get_args(IssueStatus))
PRIORITIES = click.Choice(get_args(IssuePriority))
SORTS = click.Choice(get_args(ListAllIssuesSort))
PAGE = 100
"""The most that the server hands out at once."""

Ask = Callable[[int, str | Unset, AuthenticatedClient], Response[Any]]
"""A call for one page: of this length, from this cursor."""


def listed(api: Api, wanted: type[Any], ask: Ask, limit: int | None = None) -> list[Any]:
    """What is in a list, page by page, to its end or the limit."""
    found: list[Any] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None and (limit is None or len(found) < limit):
        size = PAGE if limit is None else min(PAGE, limit - len(found))
        page = api.ask(wanted, partial(ask, size, cursor))
        found += page.items
        cursor = page.next_cursor
    return found


@click.command()
@json_option
@click.pass_obj
def projects(api: Api) -> None:
    """The projects that are not archived, by name."""
    found: list[Project] = listed(
        api,
        ProjectPage,
        lambda limit, cursor, client: list_projects.sync_detailed(
            client=client, is_archived=False, sort="name", limit=limit, cursor=cursor
        ),
    )
    if wants_json():
        show_json(found)
    else:
        show_table(("key", "name"), [(each.key, each.name) for each in found])


@click.command()
@click.option("--project", metavar="KEY", help="Only of this project.")
@click.option("--filter", "rsql", metavar="RSQL", help="As in 'priority>=high;updated_at>=-7d'.")
@click.option("--search", metavar="WORDS", help="With these words, best match first.")
@click.option("--status", type=STATUSES, multiple=True, help="May be given several times.")
@click.option("--mine", is_flag=True, help="Only what is assigned to you.")
@click.option("--sort", type=SORTS, help="'-' turns the order round. Newest first without it.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--all", "no_limit", is_flag=True, help="To the end, however many.")
@json_option
@click.pass_obj
def issues(
    api: Api,
    project: str | None,
    rsql: str | None,
    search: str | None,
    status: tuple[IssueStatus, ...],
    mine: bool,
    sort: ListAllIssuesSort | None,
    limit: int,
    no_limit: bool,
) -> None:
    """Issues, of all projects or of one."""
    found: list[Issue] = listed(
        api,
        IssuePage,
        lambda size, cursor, client: list_all_issues.sync_detailed(
            client=client,
            filter_=_filter(project, rsql) or UNSET,
            search=search or UNSET,
            status=list(status) or UNSET,
            assignee="me" if mine else UNSET,
            sort=sort or UNSET,
            include=["assignee"],
            limit=size,
            cursor=cursor,
        ),
        None if no_limit else limit,
    )
    if wants_json():
        show_json(found)
    else:
        show_table(("key", "status", "priority", "assignee", "title"), map(_row, found))


def _filter(project: str | None, rsql: str | None) -> str:
    """Both must hold; a comma in the filter binds less than the semicolon between them."""
    if project and rsql:
        return f"project=={project};({rsql})"
    return f"project=={project}" if project else rsql or ""


def _row(issue: Issue) -> tuple[str, ...]:
    return (issue.key, issue.status, issue.priority, _name(issue.assignee), issue.title)


def _name(person: Any) -> str:
    return f"@{person.username}" if person else ""


@click.command()
@click.argument("key", type=str.upper)
@json_option
@click.pass_obj
def show(api: Api, key: str) -> None:
    """One issue with its comments."""
    issue = api.ask(
        Issue,
        lambda client: get_issue.sync_detailed(
            key, client=client, include=["project", "reporter", "assignee"]
        ),
    )
    if wants_json():
        show_json(issue)
        return
    said: list[Comment] = listed(
        api,
        CommentPage,
        lambda limit, cursor, client: list_comments.sync_detailed(
            key, client=client, limit=limit, cursor=cursor
        ),
    )
    show_fields(f"{issue.key}  {issue.title}", _fields(issue))
    if issue.description:
        show_markdown(issue.description)
    names = {author: _author(api, author) for author in {each.author_id for each in said}}
    for each in said:
        show_fields(f"\n{names[each.author_id]}, {day(each.created_at)}", [])
        show_markdown(each.content)


def _fields(issue: Issue) -> list[tuple[str, str]]:
    fields = [
        ("project", issue.project.name if issue.project else ""),
        ("status", issue.status),
        ("priority", issue.priority),
        ("reporter", _name(issue.reporter)),
        ("assignee", _name(issue.assignee)),
        ("due", issue.due_date.isoformat() if issue.due_date else ""),
        ("changed", day(issue.updated_at)),
    ]
    return [(name, value) for name, value in fields if value]


def _author(api: Api, user_id: UUID) -> str:
    """Who it is; an id where the server does not tell (any more)."""
    try:
        user = api.ask(User, lambda client: get_user.sync_detailed(str(user_id), client=client))
    except Refused:
        return str(user_id)
    return f"@{user.username}"


@click.command()
@click.argument("project")
@click.argument("title")
@click.option("--description", default="", help="Markdown; '-' reads it from the standard input.")
@click.option("--priority", type=PRIORITIES, default="medium", show_default=True)
@click.option("--due", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD")
@click.option("--mine", is_flag=True, help="Assign it to yourself.")
@json_option
@click.pass_obj
def create(
    api: Api,
    project: str,
    title: str,
    description: str,
    priority: IssuePriority,
    due: datetime | None,
    mine: bool,
) -> None:
    """Report an issue in PROJECT (its key)."""
    body = IssueCreate(title, _text(description), priority)
    if due:
        body.due_date = due.date()
    if mine:
        body.assignee_id = api.ask(Me, lambda client: get_me.sync_detailed(client=client)).id
    project_id = str(_project(api, project).id)
    _done(
        api.ask(
            Issue, lambda client: create_issue.sync_detailed(project_id, client=client, body=body)
        )
    )


def _project(api: Api, key: str) -> Project:
    """NoSuchThing where no project has this key."""
    found: list[Project] = listed(
        api,
        ProjectPage,
        lambda limit, cursor, client: list_projects.sync_detailed(
            client=client, search=key, limit=limit, cursor=cursor
        ),
    )
    for each in found:
        if each.key == key.upper():
            return each
    raise NoSuchThing(f"there is no project {key}: `bt projects` lists them")


@click.command()
@click.argument("key", type=str.upper)
@click.argument("text")
@json_option
@click.pass_obj
def comment(api: Api, key: str, text: str) -> None:
    """Comment on an issue, in Markdown; TEXT '-' reads the standard input."""
    body = CommentCreate(_text(text))
    said = api.ask(
        Comment, lambda client: create_comment.sync_detailed(key, client=client, body=body)
    )
    if wants_json():
        show_json(said)
    else:
        click.echo(f"Commented on {key}.")


@click.command()
@click.argument("key", type=str.upper)
@click.argument("status", type=STATUSES)
@json_option
@click.pass_obj
def move(api: Api, key: str, status: IssueStatus) -> None:
    """Give an issue another status."""
    body = IssueUpdate(status=status)
    _done(api.ask(Issue, lambda client: update_issue.sync_detailed(key, client=client, body=body)))


def _text(given: str) -> str:
    return sys.stdin.read() if given == "-" else given


def _done(issue: Issue) -> None:
    if wants_json():
        show_json(issue)
    else:
        show_table(("key", "status", "priority", "title"), [_short(issue)])


def _short(issue: Issue) -> tuple[str, ...]:
    return (issue.key, issue.status, issue.priority, issue.title)

"""From registering to a closed issue, by nothing but the generated Python client."""

import re
from collections.abc import Iterator
from uuid import UUID, uuid4

import bugtracker_client as generated
import pytest
from bugtracker_client import models
from bugtracker_client.api.auth import get_me, login, register, verify_email
from bugtracker_client.api.comments import create_comment
from bugtracker_client.api.issues import (
    create_issue,
    get_issue,
    list_all_issues,
    list_issues,
    update_issue,
)
from bugtracker_client.api.projects import create_project
from bugtracker_client.api.users import get_user, list_users
from bugtracker_client.api.webhooks import create_webhook
from bugtracker_client.models import (
    Comment,
    CommentCreate,
    EmailVerification,
    EmailVerified,
    Issue,
    IssueCreate,
    IssueFields,
    IssueFieldsPage,
    IssuePage,
    IssueUpdate,
    Login,
    Me,
    Problem,
    Project,
    ProjectCreate,
    Registration,
    RegistrationAccepted,
    TokenPair,
    User,
    UserFields,
    UserFieldsPage,
    UserPage,
    WebhookCreate,
    WebhookCreated,
    WebhookMessage,
)
from bugtracker_client.types import UNSET

from bugtracker.contract import Contract
from tests.jobs.running import eventually
from tests.registering import PASSWORD, Newcomer
from tests.webhooks.receiver import Receiver
from tests.world import World


@pytest.fixture
def stranger(living_world: World) -> Iterator[generated.Client]:
    """Somebody without a token; each answer is held to the contract."""
    hooks = {"event_hooks": {"response": [living_world.conformance]}}
    with generated.Client(living_world.url, verify_ssl=False, httpx_args=hooks) as client:
        yield client


def registered(stranger: generated.Client, world: World) -> Newcomer:
    """Registers somebody with an organisation and verifies them by the mailed token."""
    person = Newcomer(stranger.get_httpx_client(), world.runtime.settings.mail_dir)
    wanted = Registration(person.email, person.username, PASSWORD, org_name="Analytical Engines")
    assert isinstance(register.sync(client=stranger, body=wanted), RegistrationAccepted)
    token = EmailVerification(person.token())
    assert isinstance(verify_email.sync(client=stranger, body=token), EmailVerified)
    return person


def logged_in(stranger: generated.Client, world: World) -> generated.AuthenticatedClient:
    person = registered(stranger, world)
    pair = login.sync(client=stranger, body=Login(PASSWORD, username=person.username))
    assert isinstance(pair, TokenPair)
    hooks = {"event_hooks": {"response": [world.conformance]}}
    return generated.AuthenticatedClient(
        world.url, pair.access_token, verify_ssl=False, httpx_args=hooks
    )


@pytest.fixture
def ada(stranger: generated.Client, living_world: World) -> Iterator[generated.AuthenticatedClient]:
    """The owner of a new organisation."""
    with logged_in(stranger, living_world) as client:
        yield client


@pytest.fixture
def project(ada: generated.AuthenticatedClient) -> Project:
    body = ProjectCreate("Tidal Library System", key=f"T{uuid4().hex[:6].upper()}")
    made = create_project.sync(client=ada, body=body)
    assert isinstance(made, Project)
    return made


def report(client: generated.AuthenticatedClient, project_id: UUID, body: IssueCreate) -> Issue:
    made = create_issue.sync(str(project_id), client=client, body=body)
    assert isinstance(made, Issue)
    return made


def move(client: generated.AuthenticatedClient, issue: Issue, *statuses: str) -> Issue | Problem:
    """Changes the status step by step; the last answer."""
    for status in statuses:
        answer = update_issue.sync(issue.key, client=client, body=IssueUpdate(status=status))
        assert isinstance(answer, Issue | Problem)
    return answer


class TestTheGeneratedNames:
    def test_are_those_of_the_contract_and_none_is_numbered(self, contract: Contract) -> None:
        numbered = [name for name in models.__all__ if re.search(r"\d", name)]
        assert numbered == []
        objects = {
            name
            for name, schema in contract.document["components"]["schemas"].items()
            if schema.get("type") == "object"
        }
        assert objects - set(models.__all__) == set()

    def test_are_all_there_to_be_imported(self) -> None:
        for name in models.__all__:
            assert getattr(models, name) is not None


class TestThePythonClient:
    def test_goes_from_registering_to_a_closed_critical_issue(
        self, ada: generated.AuthenticatedClient, project: Project
    ) -> None:
        me = get_me.sync(client=ada)
        assert isinstance(me, Me)
        assert me.role == "owner"
        issue = report(ada, project.id, IssueCreate("An hour off", priority="critical"))
        refusal = move(ada, issue, "in_progress", "resolved", "closed")
        assert isinstance(refusal, Problem)
        assert (refusal.status, refusal.code) == (409, "issue_comment_required")
        said = create_comment.sync(issue.key, client=ada, body=CommentCreate("Summer time."))
        assert isinstance(said, Comment)
        assert said.author_id == me.id == issue.reporter_id
        closed = move(ada, issue, "closed")
        assert isinstance(closed, Issue)
        assert (closed.status, closed.created_at) == ("closed", issue.created_at)

    def test_reads_a_list_to_its_end(
        self, ada: generated.AuthenticatedClient, project: Project
    ) -> None:
        made = [report(ada, project.id, IssueCreate(f"Tide {n}")).number for n in range(5)]
        seen, cursor, pages = [], UNSET, 0
        while cursor is not None:
            page = list_issues.sync(
                project.key, client=ada, sort="number", status=["open"], limit=2, cursor=cursor
            )
            assert isinstance(page, IssuePage)
            seen += [issue.number for issue in page.items]
            cursor, pages = page.next_cursor, pages + 1
        assert (seen, pages) == (made, 3)

    def test_tells_by_a_typed_problem_what_is_wrong_and_where(
        self, ada: generated.AuthenticatedClient, project: Project
    ) -> None:
        answer = create_issue.sync_detailed(project.key, client=ada, body=IssueCreate(""))
        assert answer.status_code == 400
        problem = answer.parsed
        assert isinstance(problem, Problem)
        assert problem.code == "request_invalid"
        assert {each.pointer for each in problem.errors} == {"/title"}
        assert all(each.code and each.detail for each in problem.errors)

    def test_reads_the_messages_of_a_webhook_it_made(
        self, ada: generated.AuthenticatedClient, project: Project, receiver: Receiver
    ) -> None:
        body = WebhookCreate(receiver.url, ["issue.created"])
        made = create_webhook.sync(client=ada, body=body)
        assert isinstance(made, WebhookCreated)
        issue = report(ada, project.id, IssueCreate("The tide table is an hour off"))
        eventually(lambda: bool(receiver.messages))
        (received,) = receiver.messages
        assert received.is_signed_with(made.secret)
        message = WebhookMessage.from_dict(received.json)
        assert (message.type_, message.data.resource.id) == ("issue.created", issue.id)


class TestFields:
    """An answer to ``fields`` is another model: the media type says which, and so do the types."""

    def test_of_an_issue_are_all_there_is(
        self, ada: generated.AuthenticatedClient, project: Project
    ) -> None:
        issue = report(ada, project.id, IssueCreate("An hour off"))
        few = get_issue.sync(issue.key, client=ada, fields=["key", "title"])
        assert isinstance(few, IssueFields)
        assert (few.id, few.key, few.title) == (issue.id, issue.key, "An hour off")
        assert few.number is UNSET
        whole = get_issue.sync(issue.key, client=ada)
        assert isinstance(whole, Issue)
        assert whole.number == issue.number

    def test_may_be_all_that_a_whole_issue_has(
        self, ada: generated.AuthenticatedClient, project: Project
    ) -> None:
        issue = report(ada, project.id, IssueCreate("An hour off"))
        every = get_issue.sync(issue.key, client=ada, fields=[*issue.to_dict()])
        assert isinstance(every, IssueFields)
        assert every.to_dict() == issue.to_dict()

    def test_of_lists_of_issues(self, ada: generated.AuthenticatedClient, project: Project) -> None:
        issue = report(ada, project.id, IssueCreate("An hour off"))
        everywhere = list_all_issues.sync(client=ada, fields=["key"])
        here = list_issues.sync(project.key, client=ada, fields=["key"], include=["reporter"])
        for page in (everywhere, here):
            assert isinstance(page, IssueFieldsPage)
            assert [(each.key, each.title) for each in page.items] == [(issue.key, UNSET)]
        assert isinstance(list_all_issues.sync(client=ada), IssuePage)

    def test_of_people(self, ada: generated.AuthenticatedClient) -> None:
        me = get_me.sync(client=ada)
        assert isinstance(me, Me)
        page = list_users.sync(client=ada, fields=["name"])
        assert isinstance(page, UserFieldsPage)
        assert [(each.id, each.username) for each in page.items] == [(me.id, UNSET)]
        assert isinstance(list_users.sync(client=ada), UserPage)
        few = get_user.sync(me.id, client=ada, fields=["username"])
        assert isinstance(few, UserFields)
        assert few.username == me.username
        assert isinstance(get_user.sync(me.id, client=ada), User)

    def test_tell_problems_as_ever(self, ada: generated.AuthenticatedClient) -> None:
        answer = get_issue.sync_detailed("NONE-1", client=ada, fields=["key"])
        assert isinstance(answer.parsed, Problem)
        assert answer.parsed.code == "resource_not_found"

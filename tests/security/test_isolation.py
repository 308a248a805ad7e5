"""Two organisations, one database: what is theirs answers exactly like what does not exist.

Once against the application as it is, and once against one whose own scoping is taken out of every
statement, so that row-level security stands alone.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from uuid import uuid4

import httpx
import pytest

from bugtracker.contract import Contract
from bugtracker.models.organisation import Role
from bugtracker.settings import Settings
from tests.security.test_permission_matrix import (
    RELATIONS,
    ROLES,
    Things,
    Try,
    allowed,
    ask,
    everything,
    reads,
    things,
)
from tests.security.unscoped import Unscoped, serve_unscoped
from tests.serving import Server
from tests.world import Caller, Json, Org, World, made, refused, without_id


@dataclass(frozen=True)
class Lock:
    """What keeps two organisations apart, and a server where that is all there is."""

    name: str
    url: str
    unscoped: Unscoped | None

    @property
    def refusals(self) -> set[int]:
        """How one whose role may do it is refused; without scoping they seem to be members."""
        return {404} if self.unscoped is None else {403, 404}

    def http(self, world: World, person: Caller) -> httpx.Client:
        client = world.client(**person.authorization)
        client.base_url = httpx.URL(self.url)
        return client


@pytest.fixture(scope="module")
def unscoped(settings: Settings, contract: Contract) -> Iterator[Unscoped]:
    with serve_unscoped(settings, contract) as running:
        yield running


@pytest.fixture(params=["both locks", "row-level security alone"])
def lock(request: pytest.FixtureRequest, server: Server, unscoped: Unscoped) -> Lock:
    if request.param == "both locks":
        return Lock(request.param, server.url, None)
    return Lock(request.param, unscoped.server.url, unscoped)


def names_something(contract: Contract, attempt: Try) -> bool:
    """Whether its path has the id of a thing, which may be another organisation's."""
    return "{" in contract.operations[attempt.operation].path


def is_denied(attempt: Try, role: Role) -> bool:
    """Whether the role may not do this to anything, whoever made it."""
    relations = (*RELATIONS, "self")
    return not any(allowed(attempt.action, role, relation) for relation in relations)


class TestPath:
    @pytest.mark.parametrize("role", ROLES)
    def test_with_an_id_of_theirs_is_like_one_of_nobody(
        self, world: World, org: Org, contract: Contract, role: Role, lock: Lock
    ) -> None:
        t = things(org, org.owner, "none")
        theirs = [
            attempt
            for attempt in reads(t)
            if names_something(contract, attempt) and attempt.operation not in OF_THE_MOMENT
        ]
        before = [ask(org.owner.http, contract, attempt).json() for attempt in theirs]
        stranger = lock.http(world, world.create_org().caller(role))
        nothing = Things(*(str(uuid4()) for _ in range(3)), t.developer, str(uuid4()))
        for foreign, missing in zip(everything(t), everything(nothing), strict=True):
            if not names_something(contract, foreign):
                continue
            answers = [ask(stranger, contract, a) for a in (foreign, missing)]
            expected = {403} if is_denied(foreign, role) else lock.refusals
            assert {answer.status_code for answer in answers} <= expected, foreign
            one, other = (self._comparable(answer) for answer in answers)
            assert one == other
        assert [ask(org.owner.http, contract, a).json() for a in theirs] == before
        assert lock.unscoped is None or len(lock.unscoped.statements) > 10

    def _comparable(self, answer: httpx.Response) -> Json:
        """The problem without what tells requests apart; some name the organisation asked for."""
        problem = without_id(answer.json())
        asked = answer.request.url.path.split("/")
        return {**problem, "detail": problem["detail"].replace(asked[3], "…")}

    def test_with_a_key_of_theirs_reaches_nothing(self, world: World, org: Org, lock: Lock) -> None:
        issue = org.owner.create_issue(org.owner.create_project(key="FAR"))
        stranger = lock.http(world, world.create_org().owner)
        for rest in ("", "/comments", "/history", "/actions"):
            refused(stranger.get(f"/api/issues/FAR-1{rest}"), 404, "resource_not_found")
        assert org.owner.get("/api/issues/FAR-1").json() == issue

    def test_with_a_session_of_theirs_is_like_one_of_nobody(
        self, world: World, org: Org, lock: Lock
    ) -> None:
        stranger = lock.http(world, world.create_org().owner)
        for session_id in (org.owner.session_id, uuid4()):
            answer = stranger.delete(f"/api/auth/sessions/{session_id}")
            refused(answer, 404, "resource_not_found")
        assert org.owner.get("/api/auth/me").status_code == 200


# The audit log of a scene of ours has a person's own events from outside any organisation too when
# nothing but row-level security filters: theirs everywhere, so they may see them.
WITH_OWN_EVENTS = {"list_audit_events", "export_audit_events"}

# Two answers differ by the time that went by, or the cursor that tells it.
OF_THE_MOMENT = {"get_project_statistics", "follow_events", "get_rate_limit_analytics"}


class TestList:
    def test_shows_nothing_of_theirs_without_our_own_scoping(
        self, world: World, org: Org, contract: Contract, unscoped: Unscoped
    ) -> None:
        """The same shape of data in both; a list must show the own one only."""
        ours = world.create_org()
        t = things(ours, ours.owner, "none")
        theirs = [org.id, *astuple(things(org, org.owner, "none"))[:5], org.owner.id]
        bare = Lock("bare", unscoped.server.url, unscoped).http(world, ours.owner)
        for attempt in reads(t):
            alone, both = (ask(http, contract, attempt) for http in (bare, ours.owner.http))
            assert alone.status_code == 200
            assert not [id_ for id_ in theirs if str(id_) in alone.text], attempt
            assert (
                alone.text == both.text or attempt.operation in WITH_OWN_EVENTS | OF_THE_MOMENT
            ), attempt


class TestReference:
    def test_to_one_of_theirs_in_a_query_finds_nothing(
        self, world: World, org: Org, lock: Lock
    ) -> None:
        t = things(org, org.owner, "none")
        ours = world.create_org()
        project = ours.owner.create_project()
        ours.owner.create_issue(project)
        stranger = lock.http(world, ours.owner)
        issues = f"/api/projects/{project['id']}/issues"
        for path, query in self._queries(issues, t, org):
            answer = stranger.get(path, params=query)
            nobodys = stranger.get(
                path, params={name: self._nobody(v) for name, v in query.items()}
            )
            assert answer.status_code == nobodys.status_code
            if answer.is_success:
                assert answer.json()["items"] == nobodys.json()["items"] == [], (path, query)

    def _queries(self, issues: str, t: Things, org: Org) -> Iterator[tuple[str, Json]]:
        for path in (issues, "/api/issues"):
            yield path, {"assignee": t.developer}
            yield path, {"filter": f"reporter=={t.developer}"}
            yield path, {"filter": f"project=={t.project}"}
        for name, value in (("resource_id", t.issue), ("actor", str(org.owner.id))):
            yield "/api/audit", {name: value}

    def _nobody(self, value: str) -> str:
        head, equals, _ = value.rpartition("==")
        return f"{head}{equals}{uuid4()}"

    def test_to_one_of_theirs_in_a_body_is_like_one_to_nobody(
        self, world: World, org: Org, lock: Lock
    ) -> None:
        ours = world.create_org()
        issue = ours.owner.create_issue(ours.owner.create_project())
        stranger = lock.http(world, ours.owner)
        path = f"/api/issues/{issue['id']}"
        for person in (org.developer.id, uuid4()):
            answer = stranger.patch(path, json={"assignee_id": str(person)})
            refused(answer, 422, "assignee_invalid")

    def test_a_cursor_of_theirs_leads_to_nothing_of_theirs(
        self, world: World, org: Org, lock: Lock
    ) -> None:
        for _ in range(3):
            org.owner.create_project()
        cursor = org.owner.get("/api/projects", params={"limit": 1}).json()["next_cursor"]
        ours = world.create_org()
        project = ours.owner.create_project()
        page = lock.http(world, ours.owner).get("/api/projects", params={"cursor": cursor})
        assert {item["id"] for item in page.json().get("items", [])} <= {project["id"]}


class TestMembership:
    def test_one_person_has_one_role_in_each(self, world: World, org: Org, lock: Lock) -> None:
        other = world.create_org()
        person = org.auditor
        world.join(person.id, other.id, "owner")
        _, token = world.open_session(person.id, other.id)
        with world.client(Authorization=f"Bearer {token}") as there:
            made(there.post("/api/projects", json={"name": "There"}))
        here = lock.http(world, person)
        refused(here.post("/api/projects", json={"name": "Here"}), 403, "permission_denied")
        assert here.get("/api/projects").json()["items"] == []

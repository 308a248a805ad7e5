"""Deleting, restoring, linking and joining at the same moment: one outcome, no deadlock."""

from collections import Counter
from functools import partial
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from bugtracker.models import Account, Comment, Issue
from tests.behind import employee, events_of
from tests.parallel import Call, at_once
from tests.registering import get_me, refresh, tokens_of
from tests.world import Caller, Org, World

TIMES = 50


def account_of(world: World, person: Caller) -> Account:
    with world.runtime.db.transaction() as session:
        return session.scalars(select(Account).where(Account.id == person.id)).one()


class TestDeleteAndRestore:
    def test_fifty_times_each_leave_member_and_account_agreed(self, world: World, org: Org) -> None:
        path = f"/api/users/{org.member.id}"
        delete, restore = (
            partial(org.owner.delete, path),
            partial(org.admin.post, f"{path}/restore"),
        )
        answers = at_once([delete, restore] * (TIMES // 2))
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) <= {200, 204, 404}
        removed = len(events_of(world.runtime, org, "member.removed"))
        restored = len(events_of(world.runtime, org, "member.restored"))
        assert removed == codes[204] >= 1
        here = org.owner.get(path).json()["removed_at"] is None
        assert removed - restored == (0 if here else 1)
        account = account_of(world, org.member)
        assert (account.is_active, account.deactivated_by_removal) == (here, not here)

    def test_deleted_fifty_times_at_once_is_deleted_once(self, world: World, org: Org) -> None:
        calls: list[Call] = [partial(org.owner.delete, f"/api/users/{org.member.id}")] * TIMES
        codes = Counter(answer.status_code for answer in at_once(calls))
        assert codes == {204: 1, 404: TIMES - 1}
        assert len(events_of(world.runtime, org, "member.removed")) == 1

    @pytest.mark.parametrize("round_", range(5))
    def test_deleted_from_all_organisations_at_once_disables_the_account(
        self, world: World, org: Org, round_: int
    ) -> None:
        del round_
        orgs = [org, *(world.create_org() for _ in range(3))]
        for other in orgs[1:]:
            world.join(org.member.id, other.id, "member")
        path = f"/api/users/{org.member.id}"
        answers = at_once([partial(each.owner.delete, path) for each in orgs])
        assert [answer.status_code for answer in answers] == [204] * 4
        assert account_of(world, org.member).is_active is False

    @pytest.mark.parametrize("round_", range(5))
    def test_no_session_from_before_survives_logins_and_refreshes_at_once(
        self, world: World, org: Org, anonymous: httpx.Client, round_: int
    ) -> None:
        del round_
        person = employee(world, org, anonymous, world.runtime.settings)
        sessions = [tokens_of(person.login()) for _ in range(3)]
        path = f"/api/users/{get_me(anonymous, sessions[0]['access_token']).json()['id']}"
        calls: list[Call] = [
            partial(refresh, anonymous, session["refresh_token"]) for session in sessions
        ]
        answers = at_once([*calls, partial(org.owner.delete, path), person.login, person.login])
        assert {answer.status_code for answer in answers} <= {200, 204, 401}
        assert org.owner.post(f"{path}/restore").status_code == 200
        issued = [answer.json() for answer in answers if answer.status_code == 200]
        assert {get_me(anonymous, each["access_token"]).status_code for each in issued} <= {401}
        for each in [*sessions, *issued]:
            assert refresh(anonymous, each["refresh_token"]).status_code == 401

    def test_a_login_meanwhile_waits_and_never_deadlocks(self, world: World, org: Org) -> None:
        person = org.member
        path = f"/api/users/{person.id}"
        login = partial(
            org.member.http.post,
            "/api/auth/login",
            json={"email": person.email, "password": "Tide-Table-1843"},
            headers={"Authorization": ""},
        )
        rename = partial(org.owner.patch, path, {"role": "auditor"}, headers={"If-Match": "*"})
        calls = [login, partial(org.owner.delete, path), rename, login]
        answers = at_once([*calls, partial(org.owner.post, f"{path}/restore")] * 4)
        assert {answer.status_code for answer in answers} <= {200, 204, 401, 404, 429}


class TestLink:
    def test_fifty_links_at_once_make_one(self, world: World, org: Org) -> None:
        person = world.import_person(org, "tidewatch")
        targets = [org.caller("developer", str(n)) for n in range(5)]
        calls = [
            partial(
                org.owner.post, f"/api/users/{person}/link", {"user_id": str(targets[n % 5].id)}
            )
            for n in range(TIMES)
        ]
        codes = Counter(answer.status_code for answer in at_once(calls))
        assert codes == {200: 1, 409: TIMES - 1}

    def test_writers_meanwhile_neither_deadlock_nor_lose_anything(
        self, world: World, org: Org
    ) -> None:
        person = world.import_person(org, "tidewatch")
        project = org.manager.create_project()
        issues = [org.manager.create_issue(project) for _ in range(4)]
        for issue in issues:
            org.manager.create_comment(issue)
        self._give(world, org, person)
        member = org.developer
        calls: list[Call] = [
            partial(org.owner.post, f"/api/users/{person}/link", {"user_id": str(member.id)})
        ]
        for issue in issues * 5:
            path = f"/api/issues/{issue['id']}"
            body = {"assignee_id": str(member.id), "title": "Changed"}
            calls += [
                partial(org.admin.patch, path, body),
                partial(org.manager.post, f"{path}/comments", {"content": "New"}),
            ]
        answers = at_once(calls)
        assert {answer.status_code for answer in answers} == {200, 201}
        shown = org.owner.get(f"/api/projects/{project['id']}/issues?limit=100").json()["items"]
        assert {issue["reporter_id"] for issue in shown} == {str(member.id)}
        assert {issue["title"] for issue in shown} == {"Changed"}

    def _give(self, world: World, org: Org, person: UUID) -> None:
        with world.runtime.db.transaction(org_id=org.id) as session:
            for issue in session.scalars(select(Issue)):
                issue.reporter_id = person
            for comment in session.scalars(select(Comment)):
                comment.author_id = person

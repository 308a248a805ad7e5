"""GET /api/events without waiting: order, pages, types, and cursors that hold or do not."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.feed import reading
from bugtracker.feed.positions import cursor_at
from bugtracker.feed.types import SELECTABLE, permission_for
from bugtracker.services.events import Origin, Resource, append
from bugtracker.webhooks.types import TYPES
from tests.feed.conftest import FEED, Follower
from tests.recorder import recorded
from tests.world import Org, World, refused

Number = Callable[[], None]


class TestFollowEvents:
    def test_tells_each_event_once_in_order_with_the_body_that_webhooks_send(
        self, world: World, org: Org, follower: Follower, number: Number
    ) -> None:
        project = org.manager.create_project(name="Tides", key="TID")
        issue = org.developer.create_issue(project, title="The leak")
        org.manager.move(issue, "in_progress")
        org.member.create_comment(issue, "Nobody reads this here.")
        assert follower.read() == []
        number()
        items = follower.read(limit=2)
        assert [each["type"] for each in items if each["type"] != "user.joined"] == [
            "project.created", "issue.created", "issue.updated", "comment.created",
        ]  # fmt: skip
        numbers = [each["data"]["number"] for each in items]
        assert numbers == sorted(set(numbers))
        (changed,) = [each for each in items if each["type"] == "issue.updated"]
        assert changed["data"]["changes"] == [
            {"field": "status", "old": "open", "new": "in_progress"}
        ]
        assert "Nobody reads" not in str(items)
        recorded_events = {str(event.id) for event in world.events(org, issue)}
        told = {each["id"] for each in items if each["data"]["resource"]["id"] == issue["id"]}
        assert told == recorded_events
        assert follower.read() == []

    def test_never_passes_an_event_that_commits_late(
        self, world: World, org: Org, follower: Follower, number: Number
    ) -> None:
        project = org.manager.create_project()
        number()
        follower.read()
        resource = Resource("project", UUID(project["id"]))
        with world.runtime.db.transaction(org_id=org.id) as session:
            late = append(session, Origin(utc_now(), org.id), "project.updated", resource, {})
            org.manager.create_issue(project)
            number()
            assert [each["type"] for each in follower.read()] == ["issue.created"]
        number()
        assert [each["id"] for each in follower.read()] == [str(late)]

    def test_begins_now_or_where_the_record_does(
        self, world: World, org: Org, number: Number
    ) -> None:
        now, moment = Follower(org.auditor), utc_now()
        with world.runtime.db.transaction(org_id=org.id) as session:
            for days in (40, 29):
                by = Origin(moment - timedelta(days=days), org.id)
                append(session, by, "project.updated", Resource("project", org.id, days), {})
                session.flush()
        number()
        assert now.ask()["items"] == []
        first, *_ = org.auditor.get(FEED, params={"after": "beginning"}).json()["items"]
        assert first["data"]["resource"]["version"] == 29
        empty = world.create_org()
        assert empty.auditor.get(FEED, params={"after": "beginning"}).json()["has_more"] is False

    def test_looks_through_a_span_of_the_record_at_a_time(
        self, org: Org, follower: Follower, number: Number, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "SPAN", 4)
        project = org.manager.create_project()
        for title in ("One", "Two", "Three", "Four", "Five"):
            issue = org.manager.create_issue(project, title=title)
        org.manager.create_comment(issue)
        number()
        first = follower.ask(types="comment.*", wait=20)
        assert (first["items"], first["has_more"]) == ([], True)
        (found,) = follower.read(types="comment.*")
        assert found["type"] == "comment.created"

    def test_takes_two_statements_whatever_there_is(
        self, world: World, org: Org, follower: Follower, number: Number
    ) -> None:
        project = org.manager.create_project()
        for _ in range(5):
            org.manager.create_issue(project)
        number()
        for most in (2, 1):
            with recorded(world.runtime.db.engine) as statements:
                follower.ask()
            assert len(statements) == most


class TestTypes:
    def test_are_those_of_webhooks_but_for_batches(self, contract: Contract) -> None:
        schemas = contract.document["components"]["schemas"]
        assert schemas["EventType"]["enum"] == list(SELECTABLE)
        assert {permission_for(action) for action in TYPES} <= set(contract_permissions(contract))

    def test_can_be_chosen_and_changed_on_the_way(
        self, org: Org, follower: Follower, number: Number
    ) -> None:
        project = org.manager.create_project()
        number()
        assert follower.read(types="issue.*,comment.created") == []
        org.manager.create_issue(project)
        number()
        assert len(follower.read(types="issue.created")) == 1

    def test_show_an_api_key_what_its_scopes_may_read(
        self, world: World, org: Org, number: Number
    ) -> None:
        issue = org.manager.create_issue(org.manager.create_project())
        org.manager.create_comment(issue)
        body = {"email": "guest@example.com", "role": "member"}
        assert org.owner.post("/api/invitations", body).status_code == 201
        number()
        beginning = {"after": "beginning"}
        with world.with_key(org.owner.create_api_key("issues.read", "comments.read")) as client:
            items = client.get(FEED, params=beginning).json()["items"]
            assert {each["type"] for each in items} == {"issue.created", "comment.created"}
            for types in ("project.created", "issue.*,user.*"):
                answer = client.get(FEED, params={**beginning, "types": types})
                refused(answer, 403, "permission_denied")
        with world.with_key(org.owner.create_api_key("projects.read")) as client:
            refused(client.get(FEED), 403, "permission_denied")
        invited = {**beginning, "types": "user.invited"}
        assert len(org.manager.get(FEED, params=invited).json()["items"]) == 1
        refused(org.developer.get(FEED, params=invited), 403, "permission_denied")
        seen = org.developer.get(FEED, params={**beginning, "types": "user.*"}).json()["items"]
        assert seen
        assert "user.invited" not in {each["type"] for each in seen}


class TestCursor:
    def test_that_is_none_of_this_organisation_is_refused(
        self, world: World, org: Org, follower: Follower
    ) -> None:
        foreign = Follower(world.create_org().auditor)
        foreign.ask()
        keyring, now = world.runtime.keyring, utc_now()
        ahead = cursor_at(keyring, org.id, 10**9, now)
        listed = org.auditor.get("/api/audit", params={"limit": 1}).json()["next_cursor"]
        damaged = follower.cursor[:-3] + "AAA"
        for cursor in (foreign.cursor, ahead, damaged, "end", listed or "x"):
            problem = refused(
                org.auditor.get(FEED, params={"after": cursor}), 400, "cursor_invalid"
            )
            assert problem["errors"][0]["parameter"] == "after"

    def test_that_is_older_than_the_feed_goes_back_is_gone(self, world: World, org: Org) -> None:
        keyring, now = world.runtime.keyring, utc_now()
        days = timedelta(days=world.runtime.settings.feed_days)
        old = cursor_at(keyring, org.id, 0, now - days - timedelta(minutes=1))
        young = cursor_at(keyring, org.id, 0, now - days + timedelta(minutes=1))
        for wait in (0, 20):
            query = {"after": old, "wait": wait}
            problem = refused(org.auditor.get(FEED, params=query), 410, "cursor_expired")
            assert "30 days" in problem["detail"]
        assert org.auditor.get(FEED, params={"after": young}).is_success

    def test_tells_nothing_of_another_organisation(
        self, world: World, org: Org, follower: Follower, number: Number
    ) -> None:
        other = world.create_org()
        other.manager.create_project()
        number()
        items = Follower(org.auditor, "beginning").read()
        assert {each["organisation_id"] for each in items} <= {str(org.id)}


def contract_permissions(contract: Contract) -> set[str]:
    return {each.permission for each in contract.operations.values() if each.permission}

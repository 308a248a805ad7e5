"""Who logs in most, and who does not."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from bugtracker.clock import midnight, utc_now
from bugtracker.jobs.worker import WorkerThread
from bugtracker.login_analytics.rollup import roll_up, roll_up_past
from bugtracker.models import Member
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import change_member, employee
from tests.jobs.running import eventually
from tests.logins import logged_in, marked, rolled_up
from tests.magic_links import follow, linked
from tests.registering import Newcomer
from tests.world import Caller, Json, Org, World, refused

A_MOMENT = timedelta(microseconds=1)


def top(caller: Caller, **query: Any) -> Json:
    response = caller.get("/api/users/top-logins", params=query)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def ranked(body: Json) -> list[tuple[str, int]]:
    return [(item["user"]["username"], item["logins"]) for item in body["items"]]


def day(days_ago: int) -> datetime:
    return midnight(utc_now().date() - timedelta(days=days_ago))


class TestListTopLogins:
    def test_shows_who_logged_in_whatever_way(
        self,
        runtime: Runtime,
        world: World,
        org: Org,
        anonymous: httpx.Client,
        settings: Settings,
        worker: WorkerThread,
    ) -> None:
        person = employee(world, org, anonymous, settings)
        assert person.login().status_code == 200
        assert follow(person, linked(person)).status_code == 200
        eventually(lambda: top(org.manager)["logins"] == 2)
        body = top(org.auditor)
        today = str(utc_now().date())
        (item,) = body["items"]
        assert item["user"]["username"] == person.username
        assert (body["window"], body["to"], body["people"], body["limit"]) == ("7d", today, 1, 20)
        assert body["from"] == str(day(6).date())

    def test_is_the_same_before_and_after_any_roll_up(self, runtime: Runtime, org: Org) -> None:
        one, other = org.member, org.developer
        for days_ago in (0, 1, 3, 6):
            logged_in(runtime, org, one.id, *[day(days_ago)] * (days_ago + 1))
        logged_in(runtime, org, other.id, day(3), day(3) + timedelta(hours=5))
        expected = [(one.username, 14), (other.username, 2)]
        assert ranked(top(org.admin)) == expected
        roll_up_past(runtime)
        assert marked(runtime, org) == {day(0).date()}
        assert ranked(top(org.admin)) == expected
        # One late login makes its day count from its events again, and only that one.
        logged_in(runtime, org, other.id, day(3))
        late = [(one.username, 14), (other.username, 3)]
        assert ranked(top(org.admin)) == late
        for days_ago in range(7):
            roll_up(runtime, day(days_ago).date(), again=True)
        assert marked(runtime, org) == set()
        assert ranked(top(org.admin)) == late
        assert rolled_up(runtime, org).total() == 17

    def test_a_window_is_of_whole_days_in_utc(self, runtime: Runtime, org: Org) -> None:
        moments = [day(n - 1) - step for n in (7, 30) for step in (A_MOMENT, timedelta())]
        logged_in(runtime, org, org.member.id, *moments)
        for _ in range(2):
            assert [top(org.owner, window=w)["logins"] for w in ("7d", "30d")] == [1, 3]
            roll_up_past(runtime)

    def test_orders_ties_by_username_and_then_by_id(
        self, runtime: Runtime, world: World, org: Org
    ) -> None:
        people = [org.caller("member", str(n)) for n in range(4)]
        for person, times in zip(people, (1, 2, 1, 2), strict=True):
            logged_in(runtime, org, person.id, *[day(0)] * times)
        few, many = ([people[n] for n in numbers] for numbers in ((0, 2), (1, 3)))
        order = [
            *sorted((person.username, 2) for person in many),
            *sorted((person.username, 1) for person in few),
        ]
        assert ranked(top(org.owner)) == order
        assert ranked(top(org.owner, limit=3)) == order[:3]

    def test_shows_members_and_counts_those_who_left(
        self, runtime: Runtime, world: World, org: Org
    ) -> None:
        body = top(org.owner)
        assert (body["logins"], body["people"], body["items"]) == (0, 0, [])
        logged_in(runtime, org, org.member.id, day(0), day(0))
        logged_in(runtime, org, org.developer.id, day(0))
        world.remove(org, org.member)
        body = top(org.owner)
        assert (body["logins"], body["people"]) == (3, 2)
        assert ranked(body) == [(org.developer.username, 1)]
        logged_in(runtime, other := world.create_org(), other.member.id, day(0))
        assert top(org.owner) == body

    def test_is_not_for_everybody(self, org: Org) -> None:
        for path in ("/api/users/top-logins", "/api/users/inactive"):
            refused(org.developer.get(path), 403, "permission_denied")
            refused(org.admin.get(path, params={"window": "1d"}), 400, "request_invalid")


class TestListInactiveUsers:
    @pytest.fixture
    def since(self, runtime: Runtime, world: World, org: Org) -> dict[str, Caller]:
        """People by how long ago they logged in; nobody else is in the organisation."""
        spans = {"minutes": 50, "hours": 70, "days": 25 * 60, "weeks": 8 * 1440, "ages": 31 * 1440}
        people = {name: org.caller("admin", name) for name in (*spans, "never")}
        with runtime.db.transaction(org_id=org.id) as session:
            for name, minutes in spans.items():
                member = session.get_one(Member, (org.id, people[name].id))
                member.last_login = utc_now() - timedelta(minutes=minutes)
        return people

    def inactive(self, since: dict[str, Caller], **query: Any) -> list[str]:
        response = since["never"].get("/api/users/inactive", params=query)
        names = {str(person.id): name for name, person in since.items()}
        return [names[item["id"]] for item in response.json()["items"]]

    def test_shows_whose_last_login_was_before_the_window(self, since: dict[str, Caller]) -> None:
        order = ["never", "ages", "weeks", "days", "hours"]
        windows = {"hour": 5, "day": 4, "week": 3, "month": 2}
        shown = {window: self.inactive(since, window=window) for window in windows}
        assert shown == {window: order[:count] for window, count in windows.items()}
        assert self.inactive(since) == shown["month"]

    def test_goes_on_behind_a_cursor(self, since: dict[str, Caller]) -> None:
        path, query, found = "/api/users/inactive", {"window": "hour", "limit": "2"}, []
        for size in (2, 2, 1):
            page = since["never"].get(path, params=query).json()
            assert len(page["items"]) == size
            found += [item["id"] for item in page["items"]]
            query["cursor"] = page["next_cursor"]
        assert page["next_cursor"] is None
        assert len(set(found)) == 5

    def test_leaves_out_who_is_gone_or_cannot_log_in(
        self, since: dict[str, Caller], world: World, org: Org
    ) -> None:
        world.import_person(org, "oberon")
        world.remove(org, since["ages"])
        assert self.inactive(since, window="hour") == ["never", "weeks", "days", "hours"]

    def test_a_login_ends_it_at_once(
        self, world: World, org: Org, anonymous: httpx.Client, settings: Settings, runtime: Runtime
    ) -> None:
        person = employee(world, org, anonymous, settings)
        change_member(runtime, person, org, last_login=utc_now() - timedelta(days=2))
        query = {"window": "day", "fields": "username", "include": "roles"}

        def names() -> set[str]:
            items = org.manager.get("/api/users/inactive", params=query).json()["items"]
            assert {"id", "username", "roles"} == set(items[0])
            return {item["username"] for item in items}

        assert person.username in names()
        assert Newcomer.login(person).status_code == 200
        assert names() == {org.manager.username}

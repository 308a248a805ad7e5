"""A project in numbers."""

from datetime import date, timedelta
from typing import Any

import pytest

from bugtracker.clock import midnight, utc_now
from bugtracker.models.issue import PRIORITIES, STATUSES
from tests.histories import Histories, buckets, closing_times, time_in_status
from tests.world import Caller, Json, Org, World, refused


def statistics(caller: Caller, project: Json, **query: Any) -> Json:
    response = caller.get(f"/api/projects/{project['id']}/statistics", params=query)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def counted(items: list[Json], name: str) -> dict[str, tuple[int, ...]]:
    return {each[name]: tuple(v for k, v in each.items() if k != name) for each in items}


class TestGetProjectStatistics:
    def test_is_well_formed_without_any_issue(self, org: Org, project: Json) -> None:
        body = statistics(org.auditor, project)
        today = utc_now().date()
        assert (body["from"], body["to"]) == (str(today - timedelta(days=29)), str(today))
        assert len(body["buckets"]) == 30
        assert {tuple(each.values())[2:] for each in body["buckets"]} == {(0, 0, 0, 0, 0)}
        nothing = {"issues": 0, "p50_seconds": None, "p90_seconds": None}
        assert body["lead_time"] == body["cycle_time"] == nothing
        assert counted(body["by_status"], "status") == dict.fromkeys(STATUSES, (0,))
        assert counted(body["by_priority"], "priority") == dict.fromkeys(PRIORITIES, (0, 0))
        assert [each["total_seconds"] for each in body["time_in_status"]] == [0] * 5
        assert body["by_assignee"] == {
            "items": [],
            "rest": {"people": 0, "open": 0, "closed": 0},
            "unassigned": {"open": 0, "closed": 0},
        }

    def test_follows_what_people_do(self, org: Org, project: Json) -> None:
        manager, own = org.manager, {"assignee_id": str(org.developer.id)}
        closed = manager.create_issue(project, priority="high", **own)
        manager.move(closed, "in_progress", "resolved", "closed")
        again = manager.create_issue(project, **own)
        manager.move(again, "in_progress", "resolved", "closed", "reopened")
        manager.create_issue(project, priority="low")
        body = statistics(org.member, project)
        bucket = {k: v for k, v in body["buckets"][-1].items() if k not in ("from", "to")}
        assert list(bucket.values()) == [3, 2, 1, 2, 1]
        assert body["lead_time"]["issues"] == body["cycle_time"]["issues"] == 1
        states = {each["status"]: each["issues"] for each in body["time_in_status"]}
        assert states == {"open": 3, "in_progress": 2, "resolved": 2, "closed": 2, "reopened": 1}
        status = counted(body["by_status"], "status")
        assert (status["open"], status["closed"], status["reopened"]) == ((1,), (1,), (1,))
        priority = counted(body["by_priority"], "priority")
        assert priority == {"low": (1, 0), "medium": (1, 0), "high": (0, 1), "critical": (0, 0)}
        (first,) = body["by_assignee"]["items"]
        assert first["user"]["username"] == org.developer.username
        assert (first["open"], first["closed"]) == (1, 1)
        assert body["by_assignee"]["unassigned"] == {"open": 1, "closed": 0}

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_is_what_plain_python_finds_in_a_random_history(self, org: Org, seed: int) -> None:
        project, now = org.manager.create_project(), utc_now()
        histories = Histories(org, project, now, seed).make(60)
        today = now.date()
        for ago, until, interval in (
            (70, 0, "day"),
            (45, 12, "day"),
            (61, 3, "week"),
            (9, 9, "week"),
        ):
            first, last = today - timedelta(days=ago), today - timedelta(days=until)
            query = {"from": str(first), "to": str(last), "interval": interval}
            body = statistics(org.manager, project, **query)
            if interval == "week":
                first -= timedelta(days=first.weekday())
            assert (body["from"], body["to"]) == (str(first), str(last))
            assert body["buckets"] == buckets(
                histories, first, last, 7 if interval == "week" else 1
            )
            begins, ends = midnight(first), midnight(last + timedelta(days=1))
            lead, cycle = closing_times(histories, begins, ends)
            assert (body["lead_time"], body["cycle_time"]) == (lead, cycle)
            if until:  # what ends now, ends at another moment for the server
                assert body["time_in_status"] == time_in_status(histories, begins, ends)

    def test_shows_ten_people_and_counts_the_rest(
        self, world: World, org: Org, project: Json
    ) -> None:
        people = [org.caller("developer", str(n)) for n in range(12)]
        for number, person in enumerate(people):
            for _ in range(1 + number % 2):
                org.manager.create_issue(project, assignee_id=str(person.id))
        world.remove(org, people[1])
        shown = statistics(org.admin, project)["by_assignee"]
        names = [each["user"]["username"] for each in shown["items"]]
        few, many = (sorted(person.username for person in people[n::2]) for n in (0, 1))
        assert names == [*many, *few][:10]
        assert shown["rest"] == {"people": 2, "open": 2, "closed": 0}

    def test_never_looks_beyond_today(self, org: Org, project: Json) -> None:
        today = utc_now().date()
        body = statistics(org.manager, project, to="2999-12-31", **{"from": str(today)})
        assert (body["to"], len(body["buckets"])) == (str(today), 1)

    def test_refuses_a_period_that_is_none_or_too_long(self, org: Org, project: Json) -> None:
        path = f"/api/projects/{project['id']}/statistics"
        for query in (
            {"from": "2025-03-02", "to": "2025-03-01"},
            {"from": "2999-01-01"},
            {"from": "2024-01-01", "to": "2025-02-04"},
            {"from": "1000-01-01", "interval": "week"},
        ):
            problem = refused(org.manager.get(path, params=query), 400, "request_invalid")
            (violation,) = problem["errors"]
            assert (violation["parameter"], violation["code"]) == ("from", "period")
        longest = {"from": "2024-01-01", "to": str(date(2024, 1, 1) + timedelta(days=399))}
        assert len(statistics(org.manager, project, **longest)["buckets"]) == 400

    def test_is_of_ones_own_organisation_archived_or_not(
        self, world: World, org: Org, project: Json
    ) -> None:
        path = f"/api/projects/{project['id']}/statistics"
        refused(world.create_org().owner.get(path), 404, "resource_not_found")
        assert org.admin.delete(f"/api/projects/{project['id']}").status_code == 204
        assert org.admin.get(path).status_code == 200

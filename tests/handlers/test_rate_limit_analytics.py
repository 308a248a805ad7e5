"""What rate limits did with an organisation's requests, as its admins see it."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from bugtracker.clock import utc_now
from bugtracker.request_counts import RequestCounts
from bugtracker.runtime import Runtime
from tests.limiting import limited
from tests.world import Caller, Json, Org, World, refused

PATH = "/api/analytics/rate-limits"


def analytics(caller: Caller, **query: Any) -> Json:
    response = caller.get(PATH, params=query)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def count(runtime: Runtime, org: Org, moment: datetime, operation: str, *limited: bool) -> None:
    counts = RequestCounts(clock=moment.timestamp)
    for each in limited:
        counts.add(org.id, operation, limited=each)
    counts.flush(runtime.db)


def busy(body: Json) -> dict[str, tuple[int, int]]:
    return {
        each["from"]: (each["allowed"], each["limited"])
        for each in body["buckets"]
        if each["allowed"] or each["limited"]
    }


def shown(moment: datetime) -> str:
    return moment.replace(second=0, microsecond=0).isoformat().replace("+00:00", "Z")


class TestGetRateLimitAnalytics:
    @pytest.fixture
    def noon(self, runtime: Runtime, org: Org) -> datetime:
        """Some hour of the day before, with requests in it and around it."""
        noon = utc_now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=12)
        count(runtime, org, noon, "list_issues", False, True)
        count(runtime, org, noon + timedelta(minutes=59), "list_issues", False)
        count(runtime, org, noon + timedelta(minutes=59), "get_issue", False, False, False)
        count(runtime, org, noon + timedelta(minutes=60), "get_issue", True, True)
        return noon

    def test_shows_minutes_and_hours(self, org: Org, noon: datetime) -> None:
        until = noon + timedelta(hours=2)
        period = {"from": shown(noon), "to": shown(until)}
        hours = analytics(org.auditor, **period)
        assert (hours["from"], hours["to"], hours["interval"]) == (*period.values(), "hour")
        assert (hours["allowed"], hours["limited"]) == (5, 3)
        one, two = shown(noon), shown(noon + timedelta(hours=1))
        assert [tuple(each.values()) for each in hours["buckets"]] == [(one, 5, 1), (two, 0, 2)]
        assert [tuple(each.values()) for each in hours["operations"]] == [
            ("get_issue", 3, 2),
            ("list_issues", 2, 1),
        ]
        minutes = analytics(org.admin, interval="minute", **period)
        assert len(minutes["buckets"]) == 120
        assert minutes["operations"] == hours["operations"]
        last = shown(noon + timedelta(minutes=59))
        assert busy(minutes) == {one: (1, 1), last: (4, 0), two: (0, 2)}

    def test_shows_one_operation(self, org: Org, noon: datetime) -> None:
        body = analytics(org.owner, operation="list_issues")
        assert busy(body) == {shown(noon): (2, 1)}
        assert len(body["buckets"]) == 24
        nothing = analytics(org.owner, operation="list_none")
        assert (nothing["operations"], busy(nothing)) == ([], {})

    def test_makes_the_period_whole(self, org: Org, noon: datetime) -> None:
        moments = {
            "from": noon + timedelta(minutes=59, seconds=59),
            "to": noon + timedelta(minutes=61),
        }
        period = {name: moment.isoformat() for name, moment in moments.items()}
        body = analytics(org.owner, **period)
        assert (body["from"], body["to"]) == (shown(noon), shown(noon + timedelta(hours=2)))
        body = analytics(org.owner, interval="minute", **period)
        assert len(body["buckets"]) == 2

    def test_counts_what_the_limits_of_a_server_did(
        self, runtime: Runtime, world: World, org: Org
    ) -> None:
        key = org.admin.create_api_key()
        with limited(runtime, per_ip="5/hour", sensitive="2/hour", api_key="3/hour") as clients:
            for times, token, path in (
                (3, org.member.authorization, "/api/projects"),
                (5, {"Authorization": f"Bearer {key['key']}"}, "/api/projects"),
                (1, {"Authorization": "Bearer x.y.z"}, "/api/projects"),
                (3, org.member.authorization, "/api/issues/ZZZZ-1/history"),
                (1, {}, "/api/projects"),
            ):
                for _ in range(times):
                    clients.http.get(path, headers=token)
        body = analytics(org.admin, interval="minute")
        found = {each["operation"]: each for each in body["operations"]}
        counts = {name: (each["allowed"], each["limited"]) for name, each in found.items()}
        assert counts["list_projects"] == (7, 1)
        assert counts["list_issue_history"] == (0, 3)

    def test_knows_nothing_of_other_organisations(
        self, world: World, org: Org, noon: datetime
    ) -> None:
        body = analytics(world.create_org().owner)
        assert (body["allowed"], body["limited"], body["operations"]) == (0, 0, [])

    def test_refuses_a_period_that_is_none_or_too_long(self, org: Org) -> None:
        now = utc_now()
        for query in (
            {"from": shown(now + timedelta(days=1))},
            {"from": shown(now), "to": shown(now - timedelta(hours=2))},
            {"from": shown(now - timedelta(days=91))},
            {"from": shown(now - timedelta(hours=25)), "interval": "minute"},
        ):
            problem = refused(org.admin.get(PATH, params=query), 400, "request_invalid")
            assert [each["parameter"] for each in problem["errors"]] == ["from"]

    def test_is_not_for_everybody(self, org: Org, anonymous: httpx.Client) -> None:
        refused(org.developer.get(PATH), 403, "permission_denied")
        refused(org.member.get(PATH), 403, "permission_denied")
        refused(anonymous.get(PATH), 401, "authentication_required")

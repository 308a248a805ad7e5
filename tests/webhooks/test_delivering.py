"""From a change to a receiver: signed, complete, at least once, in bounded time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from bugtracker.contract import Contract
from bugtracker.schemas import to_2020_12
from bugtracker.services.events import Origin, Resource, append
from bugtracker.webhooks.retries import PAUSES, pause
from tests.webhooks.receiver import Receiver, drip, flood, hang, in_turn, status
from tests.webhooks.stepping import Stepper, deliveries, path_of, subscribe
from tests.world import Json, Org


class TestDelivery:
    def test_of_a_change_is_signed_and_as_documented(
        self, org: Org, receiver: Receiver, stepper: Stepper, contract: Contract
    ) -> None:
        created = subscribe(org, receiver.url)
        project = org.manager.create_project()
        issue = org.member.create_issue(project, description="A secret of mine")
        org.manager.move(issue, "in_progress")
        org.member.create_comment(issue, "A word of mine")
        stepper.deliver(org)
        kinds = ["user.joined", "project.created", "user.joined", "issue.created"]
        assert sorted(receiver.types) == sorted([*kinds, "issue.updated", "comment.created"])
        for message in receiver.messages:
            assert message.is_signed_with(created["secret"])
            assert message.path == "/hook"
            assert message.headers["content-type"] == "application/json"
            schema = to_2020_12(contract.document["components"]["schemas"]["WebhookMessage"])
            root = {**schema, "components": to_2020_12(contract.document["components"])}
            assert list(Draft202012Validator(root).iter_errors(message.json)) == []
            assert b"of mine" not in message.body
        moved = next(m.json for m in receiver.messages if m.type == "issue.updated")
        assert moved["organisation_id"] == str(org.id)
        assert moved["data"]["actor_id"] == str(org.manager.id)
        assert moved["data"]["resource"] == {"type": "issue", "id": issue["id"], "version": 2}
        assert moved["data"]["changes"] == [
            {"field": "status", "old": "open", "new": "in_progress"}
        ]
        shown = deliveries(org, created)
        assert {each["state"] for each in shown} == {"delivered"}
        assert {each["last_attempt"]["status"] for each in shown} == {204}
        assert {m.json["id"] for m in receiver.messages} == {each["event_id"] for each in shown}

    def test_begins_with_the_webhook_and_is_made_once(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        project = org.manager.create_project()
        created = subscribe(org, receiver.url, "issue.*")
        org.manager.create_issue(project)
        for _ in range(3):
            stepper.deliver(org)
        assert receiver.types == ["issue.created"]
        assert len(deliveries(org, created)) == 1

    def test_is_to_those_who_want_it(self, org: Org, receiver: Receiver, stepper: Stepper) -> None:
        project = org.manager.create_project()
        wanted: list[tuple[Json, int]] = [
            ({"event_types": ["issue.created"]}, 2),
            ({"event_types": ["issue.*"]}, 3),
            ({"event_types": ["comment.*", "user.*"]}, 0),
            ({"event_types": ["issue.*"], "filter": "priority>=high"}, 1),
            ({"event_types": ["*"], "filter": "status==in_progress"}, 1),
            ({"event_types": ["*"], "filter": f"actor=={org.manager.id};title==*dry*"}, 1),
            ({"event_types": ["*"], "filter": "assignee_id=null=false"}, 0),
            ({"event_types": ["*"], "active": False}, 0),
        ]
        made = [(subscribe(org, receiver.url, *w.pop("event_types"), **w), n) for w, n in wanted]
        issue = org.manager.create_issue(project, priority="critical", title="Wet")
        org.manager.create_issue(project, title="Too dry")
        org.manager.move(issue, "in_progress")
        stepper.fan_out(org)
        assert [len(deliveries(org, each)) for each, _ in made] == [n for _, n in made]

    def test_of_another_organisation_is_none_of_ours(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        subscribe(org, receiver.url)
        theirs = org.world.create_org()
        subscribe(theirs, receiver.url)
        theirs.manager.create_project()
        org.member  # noqa: B018 - joins
        for each in (org, theirs):
            stepper.deliver(each)
        by_org = {UUID(m.json["organisation_id"]): set[str]() for m in receiver.messages}
        for message in receiver.messages:
            by_org[UUID(message.json["organisation_id"])].add(message.type)
        assert by_org[org.id] == {"user.joined"}
        assert by_org[theirs.id] == {"user.joined", "project.created"}

    def test_of_logins_comes_in_batches(
        self, org: Org, receiver: Receiver, stepper: Stepper, contract: Contract
    ) -> None:
        created = subscribe(org, receiver.url, "login.batch")
        _log_in(org, 250)
        stepper.deliver(org)
        assert receiver.messages == []
        stepper.end_batch(org)
        stepper.deliver(org)
        batches = sorted((m.json for m in receiver.messages), key=lambda body: body["id"])
        assert [len(body["data"]["logins"]) for body in batches] == [100, 100, 50]
        ids = [login["event_id"] for body in batches for login in body["data"]["logins"]]
        assert len(set(ids)) == 250
        assert [body["id"] for body in batches] == [ids[0], ids[100], ids[200]]
        schema = to_2020_12(contract.document["components"]["schemas"]["WebhookLoginBatch"])
        root = {**schema, "components": to_2020_12(contract.document["components"])}
        assert list(Draft202012Validator(root).iter_errors(batches[0])) == []
        assert len(deliveries(org, created)) == 3


def _log_in(org: Org, times: int) -> None:
    now = datetime.now(UTC)
    with org.world.runtime.db.transaction(org_id=org.id) as session:
        for n in range(times):
            by = Origin(now + timedelta(milliseconds=n), org.id, org.member.id, org.member.id)
            append(session, by, "login.succeeded", Resource("session", org.member.id), {})


class TestRetries:
    def test_go_on_with_the_same_id_until_one_is_accepted(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        receiver.answer = in_turn(status(500), status(302, Location="http://[::1]/"), status(200))
        for _ in range(3):
            stepper.deliver(org)
            stepper.make_due(org)
        stepper.deliver(org)
        assert len(receiver.messages) == 3
        assert len(set(receiver.ids)) == 1
        assert all(m.is_signed_with(created["secret"]) for m in receiver.messages)
        (shown,) = deliveries(org, created)
        detail = org.admin.get(f"{path_of(created)}/deliveries/{shown['event_id']}").json()
        assert (detail["state"], detail["attempts"]) == ("delivered", 3)
        assert [each["status"] for each in detail["latest_attempts"]] == [500, 302, 200]
        assert org.admin.get(path_of(created)).json()["failing_since"] is None

    def test_end_dead_after_ten(self, org: Org, receiver: Receiver, stepper: Stepper) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        receiver.answer = status(503)
        for _ in range(12):
            stepper.deliver(org)
            stepper.make_due(org)
        assert len(receiver.messages) == 10
        (shown,) = deliveries(org, created, state="dead")
        assert shown["next_attempt_at"] is None
        assert shown["finished_at"] is not None

    def test_wait_longer_each_time_and_as_long_as_asked(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        for failures, usual in enumerate(PAUSES, 1):
            found = {pause(failures, None) for _ in range(50)}
            assert len(found) > 40
            assert all(each and 0.8 * usual <= each <= 1.2 * usual for each in found)
        assert pause(10, 60) is None
        assert pause(1, 10**9) == 86_400
        assert (pause(1, -5) or 0) >= 4
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        receiver.answer = status(429, Retry_After="7200")
        stepper.deliver(org)
        (shown,) = deliveries(org, created)
        due = datetime.fromisoformat(shown["next_attempt_at"]) - datetime.now(UTC)
        assert timedelta(seconds=7100) < due < timedelta(seconds=7300)

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [(hang, (None, "timeout")), (drip, (None, "timeout")), (flood, (500, None))],
        ids=["hang", "drip", "flood"],
    )
    def test_wait_for_no_receiver_longer_than_the_timeout(
        self, org: Org, receiver: Receiver, impatient: Stepper, answer: object, outcome: object
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        receiver.answer = answer  # type: ignore[assignment]
        impatient.deliver(org)
        (shown,) = deliveries(org, created)
        last = shown["last_attempt"]
        assert (last["status"], last["error"]) == outcome
        assert last["duration_ms"] < 3_500

    def test_say_why_nobody_answered(self, org: Org, stepper: Stepper) -> None:
        with Receiver() as closed:
            url = closed.url
        created = subscribe(org, url, "project.*")
        org.manager.create_project()
        stepper.deliver(org)
        (shown,) = deliveries(org, created)
        assert shown["last_attempt"]["error"] == "connection_failed"

"""Webhooks: making, listing, changing and ending them, and their secrets."""

import pytest

from bugtracker.contract import Contract
from bugtracker.services.webhooks import MOST_WEBHOOKS
from bugtracker.webhooks.types import PING, SUBSCRIBABLE, TYPES, wants
from tests.parallel import at_once
from tests.recorder import recorded
from tests.repeating import is_replay, new_key
from tests.webhooks.receiver import Receiver
from tests.webhooks.stepping import WEBHOOKS, Stepper, deliveries, path_of, subscribe
from tests.world import Json, Org, World, made, refused

URL = "https://hooks.example.com/T0/B1?key=of-the-receiver"


class TestCreate:
    def test_shows_the_secret_once(self, org: Org) -> None:
        response = org.admin.post(WEBHOOKS, {"url": URL, "event_types": ["issue.*"]})
        created = made(response)
        webhook = created["webhook"]
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["location"] == path_of(created)
        assert (webhook["status"], webhook["active"], webhook["filter"]) == ("active", True, None)
        read = org.admin.get(path_of(created))
        assert read.json() == webhook
        assert created["secret"] not in read.text + org.admin.get(WEBHOOKS).text

    def test_is_recorded_without_the_secrets(self, local_world: World, org: Org) -> None:
        created = subscribe(org, URL)
        (event,) = local_world.events(org, created["webhook"])
        assert (event.action, event.actor_id) == ("webhook.created", org.admin.id)
        assert event.changes["url"] == [None, "https://hooks.example.com"]
        assert "of-the-receiver" not in str(event.changes)
        assert created["secret"] not in str(event.changes)

    def test_takes_no_body_for_the_usual_overlap(self, org: Org) -> None:
        answer = org.admin.post(f"{path_of(subscribe(org, URL))}/rotate-secret")
        assert (answer.status_code, answer.json()["secret"][:6]) == (200, "whsec_")

    def test_repeated_is_done_once_and_shows_the_same_secret(self, org: Org) -> None:
        body, header = {"url": URL, "event_types": ["*"]}, new_key()
        first, second = (org.admin.post(WEBHOOKS, body, headers=header) for _ in range(2))
        assert made(first) == made(second)
        assert (is_replay(first), is_replay(second)) == (False, True)
        assert len(org.admin.get(WEBHOOKS).json()["items"]) == 1

    def test_knows_every_type_of_the_contract(self, contract: Contract) -> None:
        schemas = contract.document["components"]["schemas"]
        assert schemas["WebhookEventType"]["enum"] == list(SUBSCRIBABLE)
        assert schemas["WebhookMessage"]["properties"]["type"]["enum"] == [*TYPES.values(), PING]
        assert all(wants([name], name) and wants(["*"], name) for name in TYPES.values())

    @pytest.mark.parametrize(
        ("fields", "place"),
        [
            ({"event_types": []}, "/event_types"),
            ({"event_types": ["login.failed"]}, "/event_types/0"),
            ({"url": "ftp://hooks.example.com/"}, "/url"),
            ({"url": "https://hooks.example.com/a b"}, "/url"),
            ({"filter": ""}, "/filter"),
            ({"secret": "whsec_x"}, "/secret"),
        ],
    )
    def test_is_bounded(self, org: Org, fields: Json, place: str) -> None:
        body = {"url": URL, "event_types": ["*"], **fields}
        problem = refused(org.admin.post(WEBHOOKS, body), 400, "request_invalid")
        assert {error["pointer"] for error in problem["errors"]} == {place}

    def test_refuses_a_filter_with_the_place_of_each_mistake(self, org: Org) -> None:
        body = {"url": URL, "event_types": ["*"], "filter": "salary>3;priority==urgent"}
        problem = refused(org.admin.post(WEBHOOKS, body), 400, "filter_invalid")
        assert [(e["pointer"], e["position"], e["code"]) for e in problem["errors"]] == [
            ("/filter", 0, "field"),
            ("/filter", 19, "value"),
        ]

    def test_stops_at_the_limit_however_many_ask(self, org: Org) -> None:
        body = {"url": URL, "event_types": ["*"]}
        answers = at_once([lambda: org.admin.post(WEBHOOKS, body)] * (MOST_WEBHOOKS + 10))
        codes = [answer.status_code for answer in answers]
        assert (codes.count(201), codes.count(409)) == (MOST_WEBHOOKS, 10)
        assert {a.json()["code"] for a in answers if a.is_error} == {"webhook_limit_reached"}
        first, *_ = org.admin.get(WEBHOOKS).json()["items"]
        assert org.admin.delete(f"{WEBHOOKS}/{first['id']}").status_code == 204
        made(org.admin.post(WEBHOOKS, body))


class TestList:
    def test_has_the_organisations_own_in_two_statements(
        self, local_world: World, org: Org
    ) -> None:
        created = [subscribe(org, URL)["webhook"] for _ in range(5)]
        subscribe(local_world.create_org(), URL)
        with recorded(org.world.runtime.db.engine) as statements:
            assert org.admin.get(WEBHOOKS).json()["items"] == created[::-1]
        assert len(statements) <= 3


class TestUpdate:
    def test_changes_what_is_sent(self, local_world: World, org: Org) -> None:
        created = subscribe(org, URL)
        patch = {"event_types": ["issue.*"], "filter": "status==closed", "active": False}
        changed = org.admin.patch(path_of(created), patch).json()
        assert changed == org.admin.get(path_of(created)).json()
        assert {name: changed[name] for name in patch} == patch
        assert (changed["status"], changed["version"]) == ("paused", 2)
        assert org.admin.patch(path_of(created), patch).json() == changed
        actions = [event.action for event in local_world.events(org, created["webhook"])]
        assert actions == ["webhook.created", "webhook.updated"]
        assert org.admin.patch(path_of(created), {"filter": None}).json()["filter"] is None

    def test_is_refused_as_making_is(self, org: Org) -> None:
        path = path_of(subscribe(org, URL))
        refused(org.admin.patch(path, {"filter": "x==1"}), 400, "filter_invalid")
        url = "https://user:secret@hooks.example.com/"
        refused(org.admin.patch(path, {"url": url}), 422, "webhook_url_not_allowed")

    def test_of_many_with_one_etag_happens_once(self, org: Org) -> None:
        path = path_of(subscribe(org, URL))
        tag = {"If-Match": org.admin.get(path).headers["etag"]}
        calls = [
            lambda n=n: org.admin.patch(path, {"description": f"Number {n}"}, headers=tag)
            for n in range(20)
        ]
        codes = sorted(answer.status_code for answer in at_once(calls))
        assert codes == [200, *[412] * 19]


class TestDelete:
    def test_ends_it_with_its_deliveries_and_secrets(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url)
        event_id = org.admin.ping(created["webhook"]["id"])
        path = path_of(created)
        assert org.admin.delete(path).status_code == 204
        for gone in (path, f"{path}/deliveries", f"{path}/deliveries/{event_id}"):
            refused(org.admin.get(gone), 404, "resource_not_found")
        refused(org.admin.delete(path), 404, "resource_not_found")
        org.manager.create_project()
        stepper.deliver(org)
        assert receiver.messages == []
        assert org.admin.get(WEBHOOKS).json()["items"] == []


class TestRotate:
    def test_signs_with_both_until_the_overlap_ends(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url)
        rotate = f"{path_of(created)}/rotate-secret"
        second = org.admin.post(rotate, {}).json()
        secrets = [created["secret"], second["secret"]]
        self._ping(org, created, stepper)
        assert [receiver.messages[-1].is_signed_with(each) for each in secrets] == [True, True]
        assert receiver.messages[-1].headers["webhook-signature"].count("v1,") == 2
        secrets.append(org.admin.post(rotate, {"overlap_seconds": 0}).json()["secret"])
        self._ping(org, created, stepper)
        signed = [receiver.messages[-1].is_signed_with(each) for each in secrets]
        assert signed == [False, False, True]

    def test_repeated_is_done_once_and_shows_the_same_secret(self, org: Org) -> None:
        rotate, header = f"{path_of(subscribe(org, URL))}/rotate-secret", new_key()
        first, second = (org.admin.post(rotate, {}, headers=header) for _ in range(2))
        assert first.json() == second.json()
        assert (is_replay(first), is_replay(second)) == (False, True)
        assert first.headers["cache-control"] == second.headers["cache-control"] == "no-store"

    def _ping(self, org: Org, created: Json, stepper: Stepper) -> None:
        org.admin.ping(created["webhook"]["id"])
        stepper.deliver(org)


class TestPing:
    def test_tells_nothing_and_can_be_followed(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "comment.created", filter="status==closed")
        response = org.admin.post(f"{path_of(created)}/test")
        assert (response.status_code, response.json()["state"]) == (202, "pending")
        stepper.deliver(org)
        (message,) = receiver.messages
        assert (message.type, message.json["data"]["changes"]) == ("webhook.ping", [])
        assert message.is_signed_with(created["secret"])
        followed = org.admin.get(response.headers["location"]).json()
        assert (followed["state"], followed["type"]) == ("delivered", "webhook.ping")

    def test_of_one_that_is_paused_is_refused(self, org: Org) -> None:
        path = path_of(subscribe(org, URL, active=False))
        refused(org.admin.post(f"{path}/test"), 409, "webhook_not_active")


class TestDeliveries:
    def test_are_paged_newest_first_by_state(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url)
        pings = [org.admin.ping(created["webhook"]["id"]) for _ in range(5)]
        stepper.deliver(org)
        pings.append(org.admin.ping(created["webhook"]["id"]))
        path, query, seen = f"{path_of(created)}/deliveries", {"limit": "2"}, list[str]()
        while True:
            page = org.admin.get(path, params=query).json()
            seen += [each["event_id"] for each in page["items"] if each["type"] == PING]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == pings[::-1]
        assert [each["event_id"] for each in deliveries(org, created, state="pending")] == pings[5:]

"""Sending again: one delivery, what is dead, or a range of events."""

from tests.parallel import at_once
from tests.webhooks.receiver import Receiver, status
from tests.webhooks.stepping import Stepper, deliveries, path_of, subscribe
from tests.world import Json, Org, refused


def replay(org: Org, created: Json, **body: str) -> Json:
    response = org.admin.post(f"{path_of(created)}/replay", body)
    assert response.status_code == 202, response.text
    answer: Json = response.json()
    return answer


class TestOne:
    def test_is_sent_again_with_the_same_id(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        stepper.deliver(org)
        (shown,) = deliveries(org, created)
        path = f"{path_of(created)}/deliveries/{shown['event_id']}"
        response = org.admin.post(f"{path}/replay")
        assert (response.status_code, response.json()["state"]) == (202, "pending")
        assert response.headers["location"] == path
        stepper.deliver(org)
        assert len(receiver.messages) == 2
        assert len(set(receiver.ids)) == 1
        assert receiver.messages[0].body == receiver.messages[1].body
        assert org.admin.get(path).json()["attempts"] == 2

    def test_many_at_once_send_it_once(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        stepper.deliver(org)
        (shown,) = deliveries(org, created)
        path = f"{path_of(created)}/deliveries/{shown['event_id']}/replay"
        answers = at_once([lambda: org.admin.post(path)] * 20)
        assert {answer.status_code for answer in answers} == {202}
        stepper.deliver(org)
        assert len(receiver.messages) == 2

    def test_needs_an_active_webhook(self, org: Org, receiver: Receiver, stepper: Stepper) -> None:
        created = subscribe(org, receiver.url)
        event_id = org.admin.ping(created["webhook"]["id"])
        org.admin.patch(path_of(created), {"active": False})
        path = path_of(created)
        for target, body in ((f"deliveries/{event_id}/replay", None), ("replay", {"what": "dead"})):
            refused(org.admin.post(f"{path}/{target}", body), 409, "webhook_not_active")


class TestMany:
    def test_dead_letters_are_delivered_once_the_receiver_works(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        project = org.manager.create_project()
        org.manager.patch(f"/api/projects/{project['id']}", {"name": "Another name"})
        receiver.answer = status(500)
        for _ in range(10):
            stepper.deliver(org)
            stepper.make_due(org)
        assert len(deliveries(org, created, state="dead")) == 2
        receiver.answer = status(204)
        assert replay(org, created, what="dead") == {"queued": 2, "more_after_event_id": None}
        stepper.deliver(org)
        shown = deliveries(org, created)
        assert [each["state"] for each in shown] == ["delivered", "delivered"]
        assert [each["attempts"] for each in shown] == [11, 11]
        assert replay(org, created, what="dead")["queued"] == 0

    def test_what_was_missed_while_paused_is_had_by_its_range(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        stepper.deliver(org)
        org.admin.patch(path_of(created), {"active": False})
        missed = org.manager.create_project()
        stepper.deliver(org)
        resumed = org.admin.patch(path_of(created), {"active": True}).json()
        later = org.manager.create_project()
        stepper.deliver(org)
        first, last = deliveries(org, created)
        answer = replay(
            org, created, what="all", after_event_id=first["event_id"],
            created_before=resumed["updated_at"],
        )  # fmt: skip
        assert answer["queued"] == 1
        stepper.deliver(org)
        told = [m.json["data"]["resource"]["id"] for m in receiver.messages]
        assert told[1:] == [later["id"], missed["id"]]
        assert replay(org, created, what="all", created_after=first["created_at"])["queued"] >= 2
        assert last["state"] == "delivered"

    def test_all_needs_a_beginning(self, org: Org, receiver: Receiver) -> None:
        created = subscribe(org, receiver.url)
        response = org.admin.post(f"{path_of(created)}/replay", {"what": "all"})
        problem = refused(response, 400, "request_invalid")
        assert [error["pointer"] for error in problem["errors"]] == ["/created_after"]

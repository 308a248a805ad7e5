"""Endpoints that are gone, or fail for days: stopped once, told of, and started again."""

from datetime import timedelta
from threading import Event

from sqlalchemy import text

from bugtracker.mail.webhooks import webhook_suspended
from tests.webhooks.receiver import Receiver, hang_until, status
from tests.webhooks.stepping import Stepper, deliveries, path_of, subscribe
from tests.world import Json, Org, World

JOBS = text(
    "SELECT args FROM procrastinate_jobs WHERE task_name = 'mail.webhook_suspended'"
    " AND args ->> 'org_id' = :org_id ORDER BY id"
)


def mails_queued(world: World, org: Org) -> list[Json]:
    with world.runtime.db.read() as connection:
        return list(connection.scalars(JOBS, {"org_id": str(org.id)}))


class TestSuspension:
    def test_of_one_that_is_gone_is_at_once(
        self, local_world: World, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        for _ in range(5):
            org.manager.create_project()
        org.caller("owner")
        receiver.answer = status(410)
        stepper.fan_out(org)
        stepper.deliver(org)
        webhook = org.admin.get(path_of(created)).json()
        assert (webhook["status"], webhook["active"]) == ("suspended", False)
        assert webhook["suspended_because"] == "gone"
        actions = [event.action for event in local_world.events(org, webhook)]
        assert actions.count("webhook.suspended") == 1
        to = {job["account_id"] for job in mails_queued(local_world, org)}
        assert to == {str(org.admin.id), str(org.owner.id)}
        assert len(mails_queued(local_world, org)) == 2
        before = len(receiver.messages)
        org.manager.create_project()
        stepper.deliver(org)
        assert len(receiver.messages) == before

    def test_of_one_that_fails_is_after_days_and_ends_when_it_works(
        self, local_world: World, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url, "project.*")
        org.manager.create_project()
        receiver.answer = status(500)
        stepper.deliver(org)
        assert org.admin.get(path_of(created)).json()["failing_since"] is not None
        stepper.age(org, created, timedelta(days=2, hours=23))
        stepper.make_due(org)
        stepper.deliver(org)
        assert org.admin.get(path_of(created)).json()["status"] == "active"
        stepper.age(org, created, timedelta(hours=1))
        stepper.make_due(org)
        stepper.deliver(org)
        webhook = org.admin.get(path_of(created)).json()
        assert (webhook["status"], webhook["suspended_because"]) == ("suspended", "failing")
        receiver.answer = status(200)
        resumed = org.admin.patch(path_of(created), {"active": True}).json()
        assert (resumed["status"], resumed["failing_since"]) == ("active", None)
        assert resumed["suspended_because"] is None
        stepper.deliver(org)
        assert [each["state"] for each in deliveries(org, created)] == ["delivered"]

    def test_tells_who_can_help_without_the_url(
        self, local_world: World, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, f"{receiver.url}?key=secret", description="Pager of the watch")
        org.admin.ping(created["webhook"]["id"])
        org.admin.patch("/api/auth/me", {"language": "de"})
        receiver.answer = status(410)
        stepper.deliver(org)
        (job,) = mails_queued(local_world, org)
        directory = local_world.runtime.settings.mail_dir
        before = set(directory.glob("*")) if directory.exists() else set()
        webhook_suspended(local_world.runtime, **job)
        (mail,) = set(directory.glob("*webhook_suspended*")) - before
        content = mail.read_text()
        assert f"To: {org.admin.email}" in content
        assert "Pager of the watch" in content
        assert "Subject: Ein Webhook wurde gesperrt" in content
        assert "secret" not in content
        org.admin.patch(path_of(created), {"active": True})
        webhook_suspended(local_world.runtime, **job)
        assert set(directory.glob("*webhook_suspended*")) - before == {mail}


class TestFairness:
    def test_receivers_that_hang_delay_no_other(
        self, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        over = Event()

        def all_received() -> bool:
            if done := len(receiver.messages) == 12:
                over.set()
            return done

        with Receiver() as stuck:
            stuck.answer = hang_until(over)
            for _ in range(10):
                subscribe(org, stuck.url, "project.*")
            subscribe(org, receiver.url, "project.*")
            for _ in range(12):
                org.manager.create_project()
            stepper.deliver(org, until=all_received)
            first = min(message.at for message in stuck.messages)
            # Before the first of theirs ran out of its time.
            limit = stepper.runtime.settings.webhook_timeout_seconds
            assert max(message.at for message in receiver.messages) - first < limit
            assert len(receiver.messages) == 12

"""What is forgotten of deliveries and secrets, and what is not."""

from datetime import timedelta

from sqlalchemy import func, select, update

from bugtracker.jobs.expiry import expire
from bugtracker.models import WebhookDelivery, WebhookSecret
from tests.webhooks.receiver import Receiver
from tests.webhooks.stepping import Stepper, deliveries, path_of, subscribe
from tests.world import Org, World


class TestPruning:
    def test_forgets_what_ended_a_month_ago(
        self, local_world: World, org: Org, receiver: Receiver, stepper: Stepper
    ) -> None:
        created = subscribe(org, receiver.url)
        pings = [org.admin.ping(created["webhook"]["id"]) for _ in range(3)]
        stepper.deliver(org)
        pings.append(org.admin.ping(created["webhook"]["id"]))
        with local_world.runtime.db.transaction(org_id=org.id) as session:
            ended = func.now() - timedelta(days=30, minutes=1)
            old = WebhookDelivery.event_id.in_(pings[:2])
            session.execute(update(WebhookDelivery).where(old).values(finished_at=ended))
        expire(local_world.runtime)
        assert [each["event_id"] for each in deliveries(org, created)] == pings[2:]

    def test_wipes_secrets_that_sign_no_more(self, local_world: World, org: Org) -> None:
        path = path_of(subscribe(org, "https://hooks.example.com/"))
        for overlap in (3600, 0):
            org.admin.post(f"{path}/rotate-secret", {"overlap_seconds": overlap})
        expire(local_world.runtime)
        secrets = select(WebhookSecret.expires_at, WebhookSecret.secret_encrypted)
        with local_world.runtime.db.transaction(org_id=org.id) as session:
            found = session.execute(secrets.order_by(WebhookSecret.created_at)).all()
        assert [(each[0] is None, each[1] is None) for each in found] == [
            (False, True), (False, True), (True, False),
        ]  # fmt: skip

"""The permission matrix of webhooks: who may, and what to try, in an order in which all can."""

from dataclasses import dataclass

from tests.security.matrix_organisations import MISSING, Row
from tests.world import Caller

MATRIX = """
manage webhooks | no | no | no | no | no | no | yes | yes
"""
ACTION = "manage webhooks"
OPERATIONS: dict[str, str | tuple[str, ...]] = {
    "list_webhooks": (ACTION,),
    "create_webhook": (ACTION,),
    "get_webhook": (ACTION,),
    "update_webhook": (ACTION,),
    "delete_webhook": (ACTION,),
    "rotate_webhook_secret": (ACTION,),
    "ping_webhook": (ACTION,),
    "list_webhook_deliveries": (ACTION,),
    "get_webhook_delivery": (ACTION,),
    "replay_webhook_delivery": (ACTION,),
    "replay_webhook_deliveries": (ACTION,),
}


@dataclass(frozen=True)
class Things:
    """A webhook with a delivery."""

    webhook: str = MISSING
    delivery: str = MISSING


NOWHERE = Things()


def things(owner: Caller) -> Things:
    webhook = owner.create_webhook()["webhook"]["id"]
    return Things(webhook, owner.ping(webhook))


def rows(t: Things) -> list[Row]:
    hooks, hook = "/api/webhooks", f"/api/webhooks/{t.webhook}"
    delivery = f"{hook}/deliveries/{t.delivery}"
    new = {"url": "https://hooks.example.com/new", "event_types": ["*"]}
    return [
        (ACTION, "list_webhooks", hooks, None),
        (ACTION, "create_webhook", hooks, new),
        (ACTION, "get_webhook", hook, None),
        (ACTION, "update_webhook", hook, {"description": "Renamed"}),
        (ACTION, "rotate_webhook_secret", f"{hook}/rotate-secret", {}),
        (ACTION, "ping_webhook", f"{hook}/test", None),
        (ACTION, "list_webhook_deliveries", f"{hook}/deliveries", None),
        (ACTION, "get_webhook_delivery", delivery, None),
        (ACTION, "replay_webhook_delivery", f"{delivery}/replay", None),
        (ACTION, "replay_webhook_deliveries", f"{hook}/replay", {"what": "dead"}),
        (ACTION, "delete_webhook", hook, None),
    ]

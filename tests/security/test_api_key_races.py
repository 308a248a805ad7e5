"""API keys used, rotated and revoked while somebody else changes them.

Many at once are in tests/proofs/test_api_keys.py.
"""

from functools import partial

from tests.parallel import Standstill
from tests.world import Json, Org, World, refused

LOCK = "SELECT FROM api_keys WHERE id = :id FOR UPDATE"


def path_of(key: Json) -> str:
    return f"/api/api-keys/{key['api_key']['id']}"


class TestRotate:
    def test_of_a_key_revoked_at_the_same_time_makes_none(
        self, org: Org, still: Standstill
    ) -> None:
        key = org.admin.create_api_key()
        still.execute(LOCK, id=key["api_key"]["id"])
        still.send(partial(org.owner.delete, path_of(key)))
        still.send(partial(org.admin.post, f"{path_of(key)}/rotate", {}))
        revoked, rotated = still.release()
        assert revoked.status_code == 204
        refused(rotated, 409, "api_key_not_active")


class TestUse:
    def test_waits_for_nobody_who_changes_the_key(
        self, world: World, org: Org, still: Standstill
    ) -> None:
        key = org.admin.create_api_key()
        still.execute(LOCK, id=key["api_key"]["id"])
        with world.with_key(key) as client:
            assert client.get("/api/projects").status_code == 200
        still.release()
        assert org.admin.get(path_of(key)).json()["last_used_at"] is None


class TestLeave:
    def test_a_key_revoked_at_the_same_time_is_revoked_once(
        self, world: World, org: Org, still: Standstill
    ) -> None:
        admin, owner, key = org.admin, org.owner, org.admin.create_api_key()
        ended = "UPDATE api_keys SET revoked_at = now(), version = version + 1 WHERE id = :id"
        still.execute(ended, id=key["api_key"]["id"])
        still.send(partial(owner.delete, f"/api/organisations/{org.id}/members/{admin.id}"))
        (removed,) = still.release()
        assert removed.status_code == 204
        actions = [event.action for event in world.events(org, key["api_key"])]
        assert actions == ["api_key.created"]

    def test_a_key_made_while_its_maker_is_removed_ends_with_the_others(
        self, world: World, org: Org, still: Standstill
    ) -> None:
        admin, owner = org.admin, org.owner
        still.execute("SELECT FROM members WHERE user_id = :id FOR UPDATE", id=admin.id)
        still.send(partial(owner.delete, f"/api/organisations/{org.id}/members/{admin.id}"))
        body = {"name": "Back door", "scopes": ["projects.read"]}
        still.send(partial(admin.post, "/api/api-keys", body))
        removed, made = still.release()
        assert removed.status_code == 204
        assert made.status_code in (201, 401)
        world.join(admin.id, org.id, "admin")
        active = owner.get("/api/api-keys", params={"status": "active"}).json()["items"]
        assert active == []

"""API keys: making, listing, renaming, rotating and revoking them."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.security.api_keys import API_KEY, hash_of
from bugtracker.security.permissions import SCOPES
from tests.repeating import is_replay, new_key
from tests.world import Json, Org, World, made, refused

KEYS = "/api/api-keys"


def path_of(key: Json) -> str:
    return f"{KEYS}/{key['api_key']['id']}"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def rotate(org: Org, key: Json, overlap: int | None = None) -> Json:
    body = {} if overlap is None else {"overlap_seconds": overlap}
    return made(org.admin.post(f"{path_of(key)}/rotate", body))


class TestCreate:
    def test_shows_the_key_once(self, org: Org) -> None:
        body = {"name": "Nightly", "scopes": ["issues.read", "comments.read"]}
        response = org.admin.post(KEYS, body)
        created = made(response)
        key = created["api_key"]
        assert API_KEY.fullmatch(created["key"])
        assert created["key"].startswith(key["prefix"] + "_")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["location"] == path_of(created)
        assert (key["name"], key["status"]) == ("Nightly", "active")
        assert key["scopes"] == ["comments.read", "issues.read"]
        assert key["created_by_id"] == str(org.admin.id)
        read = org.admin.get(path_of(created))
        assert read.json() == key
        assert created["key"] not in read.text + org.admin.get(KEYS).text

    def test_keys_are_long_random_and_checked(self, org: Org) -> None:
        keys = [org.admin.create_api_key()["key"] for _ in range(5)]
        assert len({key.split("_")[2] for key in keys}) == 5
        for key in keys:
            assert hash_of(key) is not None
            changed = key[:20] + ("A" if key[20] != "A" else "B") + key[21:]
            assert hash_of(changed) is None

    @pytest.mark.parametrize(("given", "days"), [({}, 90), ({"expires_in_days": 366}, 366)])
    def test_keys_expire(self, org: Org, given: Json, days: int) -> None:
        key = org.admin.create_api_key(**given)["api_key"]
        lifetime = moment(key["expires_at"]) - moment(key["created_at"])
        assert lifetime == timedelta(days=days)

    @pytest.mark.parametrize(
        ("fields", "place"),
        [
            ({"expires_in_days": 367}, "/expires_in_days"),
            ({"expires_in_days": 0}, "/expires_in_days"),
            ({"scopes": []}, "/scopes"),
            ({"scopes": ["issues.read", "issues.read"]}, "/scopes"),
            ({"scopes": ["issues.read", "everything"]}, "/scopes/1"),
            ({"scopes": ["api_keys.manage"]}, "/scopes/0"),
            ({"name": " "}, "/name"),
            ({"role": "owner"}, "/role"),
        ],
    )
    def test_is_bounded(self, org: Org, fields: Json, place: str) -> None:
        body = {"name": "Nightly", "scopes": ["issues.read"], **fields}
        problem = refused(org.admin.post(KEYS, body), 400, "request_invalid")
        assert [error["pointer"] for error in problem["errors"]] == [place]

    def test_gives_no_more_than_its_creator_has(self, org: Org) -> None:
        scopes = ["issues.read", "organisation.delete"]
        body = {"name": "Too much", "scopes": scopes}
        problem = refused(org.admin.post(KEYS, body), 422, "api_key_scope_not_held")
        assert "organisation.delete" in problem["detail"]
        assert [error["pointer"] for error in problem["errors"]] == ["/scopes/1"]
        assert org.admin.get(KEYS).json()["items"] == []
        assert made(org.owner.post(KEYS, body))["api_key"]["scopes"] == scopes

    def test_every_scope_is_in_the_contract(self, contract: Contract) -> None:
        assert contract.document["components"]["schemas"]["ApiKeyScope"]["enum"] == list(SCOPES)

    def test_is_recorded_without_the_secret(self, world: World, org: Org) -> None:
        created = org.admin.create_api_key("issues.read")
        (event,) = world.events(org, created["api_key"])
        assert (event.action, event.actor_id) == ("api_key.created", org.admin.id)
        assert event.changes["scopes"] == [None, ["issues.read"]]
        assert created["key"].split("_")[2] not in str(event.changes)

    def test_repeated_is_done_once_and_shows_the_same_key(self, org: Org) -> None:
        body, header = {"name": "Nightly", "scopes": ["issues.read"]}, new_key()
        first, second = (org.admin.post(KEYS, body, headers=header) for _ in range(2))
        assert made(first) == made(second)
        assert (is_replay(first), is_replay(second)) == (False, True)
        assert second.headers["cache-control"] == "no-store"
        assert len(org.admin.get(KEYS).json()["items"]) == 1


class TestList:
    def test_has_the_organisations_keys_newest_first(self, world: World, org: Org) -> None:
        created = [caller.create_api_key()["api_key"] for caller in (org.admin, org.owner)]
        world.create_org().owner.create_api_key()
        items = org.admin.get(KEYS).json()["items"]
        assert items == created[::-1]

    def test_by_status(self, org: Org) -> None:
        live, revoked, replaced = (org.admin.create_api_key() for _ in range(3))
        assert org.admin.delete(path_of(revoked)).status_code == 204
        successor = rotate(org, replaced, 0)
        expected = {"active": [successor, live], "revoked": [revoked], "expired": [replaced]}
        for status, keys in expected.items():
            items = org.admin.get(KEYS, params={"status": status}).json()["items"]
            assert [item["id"] for item in items] == [key["api_key"]["id"] for key in keys]
            assert {item["status"] for item in items} == {status}


class TestGet:
    def test_of_another_organisation_is_missing(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        stranger = world.create_org().owner
        for path in (path_of(key), f"{KEYS}/{uuid4()}"):
            refused(stranger.get(path), 404, "resource_not_found")
            refused(stranger.delete(path), 404, "resource_not_found")
            refused(stranger.post(f"{path}/rotate", {}), 404, "resource_not_found")
        assert org.admin.get(path_of(key)).json() == key["api_key"]

    def test_says_when_and_where_it_was_used(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        assert (key["api_key"]["last_used_at"], key["api_key"]["last_used_ip"]) == (None, None)
        before = utc_now()
        with world.with_key(key) as program:
            assert program.get("/api/projects").status_code == 200
        used = org.admin.get(path_of(key)).json()
        assert before <= moment(used["last_used_at"]) <= utc_now()
        assert used["last_used_ip"] == "127.0.0.1"
        assert used["version"] == 1

    def test_writes_its_use_down_once_a_minute(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        with world.with_key(key) as program:
            program.get("/api/projects")
            used = org.admin.get(path_of(key)).json()["last_used_at"]
            program.get("/api/projects")
            assert org.admin.get(path_of(key)).json()["last_used_at"] == used


class TestUpdate:
    def test_renames(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        renamed = org.admin.patch(path_of(key), {"name": "Weekly"}).json()
        assert (renamed["name"], renamed["version"]) == ("Weekly", 2)
        event = world.events(org, key["api_key"])[-1]
        assert (event.action, event.changes) == (
            "api_key.updated",
            {"name": ["Nightly export", "Weekly"]},
        )
        again = org.admin.patch(path_of(key), {"name": "Weekly"})
        assert (again.status_code, again.json()["version"]) == (200, 2)

    @pytest.mark.parametrize(
        "body",
        [{"scopes": ["organisation.delete"]}, {"expires_at": "2099-01-01T00:00:00Z"},
         {"created_by_id": str(uuid4())}, {"revoked_at": None}, {"status": "active"}, {}],
    )  # fmt: skip
    def test_changes_nothing_else(self, org: Org, body: Json) -> None:
        key = org.admin.create_api_key()
        refused(org.admin.patch(path_of(key), body), 400, "request_invalid")
        assert org.admin.get(path_of(key)).json() == key["api_key"]


class TestRotate:
    def test_both_keys_work_until_the_overlap_ends(self, world: World, org: Org) -> None:
        old = org.admin.create_api_key("projects.read", expires_in_days=7)
        new = rotate(org, old, 3600)
        assert new["api_key"]["scopes"] == old["api_key"]["scopes"]
        lifetime = moment(new["api_key"]["expires_at"]) - moment(new["api_key"]["created_at"])
        assert lifetime == timedelta(days=7)
        replaced = org.admin.get(path_of(old)).json()
        assert replaced["replaced_by_id"] == new["api_key"]["id"]
        left = moment(replaced["expires_at"]) - utc_now()
        assert timedelta(minutes=59) < left <= timedelta(hours=1)
        for key in (old, new):
            with world.with_key(key) as program:
                assert program.get("/api/projects").status_code == 200

    def test_without_overlap_the_old_key_ends_at_once(self, world: World, org: Org) -> None:
        old = org.admin.create_api_key()
        new = rotate(org, old, 0)
        with world.with_key(old) as program, world.with_key(new) as successor:
            refused(program.get("/api/projects"), 401, "token_invalid")
            assert successor.get("/api/projects").status_code == 200

    def test_the_overlap_never_prolongs_a_key(self, org: Org) -> None:
        old = org.admin.create_api_key(expires_in_days=1)
        rotate(org, old, 604_800)
        assert org.admin.get(path_of(old)).json()["expires_at"] == old["api_key"]["expires_at"]

    @pytest.mark.parametrize("body", [b"", b"{}"])
    def test_takes_no_body_for_a_day_of_overlap(self, org: Org, body: bytes) -> None:
        old = org.admin.create_api_key()
        typed = {"Content-Type": "application/json"} if body else {}
        path = f"{path_of(old)}/rotate"
        answer = org.admin.http.post(path, content=body, headers=typed)
        assert answer.status_code == 201
        left = moment(org.admin.get(path_of(old)).json()["expires_at"]) - utc_now()
        assert timedelta(hours=23) < left <= timedelta(hours=24)

    def test_works_once(self, org: Org) -> None:
        old = org.admin.create_api_key()
        rotate(org, old)
        path = f"{path_of(old)}/rotate"
        problem = refused(org.admin.post(path, {}), 409, "api_key_not_active")
        assert "successor" in problem["detail"]

    @pytest.mark.parametrize("ended", ["revoked", "expired"])
    def test_of_a_key_that_has_ended_is_refused(self, org: Org, ended: str) -> None:
        key = org.admin.create_api_key()
        if ended == "revoked":
            org.admin.delete(path_of(key))
        else:
            rotate(org, key, 0)
        problem = refused(org.admin.post(f"{path_of(key)}/rotate", {}), 409, "api_key_not_active")
        assert ended in problem["detail"]

    def test_the_new_key_is_of_whoever_is_shown_it(self, world: World, org: Org) -> None:
        owners = org.owner.create_api_key("projects.create")
        new = rotate(org, owners)
        assert new["api_key"]["created_by_id"] == str(org.admin.id)
        with world.with_key(new) as program:
            project = made(program.post("/api/projects", json={"name": "By whom?"}))
        assert project["created_by_id"] == str(org.admin.id)

    def test_gives_nobody_more_than_they_have(self, org: Org) -> None:
        owners = org.owner.create_api_key("organisation.delete")
        response = org.admin.post(f"{path_of(owners)}/rotate", {})
        problem = refused(response, 422, "api_key_scope_not_held")
        assert "organisation.delete" in problem["detail"]
        assert org.owner.get(path_of(owners)).json() == owners["api_key"]

    @pytest.mark.parametrize(
        "body", [{"overlap_seconds": 604_801}, {"overlap_seconds": -1}, {"scopes": ["issues.read"]}]
    )
    def test_takes_an_overlap_of_up_to_a_week_and_nothing_else(self, org: Org, body: Json) -> None:
        key = org.admin.create_api_key()
        refused(org.admin.post(f"{path_of(key)}/rotate", body), 400, "request_invalid")

    def test_is_recorded(self, world: World, org: Org) -> None:
        old = org.admin.create_api_key()
        new = rotate(org, old)
        actions = [event.action for event in world.events(org, old["api_key"])]
        assert actions == ["api_key.created", "api_key.rotated"]
        event = world.events(org, old["api_key"])[-1]
        assert event.changes["replaced_by_id"] == [None, new["api_key"]["id"]]
        assert event.changes["expires_at"][0] == old["api_key"]["expires_at"].replace("Z", "+00:00")


class TestRevoke:
    def test_ends_the_key_at_once(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        with world.with_key(key) as program:
            assert program.get("/api/projects").status_code == 200
            assert org.owner.delete(path_of(key)).status_code == 204
            refused(program.get("/api/projects"), 401, "token_invalid")
        revoked = org.admin.get(path_of(key)).json()
        assert (revoked["status"], revoked["version"]) == ("revoked", 2)

    def test_again_changes_nothing(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        assert [org.admin.delete(path_of(key)).status_code for _ in range(2)] == [204, 204]
        actions = [event.action for event in world.events(org, key["api_key"])]
        assert actions == ["api_key.created", "api_key.revoked"]

    def test_of_one_leaves_its_successor(self, world: World, org: Org) -> None:
        old = org.admin.create_api_key()
        new = rotate(org, old)
        assert org.admin.delete(path_of(old)).status_code == 204
        with world.with_key(new) as program:
            assert program.get("/api/projects").status_code == 200

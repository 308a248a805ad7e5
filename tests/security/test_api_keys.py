"""Whom an API key acts as, what is no API key, and what no key can be made to do."""

from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bugtracker.runtime import Runtime
from bugtracker.security.api_keys import new_key as made_up_key
from tests.parallel import Standstill
from tests.repeating import is_replay, new_key
from tests.world import Org, World, made, refused, without_id


def program(world: World, key: str) -> httpx.Client:
    return world.client(Authorization=f"Bearer {key}")


class TestCreator:
    """A key has what its creator has at this moment."""

    def test_is_who_acts(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key("projects.create", "issues.create")
        with world.with_key(key) as client:
            project = made(client.post("/api/projects", json={"name": "Made by a program"}))
            path = f"/api/projects/{project['id']}/issues"
            issue = made(client.post(path, json={"title": "Reported by a program"}))
        assert project["created_by_id"] == issue["reporter_id"] == str(org.admin.id)
        (event,) = world.events(org, issue)
        assert event.actor_id == org.admin.id
        assert event.api_key_id == UUID(key["api_key"]["id"])

    def test_with_a_session_leaves_no_key_behind(self, world: World, org: Org) -> None:
        (event,) = world.events(org, org.admin.create_project())
        assert event.api_key_id is None

    def test_demoted_takes_the_key_along(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key("projects.create", "projects.read", "issues.update")
        issue = org.owner.create_issue(org.owner.create_project())
        path, body = f"/api/issues/{issue['id']}", {"title": "Flood"}
        with world.with_key(key) as client:
            assert client.patch(path, json=body).status_code == 200
            world.set_role(org, org.admin, "developer")
            response = client.post("/api/projects", json={"name": "Too late"})
            assert "role developer" in refused(response, 403, "permission_denied")["detail"]
            assert client.get("/api/projects").status_code == 200
            refused(client.patch(path, json={"title": "Ebb"}), 403, "permission_denied")
            world.set_role(org, org.admin, "auditor")
            assert client.get("/api/projects").status_code == 200

    @pytest.mark.parametrize("ending", ["removed", "disabled"])
    def test_gone_takes_the_key_along(self, world: World, org: Org, ending: str) -> None:
        key = org.admin.create_api_key()
        with world.with_key(key) as client:
            assert client.get("/api/projects").status_code == 200
            if ending == "removed":
                world.remove(org, org.admin)
            else:
                world.deactivate(org.admin)
            refused(client.get("/api/projects"), 401, "token_invalid")

    @pytest.mark.parametrize("by", ["owner", "admin"])
    def test_taken_back_has_no_key_any_more(self, world: World, org: Org, by: str) -> None:
        key, admin, remover = org.admin.create_api_key(), org.admin, getattr(org, by)
        path = f"/api/organisations/{org.id}/members/{admin.id}"
        assert remover.delete(path).status_code == 204
        world.join(admin.id, org.id, "admin")
        with world.with_key(key) as client:
            refused(client.get("/api/projects"), 401, "token_invalid")
        _, revoked = world.events(org, key["api_key"])
        assert (revoked.action, revoked.actor_id) == ("api_key.revoked", remover.id)

    def test_is_told_by_which_key_a_member_was_changed(self, world: World, org: Org) -> None:
        key, member = org.admin.create_api_key("users.update"), org.member
        path = f"/api/organisations/{org.id}/members/{member.id}"
        with world.with_key(key) as client:
            assert client.patch(path, json={"role": "auditor"}).status_code == 200
        event = world.events(org, {"id": str(member.id)})[-1]
        assert event.action == "member.role_changed"
        assert event.api_key_id == UUID(key["api_key"]["id"])

    def test_logged_out_leaves_the_key_at_work(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()
        assert org.admin.post("/api/auth/logout-all").status_code == 204
        with world.with_key(key) as client:
            assert client.get("/api/projects").status_code == 200

    def test_in_two_organisations_has_a_key_for_one(self, world: World, org: Org) -> None:
        key, other = org.admin.create_api_key(), world.create_org()
        world.join(org.admin.id, other.id, "owner")
        there = other.manager.create_project()
        with world.with_key(key) as client:
            refused(client.get(f"/api/projects/{there['id']}"), 404, "resource_not_found")
            assert client.get("/api/projects").json()["items"] == []


class TestForm:
    def test_of_any_other_kind_is_no_key(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()["key"]
        token = org.admin.http.headers["Authorization"].removeprefix("Bearer ")
        odd = [
            key[:-1], key + "A", key.upper(), key.replace("bt_", "BT_"), f"bt_{token}",
            "bt_", "bt_" + "a" * 3_000, key[:-6] + "000000", made_up_key().secret,
            f"{key}.{key}.{'A' * 86}", key.split("_")[2], f"bt_{'.'.join(['A' * 86] * 3)}",
        ]  # fmt: skip
        for each in odd:
            with program(world, each) as client:
                response = client.get("/api/projects")
                refused(response, 401, "token_invalid")
                assert 'error="invalid_token"' in response.headers["www-authenticate"]

    @pytest.mark.parametrize("name", ["api_key", "key", "access_token", "token"])
    def test_in_the_query_is_refused(self, world: World, org: Org, name: str) -> None:
        key = org.admin.create_api_key()["key"]
        with world.client() as client:
            response = client.get("/api/projects", params={name: key})
            refused(response, 401, "authentication_required")
        response = org.admin.get("/api/projects", params={name: key})
        problem = refused(response, 400, "request_invalid")
        assert problem["errors"][0]["code"] == "unknown_parameter"
        assert key not in response.text

    def test_under_another_scheme_is_refused(self, world: World, org: Org) -> None:
        key = org.admin.create_api_key()["key"]
        for headers in ({"X-Api-Key": key}, {"Authorization": f"Basic {key}"}):
            with world.client(**headers) as client:
                refused(client.get("/api/projects"), 401, "authentication_required")

    def test_is_no_refresh_token(self, world: World, org: Org) -> None:
        body = {"refresh_token": org.admin.create_api_key()["key"]}
        with world.client() as client:
            response = client.post("/api/auth/refresh", json=body)
            refused(response, 401, "refresh_token_invalid")

    def test_an_expired_key_is_like_an_unknown_one(
        self, world: World, org: Org, still: Standstill
    ) -> None:
        expired, revoked = (org.admin.create_api_key() for _ in range(2))
        org.admin.delete(f"/api/api-keys/{revoked['api_key']['id']}")
        expire = "UPDATE api_keys SET expires_at = now() WHERE id = :id"
        still.execute(expire, id=expired["api_key"]["id"])
        still.release()
        answers = []
        for key in (expired["key"], revoked["key"], made_up_key().secret):
            with program(world, key) as client:
                answers.append(refused(client.get("/api/projects"), 401, "token_invalid"))
        assert len({str(without_id(answer)) for answer in answers}) == 1


class TestRights:
    """What the API's role can do to keys in the database, whatever the code does."""

    @pytest.mark.parametrize("column", ["scopes", "key_hash", "created_by_id", "org_id"])
    def test_what_a_key_is_cannot_be_changed(self, runtime: Runtime, org: Org, column: str) -> None:
        org.admin.create_api_key()
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            runtime.db.transaction(org_id=org.id) as session,
        ):
            session.execute(text(f"UPDATE api_keys SET {column} = {column}"))

    def test_keys_of_others_cannot_be_seen(self, runtime: Runtime, org: Org, world: World) -> None:
        org.admin.create_api_key()
        other = world.create_org()
        other.admin.create_api_key()
        with runtime.db.transaction(org_id=org.id) as session:
            assert session.scalars(text("SELECT DISTINCT org_id FROM api_keys")).all() == [org.id]
        with runtime.db.transaction() as session:
            assert session.scalar(text("SELECT count(*) FROM api_keys")) == 0


class TestRepeating:
    def test_one_key_does_not_read_the_answers_of_another(self, world: World, org: Org) -> None:
        body, header = {"name": "Once"}, new_key()
        keys = [org.admin.create_api_key("projects.create") for _ in range(2)]
        with world.with_key(keys[0]) as one, world.with_key(keys[1]) as other:
            first = one.post("/api/projects", json=body, headers=header)
            again = one.post("/api/projects", json=body, headers=header)
            assert (made(first), is_replay(again)) == (again.json(), True)
            response = other.post("/api/projects", json=body, headers=header)
            refused(response, 409, "project_name_taken")

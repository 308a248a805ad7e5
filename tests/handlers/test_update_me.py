"""Changing one's own account: the language."""

from typing import Any

import pytest

from tests.world import Caller, Org, World, refused

ME = "/api/auth/me"


class TestUpdateMe:
    def test_sets_the_language_and_takes_it_back(self, org: Org) -> None:
        caller = org.member
        assert caller.get(ME).json()["language"] is None
        for language in ("de", "hi", "en", None):
            response = caller.patch(ME, {"language": language})
            assert (response.status_code, response.json()["language"]) == (200, language)
            read = caller.get(ME)
            assert read.json() == response.json()
            assert read.headers["etag"] == response.headers["etag"]

    def test_is_for_people_without_an_organisation_too(self, world: World) -> None:
        loner = world.create_loner()
        assert loner.patch(ME, {"language": "de"}).json()["language"] == "de"
        stale = {"If-Match": '"v99-0"'}
        problem = refused(loner.patch(ME, {"language": "hi"}, headers=stale), 412,
                          "precondition_failed")  # fmt: skip
        assert problem["changed_fields"] == []

    def test_is_an_event_of_the_person_and_of_no_organisation(self, org: Org) -> None:
        caller, admin = org.caller("developer", "polyglot"), org.admin
        tag = caller.get(ME).headers["etag"]
        for _ in range(2):
            caller.patch(ME, {"language": "de"})
        (event,) = caller.get("/api/auth/me/activity", params={"limit": 1}).json()["items"]
        assert (event["action"], event["org_id"]) == ("user.updated", None)
        assert event["details"] == [{"field": "language", "old": None, "new": "de"}]
        assert caller.get(ME).json()["version"] == int(tag[2:].partition("-")[0]) + 1
        known = admin.get("/api/audit", params={"resource_id": str(caller.id)}).json()["items"]
        assert "user.updated" not in {each["action"] for each in known}
        problem = refused(caller.patch(ME, {"language": "hi"}, headers={"If-Match": tag}), 412,
                          "precondition_failed")  # fmt: skip
        assert problem["changed_fields"] == ["language"]

    @pytest.mark.parametrize(
        "body",
        [{}, {"language": "fr"}, {"language": "DE"}, {"language": "de-AT"}, {"language": ""},
         {"language": 1}, {"name": "Ada"}, {"language": "de", "email": "eve@example.com"}],
    )  # fmt: skip
    def test_takes_one_of_the_languages_and_nothing_else(self, member: Caller, body: Any) -> None:
        refused(member.patch(ME, body), 400, "request_invalid")

    def test_needs_a_session(self, org: Org, world: World) -> None:
        http = world.with_key(org.admin.create_api_key("users.read"))
        refused(http.patch(ME, json={"language": "de"}), 403, "session_required")
        with world.client() as anonymous:
            refused(anonymous.patch(ME, json={}), 401, "authentication_required")


@pytest.fixture
def member(org: Org) -> Caller:
    return org.member

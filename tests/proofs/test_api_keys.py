"""API keys: one successor, one end, and none of it in the way of whoever uses them."""

from collections import Counter

from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.test_sessions import bearer
from tests.world import Json, Org

TIMES = SIZE.requests


def path_of(key: Json) -> str:
    return f"/api/api-keys/{key['api_key']['id']}"


def test_one_successor(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many rotations of one key one makes a successor."""
    admin = crew.admin
    key = admin.create_api_key()
    headers, path = admin.authorization, f"{path_of(key)}/rotate"
    responses = crowded.at_once(lambda http, _: http.post(path, json={}, headers=headers))
    assert statuses(responses) == {201: 1, 409: TIMES - 1}
    assert {r.json()["code"] for r in responses if r.is_error} == {"api_key_not_active"}
    assert len(admin.get("/api/api-keys").json()["items"]) == 2
    report(requests=TIMES, successors=1, refused=TIMES - 1)


def test_one_end(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many who revoke one key all find it done, and there is one event."""
    key = crew.admin.create_api_key()
    headers = crew.admin.authorization
    responses = crowded.at_once(lambda http, _: http.delete(path_of(key), headers=headers))
    assert statuses(responses) == {204: TIMES}
    actions = Counter(event.action for event in crowded.world.events(crew, key["api_key"]))
    assert actions == {"api_key.created": 1, "api_key.revoked": 1}
    report(requests=TIMES, events=actions["api_key.revoked"])


def test_first_used_by_many(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many first uses of one key none fails, and it is noted that there was one."""
    key = crew.admin.create_api_key()
    headers = bearer(key["key"])
    responses = crowded.at_once(lambda http, _: http.get("/api/projects", headers=headers))
    assert statuses(responses) == {200: TIMES}
    assert crew.admin.get(path_of(key)).json()["last_used_at"] is not None
    report(requests=TIMES, accepted=TIMES)

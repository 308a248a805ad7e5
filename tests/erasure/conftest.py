"""Somebody to erase."""

from uuid import uuid4

import pytest

from bugtracker.embedded import Cluster
from tests.erasure.people import NAME, Somebody, Traces, note_login
from tests.inviting import invite
from tests.world import Org, World, made


@pytest.fixture
def somebody(world: World, org: Org) -> Somebody:
    """The person; linked to an imported one, invited before, with an API key; a member of another
    organisation, too."""
    person = org.caller("admin", "zuleika")
    name, login = NAME.format(uuid4().hex[:8]), f"zuleika-{uuid4().hex[:8]}"
    changed = person.patch("/api/users/me", {"name": name}, headers={"If-Match": "*"})
    assert changed.status_code == 200
    imported = world.import_person(org, login)
    link = {"user_id": str(person.id)}
    assert org.owner.post(f"/api/users/{imported}/link", link).status_code == 200
    # As an earlier invitation that somebody sent and took back.
    world.remove(org, person)
    invitation = made(invite(org.owner, person.email))
    assert org.owner.delete(f"/api/invitations/{invitation['id']}").status_code == 204
    assert org.owner.post(f"/api/users/{person.id}/restore").status_code == 200
    key = person.create_api_key("issues.read", name=f"Key of {name}")
    assert world.with_key(key).get("/api/issues").status_code == 200
    issue = person.create_issue(person.create_project(), assignee_id=str(person.id))
    person.create_comment(issue, "I have seen it.")
    person.post("/api/projects", {"name": "Tides"}, headers={"Idempotency-Key": uuid4().hex})
    note_login(world, org, person)
    other = world.create_org()
    world.join(person.id, other.id, "member")
    note_login(world, other, person)
    names = {"name": name, "username": person.username, "address": person.email, "login": login}
    return Somebody(org, other, person, issue, imported, names)


@pytest.fixture
def traces(cluster: Cluster, database: str) -> Traces:
    return Traces(cluster, database)

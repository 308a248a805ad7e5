"""What people do with invitations: send one, wait for its mail, accept it."""

import re
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import update

from bugtracker.models import Invitation
from bugtracker.settings import Settings
from tests.registering import Newcomer, newcomer, text_of
from tests.world import Caller, Json, Org, World, made

URL = "/api/invitations"


def invite(caller: Caller, email: str, role: str = "developer") -> httpx.Response:
    return caller.post(URL, {"email": email, "role": role})


def invited(caller: Caller, email: str, role: str = "developer") -> Json:
    """An invitation that must be accepted by the server."""
    return made(invite(caller, email, role))


def url(invitation: Json) -> str:
    return f"{URL}/{invitation['id']}"


def token_for(person: Newcomer, number: int = 1) -> str:
    """The token of the invitation mail of that number; waits for it."""
    link = r"#action=accept-invitation&token=(\S+)"
    found = re.search(link, text_of(person.mail(number)))
    assert found is not None
    return found[1]


def accept(person: Newcomer, token: str, **fields: Any) -> httpx.Response:
    """Accepts as somebody who has an account, unless ``fields`` describe one."""
    return person.http.post(f"{URL}/accept", json={"token": token, **fields})


def details(person: Newcomer) -> Json:
    """What a new account is to be."""
    return {"username": person.username, "password": person.password}


def somebody(world: World, http: httpx.Client, settings: Settings) -> Newcomer:
    """A person with an account and no organisation."""
    _, username = world.create_account()
    return newcomer(http, settings, email=f"{username}@example.com", username=username)


def change_invitation(world: World, org: Org, invitation: Json, **values: object) -> None:
    """Changes an invitation behind the API's back."""
    statement = update(Invitation).where(Invitation.id == UUID(invitation["id"]))
    with world.runtime.db.transaction(org_id=org.id) as session:
        session.execute(statement.values(**values))

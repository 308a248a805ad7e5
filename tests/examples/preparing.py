"""What has to be so that the example of a request succeeds, for each operation that has one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.examples.scene import Scene, place
from tests.inviting import token_for
from tests.magic_links import linked, mailed
from tests.partners import Partner
from tests.registering import tokens_of
from tests.world import Caller

TOKEN = "Zk3mT9bW2xQ7rL5vN8cY1dF6gH4jK0pS"
CHALLENGE = "Zk3mT9bW2xQ7rL5vN8cY1dF6gH4jK0pSaB3eU7iO1wE"
REFRESH = "3qVw8hJr5tNc1yXb7kLm9sDf2gPz4aQe6uRi0oTv"
CODE, BACKUP_CODE = "492039", "k2vd-7qxm-hs4c-wn3p"
ORGANISATION = "01955b3b-cafb-7b7f-8b26-63157efc8d3a"
ADA = "01955b3b-cb10-7c02-9a41-5d8e03f7b6c2"
GRACE = "01955b47-4093-7e8d-846b-8d8bd6a486e5"


@dataclass
class Prepared:
    """Who asks, what the placeholders of the path name, and what stands for the tokens, codes and
    ids that the example made up."""

    by: httpx.Client | Partner
    places: dict[str, str] = field(default_factory=dict)
    swapped: dict[str, str] = field(default_factory=dict)


Prepare = Callable[[Scene, str], Prepared]
"""A scene and the name of the example."""


def owner(scene: Scene, name: str) -> Prepared:
    """What needs nothing but the things in the scene."""
    return Prepared(scene.charles.http)


def about_people(scene: Scene, name: str) -> Prepared:
    """The ids in the example are those of the people in the scene."""
    return Prepared(
        scene.charles.http, swapped={ADA: str(scene.ada.id), GRACE: str(scene.grace.id)}
    )


def nobody(scene: Scene, name: str) -> Prepared:
    return Prepared(scene.anonymous)


def registered(scene: Scene, name: str) -> Prepared:
    """Ada, and Grace, have registered and not opened the mail."""
    scene.person("grace").registered()
    person = scene.person("ada").registered()
    return Prepared(scene.anonymous, swapped={TOKEN: person.token()})


def members(scene: Scene, name: str) -> Prepared:
    """Ada has an account, and is in the organisation."""
    assert scene.ada
    return Prepared(scene.anonymous, swapped={ORGANISATION: str(scene.org.id)})


def logged_in(scene: Scene, name: str) -> Prepared:
    prepared = members(scene, name)
    tokens = tokens_of(scene.person("ada").login())
    prepared.swapped[REFRESH] = tokens["refresh_token"]
    return prepared


def developer(scene: Scene, name: str) -> Prepared:
    return Prepared(scene.grace.http)


def ending_account(scene: Scene, name: str) -> Prepared:
    if name == "password":
        return Prepared(scene.ada.http)
    return with_factor(scene, name)


def with_factor(scene: Scene, name: str) -> Prepared:
    """Ada has a second factor in force."""
    assert scene.ada
    app = scene.authenticator("ada").switched_on()
    client = scene.world.client(Authorization=f"Bearer {app.access}")
    codes = {CODE: app.fresh_code, BACKUP_CODE: app.backup_codes[0]}
    return Prepared(client, swapped=codes)


def challenged(scene: Scene, name: str) -> Prepared:
    """Ada gave her password and is asked for the code."""
    assert scene.ada
    app = scene.authenticator("ada").switched_on()
    codes = {CHALLENGE: app.challenge(), CODE: app.fresh_code}
    return Prepared(scene.anonymous, swapped=codes)


def enrolled(scene: Scene, name: str) -> Prepared:
    """Ada has scanned the picture."""
    assert scene.ada
    app = scene.authenticator("ada")
    assert app.enrol().status_code == 200
    client = scene.world.client(Authorization=f"Bearer {app.access}")
    return Prepared(client, swapped={CODE: app.code})


def member_herself(scene: Scene, name: str) -> Prepared:
    return Prepared(scene.ada.http)


def mailed_a_link(scene: Scene, name: str) -> Prepared:
    assert scene.ada
    return Prepared(scene.anonymous, swapped={CHALLENGE: linked(scene.person("ada"))})


def forgetful(scene: Scene, name: str) -> Prepared:
    assert scene.ada
    person = scene.person("ada")
    person.http.post("/api/auth/password/forgot", json={"email": person.email})
    return Prepared(scene.anonymous, swapped={TOKEN: mailed(person, action="reset-password")})


def change_of_user(scene: Scene, name: str) -> Prepared:
    """A role is given by the owner, a name is its person's own."""
    if name == "promote":
        scene.world.set_role(scene.org, scene.ada, "developer")
        return Prepared(scene.charles.http)
    change(scene.ada, "/api/users/me", name="Ada King")
    return Prepared(scene.ada.http)


def somebody_imported(scene: Scene, name: str) -> Prepared:
    return Prepared(
        scene.charles.http, {"user_id": scene.imported}, swapped={ADA: str(scene.ada.id)}
    )


def invited(scene: Scene, name: str) -> Prepared:
    """Grace was invited; for one of the examples she has an account elsewhere."""
    if name == "existing":
        scene.account("grace", "Grace Hopper")
    assert scene.invitation
    return Prepared(scene.anonymous, swapped={TOKEN: token_for(scene.person("grace"))})


def partner(scene: Scene, name: str) -> Prepared:
    return Prepared(scene.partner)


def founder(scene: Scene, name: str) -> Prepared:
    """Somebody in no organisation yet."""
    _, token = scene.world.open_session(scene.account("ada", "Ada Lovelace"), None)
    return Prepared(scene.world.client(Authorization=f"Bearer {token}"))


def change(caller: Caller, path: str, **fields: Any) -> None:
    assert caller.patch(path, fields, headers={"If-Match": "*"}).is_success


def other(path: str, **fields: Any) -> Prepare:
    """What the example changes was otherwise."""

    def prepare(scene: Scene, name: str) -> Prepared:
        change(scene.charles, place(scene, path), **fields)
        return owner(scene, name)

    return prepare


def other_member(scene: Scene, name: str) -> Prepared:
    scene.world.set_role(scene.org, scene.ada, "developer")
    return owner(scene, name)


def other_project(scene: Scene, name: str) -> Prepared:
    fields = {"is_archived": True} if name == "unarchive" else {"name": "Tidal Archive"}
    return other("/api/projects/{project_id}", **fields)(scene, name)


def other_issue(scene: Scene, name: str) -> Prepared:
    """Work on it has not begun, or it is in need of triage, or in somebody's hands."""
    if name != "start":
        scene.charles.move(scene.issue, "in_progress")
    if name == "triage":
        least = {"priority": "low", "assignee_id": None, "due_date": None}
        change(scene.charles, place(scene, "/api/issues/{issue_id}"), **least)
    return about_people(scene, name)


def other_webhook(scene: Scene, name: str) -> Prepared:
    fields = {"active": False} if name == "resume" else {"event_types": ["*"], "filter": None}
    return other("/api/webhooks/{webhook_id}", **fields)(scene, name)


PREPARATIONS: dict[str, Prepare] = {
    "register": nobody,
    "verify_email": registered,
    "resend_verification": registered,
    "login": members,
    "refresh": logged_in,
    "logout": logged_in,
    "update_me": developer,
    "delete_account": ending_account,
    "complete_login": challenged,
    "request_magic_link": members,
    "login_by_magic_link": mailed_a_link,
    "enrol_two_factor": member_herself,
    "confirm_two_factor": enrolled,
    "disable_two_factor": with_factor,
    "regenerate_backup_codes": with_factor,
    "change_password": member_herself,
    "request_password_reset": members,
    "reset_password": forgetful,
    "create_api_key": owner,
    "update_api_key": other("/api/api-keys/{api_key_id}", name="Weekly export"),
    "rotate_api_key": owner,
    "create_organisation": founder,
    "update_organisation": other("/api/organisations/{organisation_id}", name="Engines"),
    "transfer_organisation": about_people,
    "update_member": other_member,
    "create_project": owner,
    "update_project": other_project,
    "create_user": owner,
    "update_user": change_of_user,
    "link_user": somebody_imported,
    "approve_deletion_request": owner,
    "refuse_deletion_request": owner,
    "create_invitation": owner,
    "accept_invitation": invited,
    "provision_organisation": partner,
    "create_issue": about_people,
    "update_issue": other_issue,
    "create_comment": owner,
    "update_comment": other("/api/comments/{comment_id}", content="Line 41?"),
    "create_webhook": owner,
    "update_webhook": other_webhook,
    "rotate_webhook_secret": owner,
    "replay_webhook_deliveries": owner,
}


def swapped(value: Any, instead: dict[str, str]) -> Any:
    """The value with other strings in place of these."""
    if isinstance(value, dict):
        return {name: swapped(each, instead) for name, each in value.items()}
    if isinstance(value, list):
        return [swapped(each, instead) for each in value]
    return instead.get(value, value) if isinstance(value, str) else value

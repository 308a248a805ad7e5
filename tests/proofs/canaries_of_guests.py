"""What a visitor does for others: invitations, API keys and webhooks, well and badly."""

import base64
from uuid import uuid4

import httpx

from tests.proofs.canaries_of_factors import Factor
from tests.proofs.visitor import Step, Visitor, bearer
from tests.repeating import new_key
from tests.world import Json, made

INVITATIONS, API_KEYS = "/api/invitations", "/api/api-keys"
WEBHOOKS = "/api/webhooks"


def invite(visitor: Visitor) -> None:
    """A guest, who stays and has a second factor."""
    made(
        visitor.http.post(
            "/api/organisations",
            json={"name": "Canaries"},
            headers=visitor.as_me(visitor.logged_in()),
        )
    )
    # A new session is in the only organisation.
    mine = visitor.as_me(visitor.logged_in())
    guest = visitor.companion(f"guest-{uuid4().hex[:8]}@example.com")
    body = {"email": guest.email, "role": "developer"}
    visitor.http.post(INVITATIONS, json=body | {"token": visitor.password}, headers=mine)
    invitation = made(visitor.http.post(INVITATIONS, json=body, headers=mine | new_key()))
    path, old = f"{INVITATIONS}/{invitation['id']}", guest.mailed("accept-invitation")
    assert visitor.http.post(f"{path}/resend", headers=mine).is_success
    token = guest.mailed("accept-invitation")
    for url in (INVITATIONS, path, f"{INVITATIONS}?cursor={token}"):
        visitor.http.get(url, headers=mine)
    accept(guest, old, token)
    visitor.http.delete(path, headers=mine)
    Factor(guest).switch_on()


def accept(guest: Visitor, old: str, token: str) -> None:
    path, details = f"{INVITATIONS}/accept", {"username": guest.username}
    weak = guest.keep("password", f"weak{uuid4().hex[:6]}")
    guest.post(path, token=token, **details, password=weak)
    assert guest.post(path, token=old, **details, password=guest.password).status_code == 422
    guest.post(path, token=guest.keep("token", token + "x"))
    body = {"token": token, **details, "password": guest.password}
    assert guest.post(path, **body).status_code == 200
    assert guest.post(path, **body).status_code == 422


def kept_key(visitor: Visitor, answer: httpx.Response) -> Json:
    """A new API key, remembered as a whole and without what is shown of it."""
    key = made(answer)
    secret = key["key"].split("_")[2]
    # The last six characters are a checksum.
    for canary in (key["key"], secret, secret[:-6]):
        visitor.keep("api key", canary)
    return key


def use_api_keys(visitor: Visitor) -> None:
    mine, repeated = visitor.as_me(visitor.logged_in()), new_key()
    body = {"name": "Canary", "scopes": ["projects.read"]}
    for _ in range(2):
        answer = visitor.http.post(API_KEYS, json=body, headers=mine | repeated)
        first = kept_key(visitor, answer)
    visitor.http.post(API_KEYS, json=body | {"key": first["key"]}, headers=mine)
    path = f"{API_KEYS}/{first['api_key']['id']}"
    repeated |= new_key()
    for _ in range(2):
        answer = visitor.http.post(f"{path}/rotate", json={}, headers=mine | repeated)
        second = kept_key(visitor, answer)
    for key in (first, second):
        try_key(visitor, key)
    for url in (API_KEYS, path, f"{API_KEYS}?cursor={first['key']}"):
        visitor.http.get(url, headers=mine)
    visitor.http.patch(path, json={"name": "Renamed"}, headers=mine)
    assert visitor.http.delete(path, headers=mine).status_code == 204
    visitor.http.get("/api/projects", headers=bearer(first["key"]))


def try_key(visitor: Visitor, key: Json) -> None:
    """With a good request and with bad ones."""
    headers, secret = bearer(key["key"]), key["key"]
    assert visitor.http.get("/api/projects", headers=headers).status_code == 200
    visitor.http.get(f"/api/projects?q={secret}", headers=headers)
    visitor.http.get(f"/api/projects/{uuid4()}", headers=headers)
    visitor.http.get("/api/projects", headers={"X-API-Key": secret})
    visitor.http.get("/api/projects", headers=bearer(secret + "x"))
    visitor.http.get("/api/projects", headers={"Authorization": f"Basic {secret}"})


def use_webhooks(visitor: Visitor) -> None:
    mine, repeated = visitor.as_me(visitor.logged_in()), new_key()
    body = {"url": "https://hooks.example.com/x", "event_types": ["*"]}
    for _ in range(2):
        answer = visitor.http.post(WEBHOOKS, json=body, headers=mine | repeated)
        secret = kept_secret(visitor, made(answer))
    path = f"{WEBHOOKS}/{answer.json()['webhook']['id']}"
    visitor.http.post(WEBHOOKS, json=body | {"secret": secret}, headers=mine)
    visitor.http.patch(path, json={"filter": secret}, headers=mine)
    repeated |= new_key()
    for _ in range(2):
        answer = visitor.http.post(f"{path}/rotate-secret", json={}, headers=mine | repeated)
        secret = kept_secret(visitor, answer.json())
    event = visitor.http.post(f"{path}/test", headers=mine).json()["event_id"]
    delivery = f"{path}/deliveries/{event}"
    for url in (WEBHOOKS, path, f"{path}/deliveries", delivery, f"{WEBHOOKS}?cursor={secret}"):
        visitor.http.get(url, headers=mine)
    visitor.http.post(f"{delivery}/replay", headers=mine)
    visitor.http.post(f"{path}/replay", json={"what": "dead"}, headers=mine)
    assert visitor.http.delete(path, headers=mine).status_code == 204


def kept_secret(visitor: Visitor, answer: Json) -> str:
    """A webhook's secret, remembered as it is shown and as the key that it is."""
    key = base64.b64decode(answer["secret"].removeprefix("whsec_"))
    visitor.keep("webhook key", key.hex())
    return visitor.keep("webhook secret", answer["secret"])


STEPS: tuple[Step, ...] = (invite, use_api_keys, use_webhooks)

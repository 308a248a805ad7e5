"""What a partner system does, well and badly."""

import json
from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from bugtracker.app import create_runtime
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.partners import URL, Partner, create_partner, rotate_key, wanted
from tests.proofs.visitor import Step, Visitor, bearer


def provision(visitor: Visitor) -> None:
    """An organisation, whose owner comes."""
    runtime = operator(visitor)
    first = kept(visitor, create_partner(runtime, visitor.http))
    owner = visitor.companion(f"owner-of-{visitor.email}")
    body = wanted(owner={"email": owner.email})
    made = first.ended(body)
    assert made["status"] == "completed"
    owner.mailed("accept-invitation")
    again = first.send("POST", f"{URL}/{body['reference']}/invitation")
    assert again.status_code == 204
    token = owner.mailed("accept-invitation")
    details = {"username": owner.username, "password": owner.password}
    assert owner.post("/api/invitations/accept", token=token, **details).status_code == 200
    second = kept(visitor, rotate_key(runtime, first, timedelta(hours=1)))
    runtime.db.close()
    for partner in (first, second):
        err(partner, body["reference"])


def operator(visitor: Visitor) -> Runtime:
    """What the operator's commands work with."""
    url, key = (visitor.environment[name] for name in ("DATABASE_URL", "BUGTRACKER_SECRET_KEY"))
    return create_runtime(Settings(database_url=SecretStr(url), secret_key=SecretStr(key)))


def kept(visitor: Visitor, partner: Partner) -> Partner:
    """A partner whose key and secret are remembered, the key also without what is shown of it."""
    middle = partner.key.split("_")[2]
    for canary in (partner.key, middle, middle[:-6], partner.secret):
        visitor.keep("partner key", canary)
    return partner


def err(partner: Partner, reference: str) -> None:
    """Bad requests with good secrets, also where they do not belong."""
    path = f"{URL}/{reference}"
    good = partner.headers("GET", path)
    for headers in (
        good,
        good,
        good | {"Bugtracker-Key": partner.secret},
        good | {"Bugtracker-Key": partner.key + "x"},
        good | {"Bugtracker-Signature": partner.secret},
        bearer(partner.key),
        bearer(partner.secret),
    ):
        partner.http.get(path, headers=headers)
    partner.send("GET", f"{path}?key={partner.key}&secret={partner.secret}")
    content = json.dumps(wanted(secret=partner.secret, key=partner.key)).encode()
    assert partner.send("POST", URL, content).status_code == 400
    assert replace(partner, secret=partner.key).status(reference).status_code == 401


STEPS: tuple[Step, ...] = (provision,)

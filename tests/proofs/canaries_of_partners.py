"""What a partner system does, well and badly."""

import json
import os
import subprocess
from dataclasses import replace

from tests.partners import URL, Partner, wanted
from tests.processes import COMMAND
from tests.proofs.visitor import Step, Visitor, bearer


def provision(visitor: Visitor) -> None:
    """An organisation, whose owner comes."""
    first = command(visitor, "create", "Canary Partners")
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
    second = command(visitor, "rotate", first.name)
    for partner in (first, second):
        err(partner, body["reference"])


def command(visitor: Visitor, name: str, partner: str) -> Partner:
    """What ``bugtracker partners`` shows, remembered as a whole and without what is shown of it."""
    done = subprocess.run(
        [*COMMAND, "partners", name, partner],
        env={**os.environ, **visitor.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    (_, key), (_, secret) = (line.split() for line in done.stdout.splitlines())
    for canary in (key, key.split("_")[2], key.split("_")[2][:-6], secret):
        visitor.keep("partner key", canary)
    return Partner(partner, key, secret, visitor.http)


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

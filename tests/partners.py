"""Partner systems: they sign what they send, by code of their own."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select

from bugtracker.clock import utc_now
from bugtracker.models import Partner as PartnerRow
from bugtracker.models import Provisioning
from bugtracker.runtime import Runtime
from bugtracker.services import partners, provisioning
from tests.world import Json

URL = "/api/provisioning/orgs"
SECONDS_TO_END = 30


@dataclass(frozen=True)
class Partner:
    """A partner system with its key and secret."""

    name: str
    key: str
    secret: str
    http: httpx.Client

    def headers(
        self, method: str, target: str, content: bytes = b"", *, age: int = 0
    ) -> dict[str, str]:
        """The headers of a request that was signed ``age`` seconds ago."""
        timestamp, nonce = str(int(time.time()) - age), uuid4().hex
        digest = hashlib.sha256(content).hexdigest()
        lines = ["bugtracker-v1", method, target, timestamp, nonce, digest]
        mac = hmac.new(self.secret.encode(), "\n".join(lines).encode(), "sha256")
        return {
            "Bugtracker-Key": self.key,
            "Bugtracker-Timestamp": timestamp,
            "Bugtracker-Nonce": nonce,
            "Bugtracker-Signature": f"v1={mac.hexdigest()}",
        }

    def send(self, method: str, target: str, content: bytes = b"") -> httpx.Response:
        """A signed request."""
        headers = self.headers(method, target, content)
        if content:
            headers["Content-Type"] = "application/json"
        return self.http.request(method, target, content=content, headers=headers)

    def provision(self, body: Json) -> httpx.Response:
        return self.send("POST", URL, json.dumps(body).encode())

    def status(self, reference: str) -> httpx.Response:
        return self.send("GET", f"{URL}/{reference}")

    def ended(self, body: Json) -> Json:
        """What became of a request, once a worker is done with it."""
        answer = self.provision(body)
        assert answer.status_code in (200, 202), answer.text
        deadline = time.monotonic() + SECONDS_TO_END
        while (found := self.status(body["reference"]).json())["status"] not in (
            "completed",
            "failed",
        ):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        done: Json = found
        return done

    def at(self, http: httpx.Client) -> "Partner":
        """The same partner with another client."""
        return replace(self, http=http)


def create_partner(runtime: Runtime, http: httpx.Client, name: str = "") -> Partner:
    """A new partner system."""
    name = name or f"Partner {uuid4().hex[:12]}"
    with runtime.db.transaction() as session:
        made = partners.create(session, runtime.keyring, name, utc_now())
    return Partner(name, made.key, made.secret, http)


def rotate_key(runtime: Runtime, partner: Partner, overlap: Any) -> Partner:
    """The partner with its next key."""
    with runtime.db.transaction() as session:
        made = partners.rotate(session, runtime.keyring, partner.name, overlap, utc_now())
    return replace(partner, key=made.key, secret=made.secret)


def disable(runtime: Runtime, partner: Partner) -> None:
    with runtime.db.transaction() as session:
        partners.disable(session, partner.name, utc_now())


def wanted(**different: Any) -> Json:
    """A request that can be done."""
    name = uuid4().hex[:12]
    return {
        "reference": f"customer-{name}",
        "organisation": {"name": f"Engines {name}"},
        "owner": {"email": f"owner-{name}@example.com"},
        **different,
    }


def organisation_of(runtime: Runtime, body: Json) -> UUID:
    """The id that the organisation of a request has, or had, or is to have."""
    with runtime.db.transaction() as session:
        reference = Provisioning.reference == body["reference"]
        return session.scalars(select(Provisioning.organisation_id).where(reference)).one()


def begun(runtime: Runtime, name: str, body: Json) -> UUID:
    """A saga of the partner of this name that no job works on."""
    with runtime.db.transaction() as session:
        named = select(PartnerRow.id).where(PartnerRow.name == name)
        partner_id = session.scalars(named).one()
        asked = provisioning.Asked(partner_id, body, b"fingerprint", utc_now())
        saga_id = provisioning.begin(session, asked)
    assert saga_id is not None
    return saga_id

"""Registering: one account for an address, one address for a username, a link that works once."""

from uuid import UUID, uuid4

import httpx
from sqlalchemy import func, select

from bugtracker.jobs.worker import WorkerThread
from bugtracker.models import Account, Member, Organisation
from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.registering import PASSWORD, Newcomer, newcomer

TIMES = SIZE.requests


def stranger(crowded: Crowd) -> Newcomer:
    return newcomer(crowded.world.client(), crowded.runtime.settings)


class TestVerifyEmail:
    def test_a_link_works_once(self, crowded: Crowd, worker: WorkerThread, report: Report) -> None:
        """Of many uses of one mailed link one verifies the address and founds the organisation."""
        person = stranger(crowded)
        token = person.registered(org_name="Founded once").token()
        responses = crowded.at_once(
            lambda http, _: http.post("/api/auth/verify-email", json={"token": token})
        )
        assert statuses(responses) == {200: 1, 422: TIMES - 1}
        with crowded.runtime.db.transaction(account_id=UUID(person.me()["id"])) as session:
            assert session.scalars(select(Member.role)).all() == ["owner"]
            assert session.scalars(select(Organisation.name)).all() == ["Founded once"]
        report(requests=TIMES, verified=1, refused=TIMES - 1, organisations=1)


class TestRegister:
    def test_one_account_of_one_address(
        self, crowded: Crowd, worker: WorkerThread, report: Report
    ) -> None:
        """Of many registrations of one address comes one account, and nobody but the last one
        holds a username."""
        people = [stranger(crowded) for _ in range(TIMES)]
        email = people[0].email

        def act(http: httpx.Client, number: int) -> httpx.Response:
            body = {"email": email, "username": people[number].username, "password": PASSWORD}
            return http.post("/api/auth/register", json=body)

        assert statuses(crowded.at_once(act)) == {202: TIMES}
        with crowded.runtime.db.transaction() as session:
            found = select(Account).where(func.lower(Account.email) == email)
            account = session.scalars(found).one()
        assert account.version == TIMES
        for person in people:
            taken = person.register(email=f"{uuid4().hex}@example.com").status_code == 409
            assert taken == (person.username == account.username)
        report(requests=TIMES, accepted=TIMES, accounts=1, usernames_held=1)

    def test_one_address_gets_a_username(self, crowded: Crowd, report: Report) -> None:
        """Of many addresses that want one username, in any case, one gets it."""
        username = f"wanted-{uuid4().hex[:8]}"

        def act(http: httpx.Client, number: int) -> httpx.Response:
            shown = username.upper() if number % 2 else username
            body = {"email": f"{username}-{number}@example.com", "username": shown}
            return http.post("/api/auth/register", json={**body, "password": PASSWORD})

        assert statuses(crowded.at_once(act)) == {202: 1, 409: TIMES - 1}
        report(requests=TIMES, got_it=1, refused=TIMES - 1)

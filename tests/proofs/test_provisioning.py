"""Provisioning: one organisation whatever is sent at once, and a whole one or none whenever a
worker dies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, text

from bugtracker.app import create_runtime
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.jobs.provisioning import _advance, _begin
from bugtracker.models.partner import STEPS
from bugtracker.runtime import Runtime
from bugtracker.services import provisioning
from bugtracker.settings import Settings
from tests.jobs import running
from tests.jobs.running import eventually, jobs, working
from tests.partners import URL, Partner, begun, create_partner, disable, wanted
from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE

TIMES = SIZE.requests
AT_ONCE = 4
"""Jobs that a worker works on at a time."""

State = tuple[str, int, int]
"""A saga's state, its steps that were done, and those that were undone."""


@pytest.fixture
def partner(crowded: Crowd) -> Partner:
    return create_partner(crowded.runtime, crowded.world.client())


def test_many_identical_requests_make_one_organisation(
    crowded: Crowd, partner: Partner, report: Report
) -> None:
    """Of many requests with one reference at the same moment, half of them with another body, one
    body gets the reference, all with that body are answered alike, and one job is queued."""
    one, other = wanted(), wanted()
    other["reference"] = one["reference"]

    def act(http: httpx.Client, number: int) -> httpx.Response:
        return partner.at(http).provision(other if number % 2 else one)

    answers = crowded.at_once(act)
    accepted, refused = statuses(answers)[202] + statuses(answers)[200], statuses(answers)[422]
    assert (accepted, refused) == (TIMES // 2, TIMES // 2)
    with crowded.runtime.db.read() as connection:
        jobs = text("SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = :lock")
        saga = text("SELECT id FROM provisionings WHERE reference = :reference")
        (saga_id,) = connection.scalars(saga, {"reference": one["reference"]})
        assert connection.scalar(jobs, {"lock": f"provisioning:{saga_id}"}) == 1
    report(requests=TIMES, accepted=accepted, refused=refused, sagas=1)


def test_a_signed_request_is_good_once(crowded: Crowd, partner: Partner, report: Report) -> None:
    """Of many copies of one signed request at the same moment one is let in."""
    body = wanted()
    content = json.dumps(body).encode()
    headers = partner.headers("POST", URL, content) | {"Content-Type": "application/json"}
    answers = crowded.at_once(lambda http, _: http.post(URL, content=content, headers=headers))
    assert statuses(answers) == {202: 1, 401: TIMES - 1}
    codes = Counter(answer.json().get("code") for answer in answers)
    assert codes["partner_credentials_invalid"] == TIMES - 1
    report(requests=TIMES, let_in=1, refused=TIMES - 1)


@pytest.fixture
def stage(
    cluster: Cluster, own_database: str, settings: Settings, tmp_path: Path
) -> Iterator[Runtime]:
    """A runtime on a database where no worker runs but those of the proof."""
    changes = {"database_url": SecretStr(cluster.api_url(own_database)), "local_dir": tmp_path}
    runtime = create_runtime(settings.model_copy(update=changes))
    yield runtime
    runtime.db.close()


@pytest.fixture
def admin(cluster: Cluster, own_database: str) -> Iterator[Connection]:
    """Sees all tenants; each statement by itself."""
    engine = owner_engine(cluster.admin_url(own_database))
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection
    engine.dispose()


class Workers:
    """Worker processes, one after the other."""

    def __init__(self, cluster: Cluster, database: str, directory: Path, admin: Connection) -> None:
        self._environment = {
            **os.environ,
            "DATABASE_URL": cluster.api_url(database),
            "BUGTRACKER_SECRET_KEY": "a test secret of more than 32 characters",
            "BUGTRACKER_LOCAL_DIR": str(directory),
            "PYTHONPATH": str(Path(running.__file__).parents[2]),
        }
        self._admin = admin
        self.killed = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A worker, killed without warning at the end of the block; its death is noticed."""
        process = subprocess.Popen([sys.executable, running.__file__], env=self._environment)
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.killed += 1
        aged = "UPDATE jobs.procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"
        self._admin.execute(text(aged))

    def killed_in(
        self, cluster: Cluster, database: str, steps: dict[UUID, int], reached: list[State]
    ) -> None:
        """Lets a worker come to one step of each saga, which it can do or undo but not write down,
        and kills it there: what it had done in the step is lost, the steps before it are not."""
        engine = owner_engine(cluster.admin_url(database))
        hold = text(
            "SELECT FROM provisioning_steps WHERE provisioning_id = :id AND position = :position"
            " FOR UPDATE"
        )
        with engine.connect() as connection:
            for saga_id, position in steps.items():
                connection.execute(hold, {"id": saga_id, "position": position})
            with self.one():
                eventually(lambda: [state(self._admin, s) for s in steps] == reached, 60)
        assert [state(self._admin, saga_id) for saga_id in steps] == reached
        engine.dispose()


@pytest.fixture
def nowhere() -> Iterator[httpx.Client]:
    """A client for partners that ask for nothing."""
    with httpx.Client() as client:
        yield client


@pytest.fixture
def workers(cluster: Cluster, own_database: str, tmp_path: Path, admin: Connection) -> Workers:
    return Workers(cluster, own_database, tmp_path, admin)


def queued(stage: Runtime, partner: Partner, count: int) -> list[UUID]:
    """Sagas that wait for a worker."""
    sagas = [begun(stage, partner.name, wanted()) for _ in range(count)]
    with stage.db.transaction() as session:
        for saga_id in sagas:
            provisioning.defer(stage.queue, session, saga_id)
    return sagas


def state(admin: Connection, saga_id: UUID) -> State:
    query = text(
        "SELECT state, count(s.finished_at), count(s.undone_at) FROM provisionings p"
        " JOIN provisioning_steps s ON s.provisioning_id = p.id WHERE p.id = :id GROUP BY p.id"
    )
    found = admin.execute(query, {"id": saga_id}).one()
    return found[0], found[1], found[2]


PARTS = ("projects", "organisation_settings", "invitations", "members", "events")


def parts(admin: Connection, saga_id: UUID) -> dict[str, int]:
    """How many rows of each kind there are of the organisation."""
    org = "(SELECT organisation_id FROM provisionings WHERE id = :id)"
    columns = [f"(SELECT count(*) FROM {table} WHERE org_id = {org})" for table in PARTS]
    own = f"(SELECT count(*) FROM organisations WHERE id = {org})"
    row = admin.execute(text(f"SELECT {own}, {', '.join(columns)}"), {"id": saga_id}).one()
    return dict(zip(("organisations", *PARTS), row, strict=True))


WHOLE = {
    "organisations": 1, "projects": 1, "organisation_settings": 1, "invitations": 1, "members": 1,
    "events": 6,
}  # fmt: skip


def nobody_sees_any(admin: Connection) -> bool:
    """No account is a member, and no token of an invitation exists."""
    seen = text(
        "SELECT EXISTS (SELECT FROM members WHERE account_id IS NOT NULL)"
        " OR EXISTS (SELECT FROM invitations WHERE token_hash IS NOT NULL)"
    )
    return not admin.scalar(seen)


def ended(admin: Connection, sagas: list[UUID]) -> None:
    def all_ended() -> bool:
        return {state(admin, saga_id)[0] for saga_id in sagas} <= {"completed", "failed"}

    eventually(all_ended, 40)


def test_killed_after_each_step_leaves_a_whole_organisation(
    cluster: Cluster, own_database: str, stage: Runtime, admin: Connection, workers: Workers,
    nowhere: httpx.Client, tmp_path: Path, report: Report,
) -> None:  # fmt: skip
    """Worker processes are killed after each step of a saga, with the next one done and not
    committed: another worker makes the organisation whole, once, and mails its invitation (again,
    where a worker was killed between sending it and writing that down). Until then nobody is a
    member and no token exists."""
    partner = create_partner(stage, nowhere, "Acme")
    *sagas, last = queued(stage, partner, len(STEPS))
    begin = time.monotonic()
    steps = {saga: n for n, saga in enumerate(sagas, start=1)}
    reached: list[State] = [("running", n, 0) for n in range(AT_ONCE)]
    workers.killed_in(cluster, own_database, steps, reached)
    assert nobody_sees_any(admin)
    workers.killed_in(cluster, own_database, {last: len(STEPS)}, [("running", AT_ONCE, 0)])
    with working(stage):
        ended(admin, [*sagas, last])
        eventually(lambda: {status for _, status, _ in jobs(stage)} == {"succeeded"})
    assert len(_invited(tmp_path / "mail")) == len(STEPS)
    for saga in (*sagas, last):
        assert state(admin, saga) == ("completed", len(STEPS), 0)
        assert parts(admin, saga) == WHOLE
    report(sagas=len(STEPS), workers_killed=workers.killed, whole=len(STEPS), half=0,
           seconds=round(time.monotonic() - begin, 1))  # fmt: skip


def _invited(mails: Path) -> set[str]:
    """Who was written to."""
    return {message_from_bytes(mail.read_bytes())["To"] for mail in mails.glob("*.eml")}


def test_killed_while_undoing_leaves_nothing(
    cluster: Cluster, own_database: str, stage: Runtime, admin: Connection, workers: Workers,
    nowhere: httpx.Client, report: Report,
) -> None:  # fmt: skip
    """A worker process is killed while it undoes each step of a saga: another worker undoes the
    rest, and nothing is left."""
    partner = create_partner(stage, nowhere, "Acme")
    sagas = queued(stage, partner, AT_ONCE)
    for saga in sagas:
        _begin(stage, saga)
        assert all(_advance(stage, saga) for _ in range(AT_ONCE))
    disable(stage, partner)
    places = dict(zip(sagas, range(AT_ONCE, 0, -1), strict=True))
    reached: list[State] = [("compensating", AT_ONCE, AT_ONCE - place) for place in places.values()]
    workers.killed_in(cluster, own_database, places, reached)
    with working(stage):
        ended(admin, sagas)
    for saga in sagas:
        assert state(admin, saga) == ("failed", AT_ONCE, AT_ONCE)
        assert set(parts(admin, saga).values()) == {0}
    report(sagas=AT_ONCE, workers_killed=workers.killed, left=0)

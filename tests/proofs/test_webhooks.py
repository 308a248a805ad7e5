"""Deliveries while workers are killed and the database is stopped, and to hostile receivers."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.models import Event, WebhookDelivery
from bugtracker.settings import Settings
from tests.conformance import Conformance
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.workers import Postgres, Worker, postgres
from tests.proofs.writing import change
from tests.serving import serve
from tests.webhooks.receiver import Receiver, drip, flood, hang, status
from tests.webhooks.stepping import deliveries, path_of, subscribe
from tests.world import Caller, Json, Org, World

# Minutes, when the machine is busy.
pytestmark = pytest.mark.timeout(0 if SIZE.full else 400)

WRITERS = 4
PATIENCE = 300
METADATA = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
def proof_round() -> int:
    """Once: no race of a moment, but minutes of work."""
    return 1


@dataclass
class Scene:
    """An API, a worker process beside it, and perhaps a database that can be stopped."""

    world: World
    org: Org
    worker: Worker
    postgres: Postgres | None


@pytest.fixture
def scene(
    settings: Settings, contract: Contract, cluster: Cluster, own_database: str, tmp_path: Path
) -> Iterator[Scene]:
    with ExitStack() as stack:
        running, url = None, cluster.api_url(own_database)
        if SIZE.full:
            running, url = stack.enter_context(postgres(tmp_path / "postgres"))
        changes = {
            "database_url": SecretStr(url),
            "webhook_allow_local": True,
            "webhook_timeout_seconds": 3.0,
            "local_dir": tmp_path,
        }
        changed = settings.model_copy(update=changes)
        runtime = create_runtime(changed)
        stack.callback(runtime.db.close)
        server = stack.enter_context(serve(create_app(runtime, contract)))
        world = World(runtime, server.url, Conformance(contract))
        stack.callback(world.close)
        worker = Worker(changed, tmp_path / "worker.log")
        stack.callback(worker.end)
        yield Scene(world, world.create_org(), worker, running)


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def changing(pool: ThreadPoolExecutor, scene: Scene, times: int) -> list[Future[list[str]]]:
    """Comments on an issue each, by some writers at once."""
    project = scene.org.manager.create_project()
    callers = [scene.org.caller("member", str(n)) for n in range(WRITERS)]
    issues = [caller.create_issue(project) for caller in callers]

    def write(caller: Caller, issue: Json) -> list[str]:
        return [change(caller, issue) for _ in range(times // WRITERS)]

    return [pool.submit(write, *each) for each in zip(callers, issues, strict=True)]


class TestLoss:
    def test_nothing_is_lost_when_workers_are_killed(self, scene: Scene, report: Report) -> None:
        """Each change is received at least once, with one id and one body however often, though
        workers are killed (and, in full, PostgreSQL is stopped) in the middle."""
        began = time.monotonic()
        with Receiver() as receiver, ThreadPoolExecutor(WRITERS) as pool:
            subscribe(scene.org, receiver.url, "comment.*")
            writing = changing(pool, scene, SIZE.changes)
            for n in range(1, SIZE.kills + 1):
                wanted = SIZE.changes * n // (SIZE.kills + 1)
                until(lambda wanted=wanted: len(receiver.messages) >= wanted)
                scene.worker.kill()
                if scene.postgres is not None and n == SIZE.kills // 2:
                    scene.postgres.stop_at_once()
            recovering = time.monotonic()
            made = {comment for each in writing for comment in each.result()}
            written = time.monotonic()
            expected = _events(scene)
            until(lambda: expected <= _received(receiver))
            ended = time.monotonic()
        bodies = {(message.id, message.body) for message in receiver.messages}
        told = {message.json["data"]["resource"]["id"] for message in receiver.messages}
        assert len(made) == SIZE.changes
        assert told == made
        assert len(bodies) == len(expected) == SIZE.changes
        report(
            changes=SIZE.changes,
            kills=SIZE.kills,
            postgresql_stops=int(scene.postgres is not None),
            received=len(receiver.messages),
            received_twice=len(receiver.messages) - SIZE.changes,
            out_of_order=_out_of_order(receiver),
            seconds=round(ended - began, 1),
            seconds_behind_the_last_change=round(ended - written, 1),
            seconds_behind_the_last_kill=round(ended - recovering, 1),
        )


def _events(scene: Scene) -> set[str]:
    statement = select(Event.id).where(Event.action == "comment.created")
    # Connections of before the database was stopped are dead.
    scene.world.runtime.db.close()
    with scene.world.runtime.db.transaction(org_id=scene.org.id) as session:
        return {str(each) for each in session.scalars(statement)}


def _received(receiver: Receiver) -> set[str]:
    return {str(UUID(message.id.split("_")[1])) for message in list(receiver.messages)}


def _out_of_order(receiver: Receiver) -> int:
    """Messages that came, for the first time, behind a later one about the same issue."""
    last, seen, late = Counter[str](), set[str](), 0
    for message in receiver.messages:
        data = message.json["data"]
        if message.id not in seen:
            late += data["number"] < last[data["issue_id"]]
            last[data["issue_id"]] = max(last[data["issue_id"]], data["number"])
        seen.add(message.id)
    return late


class TestHostility:
    def test_hostile_receivers_cost_nobody_else_anything(
        self, scene: Scene, report: Report
    ) -> None:
        """Receivers that hang, drip, flood, fail or redirect inwards cost the worker little memory
        and the others no time; what they refused ends dead and can be replayed."""
        hostile = (hang, drip, flood, status(500), status(302, Location=METADATA))
        times = SIZE.changes // 100 + 7
        with ExitStack() as stack:
            good = stack.enter_context(Receiver())
            subscribe(scene.org, good.url, "comment.*")
            issue = scene.org.member.create_issue(scene.org.manager.create_project())
            # The worker takes a while to start.
            self._delays(scene, good, issue, 1)
            alone = self._delays(scene, good, issue, times)
            before = scene.worker.peak_mb
            bad = [stack.enter_context(Receiver()) for _ in hostile]
            for receiver, answer in zip(bad, hostile, strict=True):
                receiver.answer = answer
            made = [subscribe(scene.org, receiver.url, "comment.*") for receiver in bad]
            among = self._delays(scene, good, issue, times)
            grown = scene.worker.peak_mb - before
            dead = self._give_up(scene, made)
            again = self._replay(scene, made, bad)
        assert grown < 64
        assert statistics.median(among) < statistics.median(alone) + 1
        assert dead == times * len(hostile)
        report(
            deliveries=times,
            hostile_receivers=len(hostile),
            median_delay_alone=round(statistics.median(alone), 2),
            median_delay_among_them=round(statistics.median(among), 2),
            longest_delay_alone=round(max(alone), 2),
            longest_delay_among_them=round(max(among), 2),
            megabytes_grown=round(grown, 1),
            dead=dead,
            delivered_by_replay=again,
        )

    def _delays(self, scene: Scene, good: Receiver, issue: Json, times: int) -> list[float]:
        """Seconds between the answer to a change and its arrival."""
        begun: dict[str, float] = {}
        for _ in range(times):
            begun[change(scene.org.member, issue)] = time.monotonic()
        good_ids = lambda: {m.json["data"]["resource"]["id"] for m in good.messages}  # noqa: E731
        until(lambda: begun.keys() <= good_ids())
        arrived = {m.json["data"]["resource"]["id"]: m.at for m in good.messages}
        return [arrived[each] - at for each, at in begun.items()]

    def _give_up(self, scene: Scene, made: list[Json]) -> int:
        """Lets nine tries pass in no time; how many deliveries are dead after the tenth."""
        ids = [UUID(each["webhook"]["id"]) for each in made]
        waiting = (WebhookDelivery.webhook_id.in_(ids), WebhookDelivery.state == "pending")
        last = update(WebhookDelivery).where(*waiting, WebhookDelivery.failures < 9)
        due = {"failures": 9, "due_at": func.now(), "leased_until": None}
        count = select(func.count()).select_from(WebhookDelivery).where(*waiting)

        def done() -> bool:
            with scene.world.runtime.db.transaction(org_id=scene.org.id) as session:
                session.execute(last.values(due))
                # One that fails is asked once at a time: let it be tried by many.
                session.execute(text("UPDATE webhooks SET failing_since = NULL"))
                return not session.scalar(count)

        until(done)
        dead = select(func.count()).select_from(WebhookDelivery)
        with scene.world.runtime.db.transaction(org_id=scene.org.id) as session:
            return session.scalar(dead.where(WebhookDelivery.state == "dead")) or 0

    def _replay(self, scene: Scene, made: list[Json], bad: list[Receiver]) -> int:
        for created, receiver in zip(made, bad, strict=True):
            receiver.answer = status(204)
            response = scene.org.admin.post(f"{path_of(created)}/replay", {"what": "dead"})
            assert response.status_code == 202, response.text
        until(lambda: not any(deliveries(scene.org, each, state="pending") for each in made))
        assert not any(deliveries(scene.org, each, state="dead") for each in made)
        count = select(func.count()).select_from(WebhookDelivery)
        ids = [UUID(each["webhook"]["id"]) for each in made]
        of_bad = (WebhookDelivery.webhook_id.in_(ids), WebhookDelivery.state == "delivered")
        with scene.world.runtime.db.transaction(org_id=scene.org.id) as session:
            return session.scalar(count.where(*of_bad)) or 0

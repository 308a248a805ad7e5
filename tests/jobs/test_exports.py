"""Archives are made whole or not at all, whatever happens to the worker meanwhile."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from bugtracker.clock import utc_now
from bugtracker.contract import Contract
from bugtracker.db import Database
from bugtracker.embedded import Cluster
from bugtracker.exporting.building import MOST_ATTEMPTS, Busy, build
from bugtracker.exporting.endings import KIND, clear_due, forget
from bugtracker.exporting.storage import Place, take, take_rest
from bugtracker.ids import new_id
from bugtracker.importing.bulk import insert_rows
from bugtracker.models import BackgroundJob, Comment, Event, Export, Issue, Member, Project
from bugtracker.runtime import Runtime
from tests.conformance import Conformance
from tests.exporting.fetching import files_of
from tests.mail.sink import Sink
from tests.parallel import Standstill, standstill
from tests.proofs.searching import mail_text
from tests.world import World

from .running import eventually, execute, working
from .test_worker import worker_process

ISSUES = 600
"""With descriptions that do not compress well: three pieces."""


@dataclass
class Scene:
    """A member who reported much and asks for it."""

    runtime: Runtime
    org_id: UUID
    user_id: UUID
    username: str
    issue_id: UUID

    def ask(self) -> UUID:
        """An export of theirs, queued."""
        now, ids = utc_now(), {"org_id": self.org_id, "id": new_id()}
        person = {"created_by_id": self.user_id, "subject_id": self.user_id}
        with self.runtime.db.transaction(org_id=self.org_id) as session:
            job = BackgroundJob(**ids, **person, kind=KIND, state="queued", created_at=now)
            session.add(job)
            session.flush()
            session.add(Export(**ids, with_account=True, expires_at=now + timedelta(days=1)))
            task = {"org_id": self.org_id, "export_id": ids["id"]}
            self.runtime.queue.defer(session, "export.build", **task)
        return ids["id"]

    def build(self, export_id: UUID) -> None:
        build(self.runtime, str(self.org_id), str(export_id))

    def job(self, export_id: UUID) -> Any:
        """The job as it is now."""
        with self.runtime.db.transaction(org_id=self.org_id) as session:
            return session.get_one(BackgroundJob, (self.org_id, export_id))

    def files(self, export_id: UUID) -> dict[str, Any]:
        """What is in the archive, which is gone then."""
        place, keyring = Place(self.org_id, export_id), self.runtime.keyring
        with self.runtime.db.transaction(org_id=self.org_id) as session:
            export = session.get_one(Export, (self.org_id, export_id))
            first = take(session, keyring, place, 0)
        count = export.chunk_count
        assert count is not None
        assert count >= 3
        content = b"".join(take_rest(self.runtime.db, keyring, place, first, count))
        assert len(content) == export.size_bytes
        assert self.chunks() == 0
        return files_of(content)

    def chunks(self) -> int:
        with self.runtime.db.transaction(org_id=self.org_id) as session:
            return int(session.scalar(text("SELECT count(*) FROM export_chunks")) or 0)

    def actions(self, export_id: UUID) -> list[str]:
        with self.runtime.db.transaction(org_id=self.org_id) as session:
            about = select(Event.action).where(Event.resource_id == export_id)
            return list(session.scalars(about.order_by(Event.created_at, Event.id)))

    def comment(self) -> None:
        now = utc_now()
        with self.runtime.db.transaction(org_id=self.org_id) as session:
            session.add(
                Comment(
                    org_id=self.org_id,
                    id=new_id(),
                    issue_id=self.issue_id,
                    author_id=self.user_id,
                    content="Too late.",
                    created_at=now,
                    updated_at=now,
                )
            )


@pytest.fixture
def scene(runtime: Runtime, contract: Contract) -> Scene:
    world = World(runtime, "http://nowhere.test", Conformance(contract))
    org = world.create_org()
    account_id, username = world.create_account()
    world.join(account_id, org.id, "developer")
    now, project_id = utc_now(), new_id()
    times = {"created_at": now, "updated_at": now, "version": 1}
    row = {"org_id": org.id, "project_id": project_id, "reporter_id": account_id, **times}
    issues = [
        {**row, "id": new_id(), "number": n, "title": "Much", "description": secrets.token_hex(900),
         "status": "open", "priority": "low"} for n in range(1, ISSUES + 1)
    ]  # fmt: skip
    with runtime.db.transaction(org_id=org.id) as session:
        named = {"key": "TLS", "name": "Tides", "description": "", "last_issue_number": ISSUES}
        project = Project(org_id=org.id, id=project_id, created_by_id=account_id, **named, **times)
        project.is_archived = False
        session.add(project)
        session.flush()
        insert_rows(session, Issue, issues)
    return Scene(runtime, org.id, account_id, username, issues[0]["id"])


@contextmanager
def half_way(cluster: Cluster, database: str) -> Iterator[Standstill]:
    """Whoever makes an archive stops at its first piece, until this is released."""
    with standstill(cluster.admin_url(database)) as still:
        still.execute("LOCK TABLE export_chunks IN SHARE MODE")
        yield still


def stopped(still: Standstill) -> Callable[[], bool]:
    return lambda: still.blocked == 1


class TestBuild:
    def test_of_a_killed_worker_is_done_again_and_whole(
        self, scene: Scene, sink: Sink, cluster: Cluster, database: str
    ) -> None:
        export_id = scene.ask()
        with half_way(cluster, database) as still:
            with worker_process(scene.runtime.settings) as process:
                try:
                    # It has to start first, on a machine that may be busy.
                    eventually(stopped(still), seconds=60)
                finally:
                    process.kill()
            still.release()
        job = scene.job(export_id)
        assert (job.state, job.attempts, job.total > ISSUES) == ("running", 1, True)
        assert scene.chunks() == 0
        silent = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'"
        execute(scene.runtime, silent)
        with working(scene.runtime):
            mail = sink.wait_for_mail()
        job = scene.job(export_id)
        assert (job.state, job.attempts, job.done) == ("succeeded", 2, job.total)
        assert mail["Subject"] == "The data you asked for is ready"
        body = mail_text(mail)
        assert str(export_id) in body
        assert f"what it holds about {scene.username}" in body
        files = scene.files(export_id)
        assert len(files["issues_reported.json"]) == ISSUES
        assert scene.actions(export_id) == ["export.ready"]

    def test_shows_one_moment_and_lets_one_worker_do_it(
        self, scene: Scene, cluster: Cluster, database: str
    ) -> None:
        export_id = scene.ask()
        with half_way(cluster, database) as still, ThreadPoolExecutor(1) as pool:
            first = pool.submit(scene.build, export_id)
            eventually(stopped(still))
            scene.comment()
            with pytest.raises(Busy):
                scene.build(export_id)
            still.release()
            first.result()
        scene.build(export_id)
        assert scene.job(export_id).attempts == 1
        assert scene.actions(export_id) == ["export.ready"]
        assert scene.files(export_id)["comments.json"] == []

    def test_needs_but_one_connection_of_the_pool(self, scene: Scene) -> None:
        url = scene.runtime.db.engine.url.render_as_string(hide_password=False)
        small = replace(scene.runtime, db=Database(url, pool_size=1, pool_timeout=1))
        try:
            export_id = scene.ask()
            build(small, str(scene.org_id), str(export_id))
        finally:
            small.db.close()
        assert scene.job(export_id).state == "succeeded"

    def test_leaves_nothing_when_the_person_is_forgotten_meanwhile(
        self, scene: Scene, cluster: Cluster, database: str
    ) -> None:
        done = scene.ask()
        scene.build(done)
        forget_all(scene)
        assert scene.chunks() == 0
        assert scene.actions(done) == ["export.ready", "export.deleted"]
        running = scene.ask()
        with half_way(cluster, database) as still, ThreadPoolExecutor(1) as pool:
            building = pool.submit(scene.build, running)
            eventually(stopped(still))
            forget_all(scene)
            still.release()
            building.result()
        assert (scene.job(running).state, scene.chunks()) == ("cancelled", 0)
        assert scene.actions(running) == []

    def test_fails_after_several_attempts(
        self, scene: Scene, cluster: Cluster, database: str
    ) -> None:
        export_id = scene.ask()
        with standstill(cluster.admin_url(database)) as admin:
            admin.execute("REVOKE INSERT ON export_chunks FROM bugtracker_app")
            admin.release()
        for _ in range(MOST_ATTEMPTS - 1):
            with pytest.raises(Exception, match="permission denied"):
                scene.build(export_id)
        assert scene.job(export_id).state == "running"
        scene.build(export_id)
        job = scene.job(export_id)
        assert (job.state, job.problem) == ("failed", "attempts_exhausted")
        assert scene.actions(export_id) == ["export.failed"]

    def test_that_takes_its_worker_with_it_fails_at_last(self, scene: Scene) -> None:
        export_id = scene.ask()
        change(scene, f"UPDATE background_jobs SET attempts = {MOST_ATTEMPTS}")
        scene.build(export_id)
        assert scene.job(export_id).problem == "attempts_exhausted"
        assert scene.chunks() == 0

    def test_is_not_begun_for_somebody_who_left(self, scene: Scene) -> None:
        export_id = scene.ask()
        with scene.runtime.db.transaction(org_id=scene.org_id) as session:
            session.get_one(Member, (scene.org_id, scene.user_id)).removed_at = utc_now()
        scene.build(export_id)
        assert (scene.job(export_id).state, scene.chunks()) == ("cancelled", 0)

    def test_that_takes_longer_than_it_may_is_given_up(self, scene: Scene) -> None:
        export_id = scene.ask()
        change(scene, "UPDATE exports SET expires_at = now()")
        clear_due(scene.runtime)
        job = scene.job(export_id)
        assert (job.state, job.problem) == ("failed", "expired")
        scene.build(export_id)
        assert scene.chunks() == 0


def forget_all(scene: Scene) -> None:
    with scene.runtime.db.transaction(org_id=scene.org_id) as session:
        forget(session, scene.org_id, scene.user_id, utc_now())


def change(scene: Scene, statement: str) -> None:
    with scene.runtime.db.transaction(org_id=scene.org_id) as session:
        session.execute(text(statement))

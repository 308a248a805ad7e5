"""The database dies, or changes its schema, while people work."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from threading import Event

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from bugtracker import migrate as migrations
from bugtracker import revisions
from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.settings import PROJECT_ROOT, Settings
from tests.conformance import Conformance
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.proofs.workers import postgres
from tests.proofs.writing import change
from tests.serving import serve
from tests.world import Caller, Json, Org, World

WRITERS = 8
NEXT = '''
"""Add a column and an index, as the next version would."""
from alembic import op

revision, down_revision = "9999", "{head}"
branch_labels = depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE issues ADD COLUMN colour text")
    op.execute("CREATE INDEX issues_colour ON issues (org_id, colour) WHERE colour IS NOT NULL")
'''


@contextmanager
def world_on(url: str, settings: Settings, contract: Contract) -> Iterator[World]:
    """A server on this database, which nobody restarts."""
    runtime = create_runtime(settings.model_copy(update={"database_url": SecretStr(url)}))
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    runtime.db.close()


def comments_of(caller: Caller, issue: Json) -> list[str]:
    ids: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        page = caller.get(f"/api/issues/{issue['id']}/comments", params=query).json()
        ids += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    return ids


class TestPowerCut:
    def test_no_acknowledged_write_is_lost(
        self, settings: Settings, contract: Contract, tmp_path: Path, report: Report
    ) -> None:
        """What was acknowledged is there, once, though PostgreSQL is stopped immediately under
        load; the server goes on without a restart."""
        cuts, each = (3, 400) if SIZE.full else (1, 25)
        with (
            postgres(tmp_path / "postgres") as (running, url),
            world_on(url, settings, contract) as world,
            ThreadPoolExecutor(WRITERS) as pool,
        ):
            issue, callers = scene_of(world.create_org())
            writing = [pool.submit(writes, caller, issue, each) for caller in callers]
            for _ in range(cuts):
                time.sleep(0.3)
                running.stop_at_once()
            cut = time.monotonic()
            change(callers[0], issue)
            recovered = time.monotonic() - cut
            acknowledged = [identity for done in writing for identity in done.result()]
            stored = comments_of(callers[0], issue)
        assert len(stored) == len(set(stored)) == WRITERS * each + 1
        assert set(acknowledged) <= set(stored)
        report(cuts=cuts, acknowledged=len(acknowledged), stored=len(stored),
               seconds_to_the_first_write=round(recovered, 2))  # fmt: skip


def scene_of(org: Org) -> tuple[Json, list[Caller]]:
    """An issue, and those who write about it."""
    callers = [org.caller("member", str(number)) for number in range(WRITERS)]
    return callers[0].create_issue(org.manager.create_project()), callers


def writes(caller: Caller, issue: Json, times: int) -> list[str]:
    return [change(caller, issue) for _ in range(times)]


class TestMigration:
    @pytest.fixture
    def next_version(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The migrations of a version that does not exist yet."""
        copytree(PROJECT_ROOT / "migrations", tmp_path / "migrations")
        text_of = NEXT.format(head=revisions.head_revision())
        (tmp_path / "migrations" / "versions" / "9999_next.py").write_text(text_of)
        monkeypatch.setattr(migrations, "MIGRATIONS", tmp_path / "migrations")

    @pytest.mark.usefixtures("next_version")
    def test_under_traffic_is_noticed_by_nobody(
        self, settings: Settings, contract: Contract, cluster: Cluster, own_database: str,
        report: Report,
    ) -> None:  # fmt: skip
        """No request answers 5xx while a migration changes the busiest table, first in vain behind
        somebody who reads for long, then for good."""
        owner, api = cluster.owner_url(own_database), cluster.api_url(own_database)
        over = Event()
        with world_on(api, settings, contract) as world, ThreadPoolExecutor(WRITERS) as pool:
            issue, callers = scene_of(world.create_org())
            asking = [pool.submit(asks, caller, issue, over) for caller in callers]
            with reading_for_long(cluster.admin_url(own_database)), pytest.raises(OperationalError):
                migrations.migrate(owner, api)
            began = time.monotonic()
            _, revision = migrations.migrate(owner, api)
            took = time.monotonic() - began
            over.set()
            statuses = [status for each in asking for status in each.result()]
        assert revision == "9999"
        assert {status for status in statuses if status >= 500} == set()
        assert len(statuses) >= 2 * WRITERS
        report(requests=len(statuses), failed=0, seconds_of_the_migration=round(took, 2))


@contextmanager
def reading_for_long(url: str) -> Iterator[None]:
    """Somebody who has read the issues, and does not end the transaction."""
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM issues"))
        yield
    engine.dispose()


def asks(caller: Caller, issue: Json, over: Event) -> list[int]:
    """Reads and writes until it is over; the statuses."""
    path, statuses = f"/api/issues/{issue['id']}", []
    while not over.is_set():
        statuses.append(caller.get(path).status_code)
        statuses.append(caller.patch(path, {"title": "The tide is late"}).status_code)
        statuses.append(caller.post(f"{path}/comments", {"content": "Seen."}).status_code)
    return statuses

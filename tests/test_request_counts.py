"""Requests are counted exactly, over threads, processes, failures and organisations."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bugtracker import request_counts
from bugtracker.app import create_app
from bugtracker.clock import utc_now
from bugtracker.db import Database, owner_engine
from bugtracker.embedded import Cluster
from bugtracker.ids import new_id
from bugtracker.request_counts import RequestCounts, prune
from bugtracker.runtime import Runtime
from tests.jobs.running import eventually
from tests.request_counts import kept
from tests.serving import serve
from tests.world import Org


class TestRequestCounts:
    def test_threads_and_flushes_lose_nothing(self, runtime: Runtime, org: Org) -> None:
        counts, stop = RequestCounts(), threading.Event()

        def flush() -> None:
            while not stop.is_set():
                counts.flush(runtime.db)

        flushing = [threading.Thread(target=flush) for _ in range(2)]
        with ThreadPoolExecutor(8) as pool:
            for thread in flushing:
                thread.start()
            for n in range(4000):
                pool.submit(counts.add, org.id, "list_issues", limited=n % 4 == 0)
        stop.set()
        for thread in flushing:
            thread.join()
        counts.flush(runtime.db)
        assert kept(runtime, org.id) == {"list_issues": (3000, 1000)}

    def test_what_cannot_be_written_is_kept_for_the_next_time(
        self, runtime: Runtime, org: Org
    ) -> None:
        counts = RequestCounts()
        nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_size=1)
        for _ in range(2):
            counts.add(org.id, "list_issues", limited=False)
            counts.flush(nowhere)
        counts.add(org.id, "list_issues", limited=True)
        counts.flush(runtime.db)
        counts.flush(runtime.db)
        assert kept(runtime, org.id) == {"list_issues": (2, 1)}

    def test_an_organisation_that_is_gone_takes_no_others_with_it(
        self, runtime: Runtime, org: Org
    ) -> None:
        counts = RequestCounts()
        for org_id in (new_id(), org.id, new_id()):
            counts.add(org_id, "list_issues", limited=False)
        counts.flush(runtime.db)
        assert kept(runtime, org.id) == {"list_issues": (1, 0)}

    def test_memory_is_bounded(
        self, runtime: Runtime, org: Org, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_counts, "MOST_COUNTS", 3)
        counts = RequestCounts()
        for _ in range(2):
            for n in range(5):
                counts.add(org.id, f"operation_{n}", limited=False)
        counts.flush(runtime.db)
        assert kept(runtime, org.id) == {f"operation_{n}": (2, 0) for n in range(3)}

    def test_a_running_server_writes_by_itself(
        self, runtime: Runtime, org: Org, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_counts.RequestCounter.__init__, "__defaults__", (0.05,))
        changed = Runtime(**{**vars(runtime), "request_counts": RequestCounts()})
        with serve(create_app(changed)) as server, httpx.Client(base_url=server.url) as http:
            assert http.get("/api/projects", headers=org.member.authorization).is_success
            eventually(lambda: kept(runtime, org.id) == {"list_projects": (1, 0)})


class TestPrune:
    def test_forgets_what_is_older_than_can_be_asked_for(
        self, runtime: Runtime, org: Org, cluster: Cluster, database: str
    ) -> None:
        now = utc_now()
        # An hour more than the periods, for those that begin within an hour.
        ages = (timedelta(), timedelta(hours=24), timedelta(hours=26), timedelta(days=90))
        for age in (*ages, timedelta(days=90, hours=2)):
            moment = now - age
            counts = RequestCounts(clock=moment.timestamp)
            counts.add(org.id, "list_issues", limited=False)
            counts.flush(runtime.db)
        prune(runtime.db)
        left: dict[str, Any] = {}
        engine = owner_engine(cluster.admin_url(database))
        with engine.connect() as connection:
            for unit in ("minute", "hour"):
                query = text(f"SELECT {unit} FROM request_{unit}s WHERE org_id = :org")
                left[unit] = sorted(connection.execute(query, {"org": org.id}).scalars())
        engine.dispose()
        assert (len(left["minute"]), len(left["hour"])) == (2, 4)
        assert left["minute"][0].astimezone(UTC) > now - timedelta(hours=25)
        assert left["hour"][0].astimezone(UTC) > datetime.now(UTC) - timedelta(days=91)

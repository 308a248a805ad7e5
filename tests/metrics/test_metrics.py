"""/metrics: what a process tells Prometheus, on a port of its own."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click import ClickException
from pydantic import SecretStr
from sqlalchemy import text

from bugtracker import __version__
from bugtracker.app import create_app, create_runtime
from bugtracker.cli.serving import serving_metrics
from bugtracker.contract import Contract
from bugtracker.embedded import Cluster
from bugtracker.jobs.worker import WorkerThread
from bugtracker.metrics.listener import DEAD_AFTER_SECONDS, Pulse, metrics_listener
from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.metrics.scraping import growth, scrape
from tests.serving import serve
from tests.timing import within
from tests.world import PASSWORD, Org, World

REQUESTS = r"bugtracker_http_requests_total"


@pytest.fixture
def watched(runtime: Runtime) -> Iterator[int]:
    """The port of the numbers of this process, whose server is that of the tests."""
    with metrics_listener(with_port(runtime)) as port:
        assert port is not None
        yield port


def with_port(runtime: Runtime) -> Runtime:
    settings = runtime.settings.model_copy(update={"metrics_port": 0})
    return Runtime(**{**vars(runtime), "settings": settings})


class TestRequests:
    def test_are_counted_by_operation_and_status(self, watched: int, org: Org) -> None:
        project = org.manager.create_project()
        before = scrape(watched)
        path = f"/api/projects/{project['id']}"
        for _ in range(3):
            assert org.auditor.get(path).status_code == 200
        assert org.auditor.http.head(path).status_code == 200
        assert org.auditor.patch(path, {"name": "No"}).status_code == 403
        assert org.auditor.get("/nowhere/at/all").status_code == 404
        assert org.auditor.get("/openapi.json").status_code == 200
        after = scrape(watched)
        assert growth(before, after, REQUESTS) == {
            'bugtracker_http_requests_total{operation="get_project",status="200"}': 4,
            'bugtracker_http_requests_total{operation="update_project",status="403"}': 1,
            'bugtracker_http_requests_total{operation="other",status="404"}': 1,
            'bugtracker_http_requests_total{operation="other",status="200"}': 1,
        }
        timed = "bugtracker_http_request_duration_seconds"
        counts = growth(before, after, f"{timed}_count")
        assert counts[f'{timed}_count{{operation="get_project"}}'] == 4
        assert growth(before, after, "bugtracker_problems_total") == {
            'bugtracker_problems_total{code="permission_denied"}': 1,
            'bugtracker_problems_total{code="resource_not_found"}': 1,
        }

    def test_nothing_a_client_writes_becomes_a_label(self, watched: int, world: World) -> None:
        with httpx.Client(base_url=world.url) as http:
            http.request("BREW", "/api/projects/tea-for-two")
            http.get("/api/unheard-of", params={"q": "tea-for-two"})
            http.get("/healthz", headers={"X-Request-Id": "tea-for-two", "User-Agent": "teapot"})
        answer = httpx.get(f"http://127.0.0.1:{watched}/metrics").text
        for written in ("tea-for-two", "teapot", "BREW", "unheard-of"):
            assert written not in answer

    def test_failed_and_good_logins_are_told_apart(self, watched: int, org: Org) -> None:
        before = scrape(watched)
        for password in (PASSWORD, "Wrong-Table-1843", "Wrong-Table-1844"):
            body = {"email": org.manager.email, "password": password}
            org.manager.post("/api/auth/login", body)
        assert growth(before, scrape(watched), "bugtracker_login_attempts_total") == {
            'bugtracker_login_attempts_total{operation="login",outcome="accepted"}': 1,
            'bugtracker_login_attempts_total{operation="login",outcome="failed"}': 2,
        }


class TestLimits:
    def test_refusals_are_counted_by_the_limit(
        self, runtime: Runtime, contract: Contract, watched: int
    ) -> None:
        few = {"rate_limit_per_ip": "2/hour"}
        tight = Runtime(
            **{**vars(runtime), "settings": runtime.settings.model_copy(update=few)},
        )
        before = scrape(watched)
        with serve(create_app(tight, contract)) as server, httpx.Client() as http:
            for _ in range(5):
                http.get(f"{server.url}/.well-known/jwks.json")
        grown = growth(before, scrape(watched), "bugtracker_rate_limited_total")
        # Windows overlap: the turn of the hour may let one more through.
        assert grown['bugtracker_rate_limited_total{limit="ip"}'] in (2, 3)


@pytest.fixture
def alone(cluster: Cluster, own_database: str, settings: Settings) -> Iterator[tuple[Runtime, int]]:
    """A process's services on a database of this test's own, and the port of its numbers."""
    changes: dict[str, Any] = {"database_url": SecretStr(cluster.api_url(own_database))}
    runtime = create_runtime(settings.model_copy(update={**changes, "metrics_port": 0}))
    with metrics_listener(runtime) as port:
        assert port is not None
        yield runtime, port
    runtime.db.close()


def execute(runtime: Runtime, statement: str) -> None:
    with runtime.db.read() as connection:
        connection.execute(text(statement))


JOB = "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at, status) VALUES "


class TestTheDatabasesNumbers:
    def test_the_queue_and_its_workers(self, alone: tuple[Runtime, int]) -> None:
        runtime, port = alone
        execute(runtime, JOB + "('default', 'a', NULL, 'todo'), ('default', 'b', NULL, 'todo')")
        execute(runtime, "UPDATE procrastinate_events SET at = at - interval '40 s' WHERE job_id=1")
        execute(runtime, JOB + "('default', 'c', now() + interval '1 hour', 'todo')")
        execute(runtime, "INSERT INTO procrastinate_workers DEFAULT VALUES")
        execute(runtime, JOB + "('default', 'd', NULL, 'doing')")
        execute(
            runtime,
            "UPDATE procrastinate_jobs SET worker_id = (SELECT max(id) FROM procrastinate_workers)"
            " WHERE status = 'doing'",
        )
        found = scrape(port)
        assert found["bugtracker_database_up"] == 1
        assert found['bugtracker_jobs{state="due"}'] == 2
        assert found['bugtracker_jobs{state="scheduled"}'] == 1
        assert found['bugtracker_jobs{state="running"}'] == 1
        assert 40 <= found["bugtracker_jobs_oldest_due_seconds"] < 40 + within(5)
        assert found["bugtracker_workers"] == 1
        assert 0 <= found["bugtracker_worker_heartbeat_age_seconds"] < within(5)
        assert found["bugtracker_webhook_backlog_organisations"] == 0

    def test_a_retried_job_is_as_old_as_its_turn(self, alone: tuple[Runtime, int]) -> None:
        runtime, port = alone
        execute(runtime, JOB + "('default', 'a', now() - interval '90 s', 'todo')")
        found = scrape(port)
        assert 90 <= found["bugtracker_jobs_oldest_due_seconds"] < 90 + within(5)

    def test_the_pool_may_be_used_up(self, alone: tuple[Runtime, int]) -> None:
        runtime, port = alone
        most = scrape(port)["bugtracker_database_connections_max"]
        held = [runtime.db.engine.connect() for _ in range(int(most))]
        found = scrape(port)
        for connection in held:
            connection.close()
        assert found['bugtracker_database_connections{state="in_use"}'] == most
        assert found["bugtracker_database_up"] == 1

    def test_without_a_database_the_other_numbers_stay(
        self, alone: tuple[Runtime, int], cluster: Cluster, own_database: str
    ) -> None:
        _, port = alone
        cluster.drop_database(own_database)
        began = time.monotonic()
        found = scrape(port)
        assert time.monotonic() - began < within(4)
        assert found["bugtracker_database_up"] == 0
        assert "bugtracker_workers" not in found
        assert any(name.startswith("bugtracker_http_requests_in_flight") for name in found)


class TestListener:
    def test_is_closed_unless_a_port_is_set(self, runtime: Runtime) -> None:
        assert Settings().metrics_port is None
        with metrics_listener(runtime) as port:
            assert port is None

    def test_the_public_port_has_no_metrics(self, world: World) -> None:
        with world.client() as http:
            assert http.get("/metrics").status_code == 404

    def test_says_which_version_runs(self, watched: int) -> None:
        built = f'version="{__version__}"'
        assert any("build_info" in name and built in name for name in scrape(watched))

    def test_a_worker_tells_of_itself(self, watched: int, worker: WorkerThread) -> None:
        deadline = time.monotonic() + 60
        while scrape(watched).get("bugtracker_webhook_last_claim_timestamp_seconds", 0) == 0:
            assert time.monotonic() < deadline, "it does not ask for deliveries"
            time.sleep(0.05)

    def test_knows_two_paths(self, watched: int) -> None:
        base = f"http://127.0.0.1:{watched}"
        assert httpx.get(f"{base}/healthz").text == "ok\n"
        assert httpx.get(f"{base}/").status_code == 404
        assert httpx.post(f"{base}/metrics").status_code == 501

    def test_a_port_in_use_is_a_clear_error(self, runtime: Runtime, watched: int) -> None:
        taken = {"settings": runtime.settings.model_copy(update={"metrics_port": watched})}
        with (
            pytest.raises(ClickException, match="BUGTRACKER_METRICS_PORT"),
            serving_metrics(Runtime(**{**vars(runtime), **taken})),
        ):
            pass

    def test_a_loop_that_hangs_is_dead(self, runtime: Runtime) -> None:
        pulse = Pulse()
        pulse.beat()
        with metrics_listener(with_port(runtime), pulse) as port:
            url = f"http://127.0.0.1:{port}/healthz"
            assert httpx.get(url).status_code == 200
            pulse._last = time.monotonic() - DEAD_AFTER_SECONDS - 1
            assert httpx.get(url).status_code == 503

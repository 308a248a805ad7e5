"""Probes: alive, and able to serve."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from bugtracker import __version__
from bugtracker.app import create_app, create_runtime
from bugtracker.contract import Contract
from bugtracker.db import owner_engine
from bugtracker.embedded import Cluster
from bugtracker.migrate import migrate
from bugtracker.settings import Settings
from tests.conformance import Conformance
from tests.redis_server import OwnRedis
from tests.serving import serve
from tests.world import World

OLD = "UPDATE jobs.procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'"


@pytest.fixture
def fragile(
    cluster: Cluster, own_database: str, settings: Settings, contract: Contract
) -> Iterator[World]:
    """A server whose database may be broken; an address may ask once an hour."""
    changes = {
        "database_url": SecretStr(cluster.api_url(own_database)),
        "rate_limit_per_ip": "1/hour",
    }
    runtime = create_runtime(settings.model_copy(update=changes))
    with serve(create_app(runtime, contract)) as server:
        world = World(runtime, server.url, Conformance(contract))
        yield world
        world.close()
    runtime.db.close()


def as_owner(cluster: Cluster, database: str, statement: str) -> None:
    engine = owner_engine(cluster.owner_url(database))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


class TestHealth:
    def test_says_which_version_lives(self, fragile: World) -> None:
        with fragile.client() as http:
            response = http.get("/healthz")
        assert response.json() == {"status": "ok", "version": __version__}

    def test_needs_no_database(self, fragile: World, cluster: Cluster, own_database: str) -> None:
        cluster.drop_database(own_database)
        with fragile.client() as http:
            assert http.get("/healthz").status_code == 200


class TestReadiness:
    def test_says_what_was_checked(self, fragile: World) -> None:
        with fragile.client() as http:
            response = http.get("/readyz")
        assert response.status_code == 200
        checks = {"database": "ok", "migrations": "ok", "redis": "off", "worker": "failed"}
        assert response.json() == {"status": "degraded", "checks": checks}

    def test_a_worker_that_beats_is_seen(
        self, fragile: World, cluster: Cluster, own_database: str
    ) -> None:
        with fragile.client() as http:
            for statement, status in (
                ("INSERT INTO jobs.procrastinate_workers DEFAULT VALUES", "ready"),
                (OLD, "degraded"),
            ):
                as_owner(cluster, own_database, statement)
                response = http.get("/readyz")
                assert (response.status_code, response.json()["status"]) == (200, status)
        assert response.json()["checks"]["worker"] == "failed"

    def test_redis_is_looked_at_where_there_is_one(
        self, cluster: Cluster, settings: Settings, contract: Contract, tmp_path: Path
    ) -> None:
        with OwnRedis(tmp_path) as redis:
            url = SecretStr(redis.url)
            runtime = create_runtime(settings.model_copy(update={"redis_url": url}))
            with serve(create_app(runtime, contract)) as server, httpx.Client() as http:
                assert http.get(f"{server.url}/readyz").json()["checks"]["redis"] == "ok"
                redis.suspend()
                response = http.get(f"{server.url}/readyz")
                redis.resume()
                assert response.status_code == 200
                assert response.json()["checks"]["redis"] == "failed"
            runtime.db.close()

    def test_a_missing_database_is_named(
        self, fragile: World, cluster: Cluster, own_database: str
    ) -> None:
        with fragile.client() as http:
            assert http.get("/readyz").status_code == 200
            cluster.drop_database(own_database)
            response = http.get("/readyz")
        assert response.status_code == 503
        checks = {"database": "failed", "migrations": "failed", "redis": "off"}
        checks["worker"] = "unknown"
        assert response.json() == {"status": "unready", "checks": checks}

    @pytest.mark.parametrize(
        "behind",
        ["UPDATE alembic_version SET version_num = '0000'", "DELETE FROM alembic_version"],
    )
    def test_a_schema_behind_is_named_until_it_is_migrated(
        self, fragile: World, cluster: Cluster, own_database: str, behind: str
    ) -> None:
        as_owner(cluster, own_database, "CREATE TABLE kept AS TABLE alembic_version")
        as_owner(cluster, own_database, behind)
        with httpx.Client(base_url=fragile.url) as http:
            response = http.get("/readyz")
            assert response.status_code == 503
            found = response.json()["checks"]
            assert (found["database"], found["migrations"]) == ("ok", "failed")
            as_owner(cluster, own_database, "DELETE FROM alembic_version")
            as_owner(cluster, own_database, "INSERT INTO alembic_version TABLE kept")
            assert http.get("/readyz").status_code == 200

    def test_a_schema_ahead_is_ready_for_the_version_before(
        self, fragile: World, cluster: Cluster, own_database: str
    ) -> None:
        as_owner(cluster, own_database, "UPDATE alembic_version SET version_num = '9999'")
        with fragile.client() as http:
            assert http.get("/readyz").status_code == 200

    def test_a_database_without_schema_is_not_ready(
        self, fragile: World, cluster: Cluster, own_database: str
    ) -> None:
        cluster.drop_database(own_database)
        cluster.ensure_database(own_database)
        with httpx.Client(base_url=fragile.url) as http:
            # Pooled connections went with the old database: the first answer may be about them.
            http.get("/readyz")
            response = http.get("/readyz")
            assert response.status_code == 503
            found = response.json()["checks"]
            assert (found["database"], found["migrations"]) == ("ok", "failed")
            migrate(cluster.owner_url(own_database), cluster.api_url(own_database))
            assert http.get("/readyz").status_code == 200

    def test_probes_are_not_rate_limited(self, fragile: World) -> None:
        with fragile.client() as http:
            statuses = [http.get("/.well-known/jwks.json").status_code for _ in range(5)]
            # Windows overlap, so the turn of the hour may let one more through.
            assert statuses[-1] == 429
            for path in ("/healthz", "/readyz") * 3:
                assert http.get(path).status_code == 200

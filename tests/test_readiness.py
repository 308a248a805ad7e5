"""Probes: alive, and able to serve."""

from collections.abc import Iterator

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
from tests.serving import serve
from tests.world import World


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
        checks = {"database": "ok", "migrations": "ok"}
        assert response.json() == {"status": "ready", "checks": checks}

    def test_a_missing_database_is_named(
        self, fragile: World, cluster: Cluster, own_database: str
    ) -> None:
        with httpx.Client(base_url=fragile.url) as http:
            assert http.get("/readyz").status_code == 200
            cluster.drop_database(own_database)
            response = http.get("/readyz")
        assert response.status_code == 503
        checks = {"database": "failed", "migrations": "failed"}
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
            assert response.json()["checks"] == {"database": "ok", "migrations": "failed"}
            as_owner(cluster, own_database, "DELETE FROM alembic_version")
            as_owner(cluster, own_database, "INSERT INTO alembic_version TABLE kept")
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
            assert response.json()["checks"] == {"database": "ok", "migrations": "failed"}
            migrate(cluster.owner_url(own_database), cluster.api_url(own_database))
            assert http.get("/readyz").status_code == 200

    def test_probes_are_not_rate_limited(self, fragile: World) -> None:
        with fragile.client() as http:
            statuses = [http.get("/.well-known/jwks.json").status_code for _ in range(5)]
            # Windows overlap, so the turn of the hour may let one more through.
            assert statuses[-1] == 429
            for path in ("/healthz", "/readyz") * 3:
                assert http.get(path).status_code == 200

"""Organisations with a sealed record, and somebody who may do anything in the database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from bugtracker.audit.sealing import seal_now
from bugtracker.audit.verifying import Report, verify
from bugtracker.clock import utc_now
from bugtracker.embedded import Cluster
from bugtracker.ids import new_id
from bugtracker.runtime import Runtime
from bugtracker.services.events import Origin, Resource, append
from tests.world import Org, World


@pytest.fixture
def superuser(cluster: Cluster, database: str) -> Iterator[Engine]:
    """Connections that no right and no row-level security stops."""
    engine = create_engine(
        cluster.admin_url(database), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    yield engine
    engine.dispose()


@dataclass
class Record:
    """The events of an organisation, sealed in three batches."""

    org: Org
    runtime: Runtime
    superuser: Engine

    def add(self, events: int) -> None:
        """So many events more, sealed as one batch."""
        by = Origin(utc_now(), self.org.id, request_id="a-request")
        with self.runtime.db.transaction(org_id=self.org.id) as session:
            for number in range(events):
                thing = Resource("project", new_id(), 1)
                append(session, by, "project.created", thing, {"name": (None, f"No. {number}")})
        self.seal()

    def seal(self) -> None:
        seal_now(self.runtime, self.org.id)

    def verify(self, **options: Any) -> Report:
        with self.runtime.db.transaction(org_id=self.org.id) as session:
            return verify(session, self.runtime.keyring, self.org.id, **options)

    def tamper(self, statement: str, **values: Any) -> int:
        """Runs SQL as a superuser; ``:org`` is the organisation. Returns the rows changed."""
        with self.superuser.connect() as connection:
            done = connection.execute(text(statement), {"org": self.org.id, **values})
            return done.rowcount

    def problems(self, **options: Any) -> list[tuple[int, str]]:
        return [(each.number, each.kind) for each in self.verify(**options).problems]

    @property
    def last(self) -> int:
        return self.verify().numbered_to


@pytest.fixture
def record(world: World, runtime: Runtime, superuser: Engine) -> Record:
    """A record of three batches."""
    record = Record(world.create_org(), runtime, superuser)
    for _ in range(3):
        record.add(events=3)
    report = record.verify()
    assert report.ok
    assert report.sealed_to == report.numbered_to >= 9
    return record

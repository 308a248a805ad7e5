"""``bugtracker audit verify``, as an operator meets it."""

import pytest
from sqlalchemy import create_engine, text

from bugtracker.audit.sealing import seal_now
from bugtracker.embedded import Cluster
from bugtracker.runtime import Runtime
from tests.world import Org

from .conftest import Run


@pytest.fixture
def sealed(org: Org, runtime: Runtime) -> Org:
    """An organisation with a sealed record."""
    org.manager.create_project()
    seal_now(runtime, org.id)
    return org


def note(output: str) -> str:
    """What it says is worth a note."""
    return output.rstrip().rpartition("sealed to ")[2]


class TestVerify:
    def test_says_up_to_where_all_is_well(self, run: Run, sealed: Org) -> None:
        result = run("audit", "verify", "--org", sealed.slug)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"{sealed.slug}: ok, 3 events, sealed to 3:")

    def test_names_the_event_that_was_changed(
        self, run: Run, sealed: Org, cluster: Cluster, database: str
    ) -> None:
        engine = create_engine(cluster.admin_url(database))
        update = text("UPDATE events SET request_id = 'x' WHERE org_id = :org AND number = 2")
        with engine.begin() as connection:
            connection.execute(update, {"org": sealed.id})
        engine.dispose()
        result = run("audit", "verify", "--org", sealed.slug)
        assert result.exit_code == 1
        assert "NOT OK" in result.output
        assert "problem: event 2 was changed" in result.output

    def test_goes_over_every_organisation(self, run: Run, sealed: Org) -> None:
        assert f"{sealed.slug}: ok" in run("audit", "verify").output

    def test_confirms_a_note_and_misses_one_that_is_gone(self, run: Run, sealed: Org) -> None:
        noted = note(run("audit", "verify", "--org", sealed.slug).output)
        verify = ("audit", "verify", "--org", sealed.slug, "--noted")
        assert run(*verify, noted).exit_code == 0
        result = run(*verify, f"2:{'0' * 64}")
        assert result.exit_code == 1
        assert "the noted seal is gone" in result.output

    def test_what_it_does_not_know_is_an_error(self, run: Run, sealed: Org) -> None:
        assert "there is no organisation" in run("audit", "verify", "--org", "nobody").output
        for wrong in ("2", "2:xyz"):
            result = run("audit", "verify", "--org", sealed.slug, "--noted", wrong)
            assert result.exit_code == 2
        assert run("audit", "verify", "--noted", f"2:{'0' * 64}").exit_code == 2

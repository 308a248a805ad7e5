"""What the proofs share: the crowd, the rounds, the report."""

from collections.abc import Iterator

import pytest
from _pytest.terminal import TerminalReporter

from bugtracker.contract import Contract
from bugtracker.settings import Settings
from tests.proofs import reporting
from tests.proofs.crowd import Crowd, crowd
from tests.proofs.reporting import PROPERTY, Report
from tests.proofs.size import SIZE
from tests.registering import Newcomer
from tests.world import Org


@pytest.fixture(autouse=True, params=range(1, SIZE.rounds + 1), ids="round{}".format)
def proof_round(request: pytest.FixtureRequest) -> int:
    """Runs every proof so many times. A module of proofs that are no races overrides it."""
    number: int = request.param
    return number


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """``report(requests=100, done=1)``: prints what a proof counted, and keeps it for the table."""
    proof = reporting.name_of(request.node)
    invariant = " ".join((request.function.__doc__ or "").split())
    assert invariant, f"the docstring of {request.node.name} must state what it proves"

    def report(**counts: int | float | str) -> None:
        print(f"{proof}: {reporting.counted([counts])}")
        entry = {"proof": proof, "invariant": invariant, "counts": counts}
        request.node.user_properties.append((PROPERTY, entry))

    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The table."""
    reporting.table(terminalreporter)


@pytest.fixture(scope="module")
def crowded(settings: Settings, contract: Contract) -> Iterator[Crowd]:
    """Servers where everybody may try passwords often."""
    with crowd(settings.model_copy(update={"lockout_attempts": 10_000}), contract) as crowded:
        yield crowded


@pytest.fixture
def crew(crowded: Crowd) -> Org:
    """An organisation of this proof's own."""
    return crowded.world.create_org()


@pytest.fixture
def person(crowded: Crowd, crew: Org) -> Newcomer:
    """A developer of it, with a password and no session yet."""
    return crowded.employee(crew)

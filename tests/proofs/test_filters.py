"""A filter of the list of all issues costs about as much as none, with 20,000 issues."""

import time

import pytest

from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.test_plans_all_issues import PATH, Big
from tests.test_plans_all_issues import big as big
from tests.world import Json

# Measured alone: 0.8 to 1.0. The short form runs beside other tests: it finds a lost index only.
MOST = 1.5 if SIZE.full else 10


@pytest.fixture(autouse=True)
def proof_round() -> int:
    """It is no race: once is enough."""
    return 1


class TestFilter:
    def test_takes_about_as_long_as_none(self, big: Big, report: Report) -> None:
        """The least time of a filtered list is at most 1.5 times the plain one's."""
        filters = [
            "status==open;created_at>=-300d",
            f"assignee=={big.person}",
            f"project=={big.project['key']};priority>=medium",
            "status=in=(open,reopened);priority>=high;created_at>=2020-01-01",
        ]
        queries: list[Json] = [{}, *({"filter": each} for each in filters)]
        seconds: list[list[float]] = [[] for _ in queries]
        for _ in range(SIZE.pairs):
            for query, taken in zip(queries, seconds, strict=True):
                start = time.perf_counter()
                assert big.org.member.get(PATH, params=query).status_code == 200
                taken.append(time.perf_counter() - start)
        # Whatever else runs only adds to it.
        plain, *filtered = (min(taken) for taken in seconds)
        ratios = [round(taken / plain, 2) for taken in filtered]
        report(rounds=SIZE.pairs, slowest_ratio=max(ratios))
        assert max(ratios) <= MOST

"""What `make bench` makes of its samples; the measuring itself is no test."""

import os
from xml.etree import ElementTree

import pytest

from bench.goals import GOALS, Goal, goals_table
from bench.guard import verdict
from bench.measuring import Sample
from bench.plot import plot
from bench.processes import cpu_ms, pss_mb, tree
from bench.report import aligned, table
from bench.results import Results, Spread, short, spread
from bench.workloads import Request


def sample(server: str, round_: int, rate: float, p99: float = 0) -> Sample:
    return Sample(server, "list", 2, round_, rate, p99=p99)


class TestResults:
    def test_a_ratio_is_taken_within_each_round(self) -> None:
        # The second round was disturbed: both are ten times slower, and the ratio stands.
        rates = [(200, 100), (20, 10), (300, 100)]
        results = Results(
            [
                sample(server, round_, rate)
                for round_, pair in enumerate(rates, 1)
                for server, rate in zip(("ours", "c"), pair, strict=True)
            ]
        )
        ratio = results.ratio(("ours", "c"), "list", 2, lambda each: each.rate)
        assert ratio == Spread(2, 2, 3)

    def test_what_was_not_measured_has_no_ratio(self) -> None:
        results = Results([sample("ours", 1, 200), sample("c", 2, 100)])
        assert results.ratio(("ours", "c"), "list", 2, lambda each: each.rate) is None
        assert spread([]) is None

    def test_numbers_are_shown_in_three_digits(self) -> None:
        assert [short(value) for value in (0.12345, 1.5, 12.345, 12345.6)] == [
            "0.123", "1.5", "12.3", "12,346",
        ]  # fmt: skip


class TestGoals:
    @pytest.mark.parametrize(
        ("must", "aim", "middle", "said"),
        [
            (1.1, 1.6, 1.0, "MISSED"),
            (1.1, 1.6, 1.1, "must met"),
            (1.1, 1.6, 1.6, "aim met"),
            (200, 150, 201, "MISSED"),
            (200, 150, 200, "must met"),
            (200, 150, 150, "aim met"),
        ],
    )
    def test_a_bound_is_met_from_its_own_side(
        self, must: float, aim: float, middle: float, said: str
    ) -> None:
        goal = Goal("any", must, aim, lambda results: None)
        assert goal.verdict(Spread(middle, 0, 1000)) == said

    def test_only_a_whole_run_shows_what_was_not_measured(self) -> None:
        results = Results([sample("ours", 1, 200, p99=3.0), sample("c", 1, 100, p99=6.0)])
        part = goals_table(results, whole=False)
        assert "list, p99 as a multiple of c's" in part
        assert "get, requests/s" not in part
        assert len(goals_table(results, whole=True).splitlines()) == len(GOALS) + 2


class TestGuard:
    BOUNDS = {"ratios": {"get": 2.0}, "tolerance": 0.2}

    def test_what_is_within_the_tolerance_is_good(self) -> None:
        text, exceeded = verdict({"get": Spread(2.4, 2, 9)}, self.BOUNDS)
        assert not exceeded
        assert "good" in text

    def test_what_is_beyond_it_is_told(self) -> None:
        text, exceeded = verdict({"get": Spread(2.41, 2, 9)}, self.BOUNDS)
        assert exceeded
        assert "EXCEEDED" in text


class TestShowing:
    def test_the_table_has_a_row_for_each_server(self) -> None:
        results = Results([sample("ours", 1, 200), sample("c", 1, 100), sample("pgbench", 1, 900)])
        heading, rule, *rows = table(results, 2).splitlines()
        assert len({len(line) for line in (heading, rule, *rows)}) == 1
        assert [row.split("|")[2].split(":")[0].strip() for row in rows] == ["ours", "c", "pgbench"]

    def test_columns_are_as_wide_as_their_widest_cell(self) -> None:
        assert aligned([("a", "bcd"), ("ef", "g")]).splitlines() == [
            "| a  | bcd |", "|----|-----|", "| ef | g   |",
        ]  # fmt: skip

    def test_the_plot_is_xml_with_a_bar_for_each_ratio(self) -> None:
        results = Results([sample("ours", 1, 200), sample("c", 1, 100)])
        svg = ElementTree.fromstring(plot(results, 2))
        assert len(svg.findall("{http://www.w3.org/2000/svg}line")) == 2


class TestProcesses:
    def test_this_process_has_used_time_and_memory(self) -> None:
        assert os.getpid() in tree(os.getppid())
        assert cpu_ms([os.getpid()]) > 0
        assert pss_mb([os.getpid()]) > 1

    def test_a_process_that_is_gone_has_used_nothing(self) -> None:
        gone = 2**22 + 1
        assert (cpu_ms([gone]), pss_mb([gone])) == (0, 0)


class TestRequests:
    def test_a_request_says_how_long_its_body_is(self) -> None:
        text = Request("POST", "/api/x", "t", '{"a": 1}').text
        assert text.startswith("POST /api/x HTTP/1.1\r\nHost: bench.example\r\n")
        assert text.endswith('\r\nContent-Length: 8\r\n\r\n{"a": 1}')

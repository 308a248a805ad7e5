"""``bugtracker analytics roll-up``, as an operator meets it."""

from datetime import timedelta

from bugtracker.clock import midnight, utc_now
from bugtracker.runtime import Runtime
from tests.logins import logged_in, login, marked, rolled_up, succeeded
from tests.world import Org

from .conftest import Run


class TestRollUp:
    def test_counts_what_is_marked(self, run: Run, runtime: Runtime, org: Org) -> None:
        yesterday = utc_now().date() - timedelta(days=1)
        logged_in(runtime, org, org.member.id, midnight(yesterday))
        result = run("analytics", "roll-up")
        assert (result.exit_code, result.output[:8]) == (0, "Counted "), result.output
        assert rolled_up(runtime, org) == {(org.member.id, yesterday): 1}

    def test_counts_a_range_again_and_adds_what_is_missing(
        self, run: Run, runtime: Runtime, org: Org
    ) -> None:
        today = utc_now().date()
        since = today - timedelta(days=2)
        logged_in(runtime, org, org.member.id, midnight(since), midnight(today))
        succeeded(runtime, org, login(org.member.id, midnight(since)))
        for added in (1, 0):
            result = run("analytics", "roll-up", "--from", str(since), "--to", str(today))
            assert result.exit_code == 0, result.output
            assert "3 days, " in result.output
            # Other tests leave missing logins, too.
            assert (f"added {added}" in result.output) or added
            member = org.member.id
            assert rolled_up(runtime, org) == {(member, since): 2, (member, today): 1}
        assert marked(runtime, org) == set()

    def test_leaves_days_whose_logins_are_not_kept(self, run: Run) -> None:
        result = run("analytics", "roll-up", "--from", "2001-01-01", "--to", "2001-02-01")
        assert result.exit_code == 0, result.output
        assert "stay as they are" in result.output
        assert "0 days" in result.output

    def test_a_wrong_range_is_refused(self, run: Run) -> None:
        backwards = run("analytics", "roll-up", "--from", "2026-02-01", "--to", "2026-01-01")
        assert (backwards.exit_code, "--from is after --to" in backwards.output) == (2, True)
        assert run("analytics", "roll-up", "--from", "yesterday").exit_code == 2

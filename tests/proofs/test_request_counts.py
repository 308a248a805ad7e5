"""Two real processes count the requests of an organisation, and write them when they end."""

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx

from bugtracker.ids import new_id
from bugtracker.settings import Settings
from tests.processes import free_port, served
from tests.proofs.reporting import Report
from tests.request_counts import kept
from tests.world import Org, World


def answers(port: str, token: dict[str, str], times: int) -> Counter[int]:
    """Statuses of so many requests of somebody known, half of them to each of two operations."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=token) as http:
        paths = ("/api/projects", f"/api/issues/{new_id()}")
        return Counter(http.get(paths[n % 2]).status_code for n in range(times))


class TestTwoProcesses:
    def test_add_up_to_what_their_callers_saw(
        self, world: World, org: Org, settings: Settings, tmp_path: Path, report: Report
    ) -> None:
        """What two processes counted of an organisation is what its callers saw."""
        assert settings.database_url is not None
        given = {
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "BUGTRACKER_SECRET_KEY": "a test secret of more than 32 characters",
            "BUGTRACKER_PUBLIC_URL": settings.public_url or "",
            "BUGTRACKER_LOCAL_DIR": str(tmp_path),
            "BUGTRACKER_RATE_LIMIT_PER_IP": "40/minute",
        }
        with ExitStack() as stack:
            ports = [str(free_port()) for _ in range(2)]
            processes = [
                stack.enter_context(served({**given, "BUGTRACKER_PORT": port})) for port in ports
            ]
            with ThreadPoolExecutor(4) as pool:
                seen: Counter[int] = Counter()
                for found in pool.map(
                    lambda p: answers(p, org.member.authorization, 36), ports * 2
                ):
                    seen += found
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.communicate(timeout=30)
        assert seen.total() == 144
        assert seen[429] > 0
        totals = kept(world.runtime, org.id)
        assert set(totals) == {"list_projects", "get_issue"}
        assert {sum(each) for each in totals.values()} == {72}
        assert sum(limited for _, limited in totals.values()) == seen[429]
        report(requests=seen.total(), limited=seen[429])

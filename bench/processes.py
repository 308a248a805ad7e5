"""What processes have used, from /proc (Linux)."""

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PROC = Path("/proc")
RESTING_MS = 10
"""Of a tenth of a second: a tick, at most."""


def _stat(pid: int) -> list[str]:
    """The fields behind the name of /proc/pid/stat; [] of a process that has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {int(each.name): _stat(int(each.name)) for each in PROC.glob("[0-9]*")}
    found = {root}
    while True:
        more = {pid for pid, stat in parents.items() if stat and int(stat[1]) in found} - found
        if not more:
            return found
        found |= more


def cpu_ms(roots: Iterable[int]) -> float:
    """Processor time of processes and their descendants so far, those that ended included."""
    ticks = 0
    for root in roots:
        for pid in tree(root):
            stat = _stat(pid)
            # utime, stime and, of the children that were waited for, cutime and cstime
            ticks += sum(int(field) for field in stat[11:15])
    return ticks * 1000 / TICK


def rest(roots: Collection[int], seconds: float = 5) -> None:
    """Waits, for some seconds at most, until processes do nothing: what they still do for the
    clients before (logins are queued) is not what the next ones cost."""
    ends, before = time.monotonic() + seconds, cpu_ms(roots)
    while time.monotonic() < ends:
        time.sleep(0.1)
        now = cpu_ms(roots)
        if now - before <= RESTING_MS:
            return
        before = now


def pss_mb(roots: Iterable[int]) -> float:
    """Memory: pages that processes share are counted to each in part."""
    return sum(_pss_kb(pid) for root in roots for pid in tree(root)) / 1024


def _pss_kb(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def postmaster(data: Path) -> int:
    """The process id of the PostgreSQL of a data directory."""
    return int((data / "postmaster.pid").read_text().split()[0])


def busy_ms() -> float:
    """Processor time that anything at all has used, on all cores."""
    user, nice, system, _idle, _waiting, irq, softirq, steal = (
        int(field) for field in (PROC / "stat").read_text().split("\n")[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * 1000 / TICK

"""Counting logins: the same number everywhere, however they come."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from bugtracker.clock import midnight, utc_now
from bugtracker.jobs.worker import WorkerThread
from bugtracker.login_analytics.rollup import roll_up
from bugtracker.runtime import Runtime
from tests.jobs.running import eventually
from tests.logins import counters, events, login, recorded, rolled_up, succeeded
from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.world import Org

BATCHES, AT_ONCE = (10, 100) if SIZE.full else (1, 60)
TIMES = BATCHES * AT_ONCE
PEOPLE = 7
PATIENCE = 120


class Background:
    """Something that is done again and again meanwhile."""

    def __init__(self, action: Any) -> None:
        self.rounds, self.errors = 0, list[BaseException]()
        self._action, self._stop = action, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Background":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set() and not self.errors:
            try:
                self._action()
                self.rounds += 1
            except BaseException as error:
                self.errors.append(error)


def test_parallel_logins_are_counted_once_everywhere(
    crowded: Crowd, crew: Org, worker: WorkerThread, report: Report
) -> None:
    """Logins at once of a few people, while their days are rolled up all the time: the counters of
    accounts and members, the events, the roll-up and the list are the same, and nobody ever sees
    the list count fewer than before."""
    people = [crowded.employee(crew) for _ in range(PEOPLE)]
    owner, begun, seen = crew.owner, utc_now(), [0]

    def act(http: httpx.Client, number: int) -> httpx.Response:
        person = people[number % PEOPLE]
        return http.post(
            "/api/auth/login", json={"email": person.email, "password": person.password}
        )

    def read() -> int:
        logins: int = owner.get("/api/users/top-logins").json()["logins"]
        assert logins >= seen[-1]
        seen.append(logins)
        return logins

    def count() -> None:
        for day in {begun.date(), utc_now().date()}:
            roll_up(crowded.runtime, day, again=True)

    answered: Counter[int] = Counter()
    with Background(count) as counting, Background(read) as reading:
        for _ in range(BATCHES):
            answered += statuses(crowded.at_once(act, AT_ONCE))
        eventually(lambda: events(crowded.runtime, crew).total() == TIMES, PATIENCE)
    assert (counting.errors, reading.errors, answered) == ([], [], {200: TIMES})
    count()
    counted = counters(crowded.runtime, crew)
    assert all(of_member == of_account for of_member, of_account in counted.values())
    of_members = Counter({user_id: both[0] for user_id, both in counted.items()})
    assert of_members == events(crowded.runtime, crew) == per_person(crowded, crew)
    assert read() == of_members.total() == TIMES
    numbers = {"logins": TIMES, "login_count": of_members.total(), "list": seen[-1]}
    report(**numbers, roll_ups_meanwhile=counting.rounds, reads_meanwhile=reading.rounds)


def per_person(crowded: Crowd, crew: Org) -> Counter[UUID]:
    """What the roll-up has, over all days."""
    counted: Counter[UUID] = Counter()
    for (user_id, _), count in rolled_up(crowded.runtime, crew).items():
        counted[user_id] += count
    return counted


def test_shuffled_late_and_repeated_events_give_the_same_roll_up(
    runtime: Runtime, org: Org, proof_round: int, report: Report
) -> None:
    """In whatever order, however often and however late the jobs of logins run, four at a time,
    and whenever days are rolled up between, the roll-up is the plain count by UTC day."""
    order = random.Random(proof_round)
    people = [org.caller("member", str(n)).id for n in range(5)]
    first = utc_now().date() - timedelta(days=33)
    midnights = [midnight(first + timedelta(days=n)) for n in range(33)]
    logins = [
        login(order.choice(people), moment + timedelta(microseconds=step))
        for moment in midnights
        for step in (-1, 0, 1, order.randrange(86_400_000_000))
        for _ in range(order.randrange(1, 4))
    ]
    succeeded(runtime, org, *logins)
    arriving = [*logins, *order.choices(logins, k=len(logins) // 2)]
    order.shuffle(arriving)
    days = sorted({moment.date() for _, _, moment in logins})

    def act(number: int) -> None:
        recorded(runtime, org, arriving[number])
        if number % 5 == 0:
            roll_up(runtime, days[number % len(days)], again=number % 2 == 0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(len(arriving))))
    for day in days:
        roll_up(runtime, day)
    plain = Counter((user_id, moment.date()) for _, user_id, moment in logins)
    assert rolled_up(runtime, org) == plain
    report(
        logins=len(logins),
        jobs=len(arriving),
        days=len(days),
        roll_up=rolled_up(runtime, org).total(),
    )

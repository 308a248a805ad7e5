"""Nobody learns who has an account: the same work is done for the known and the unknown.

Work is compared, not time: statements in their order, and hashes. Times vary with the machine.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bcrypt
import httpx
import pytest
from sqlalchemy import event

from bugtracker.runtime import Runtime
from bugtracker.settings import Settings
from tests.behind import change_account, employee
from tests.registering import Newcomer, answer, newcomer
from tests.world import World

REMOVED: dict[str, object] = {"is_active": False, "deactivated_by_removal": True}


@contextmanager
def work(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What request handlers do meanwhile: SQL statements, transactions and password hashes."""
    done: list[str] = []

    def note(what: str) -> None:
        if threading.current_thread().name.startswith("handler"):
            done.append(what)

    def counted(name: str) -> Callable[..., Any]:
        function = getattr(bcrypt, name)

        def call(*args: Any) -> Any:
            note(f"bcrypt {args[-1][:7]!r}")
            return function(*args)

        return call

    def executed(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # Both end a savepoint, and cost the same.
        note(re.sub(r"^(RELEASE|ROLLBACK TO) SAVEPOINT", "END OF", " ".join(statement.split())))

    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": executed,
        "commit": lambda *_: note("commit"),
        "rollback": lambda *_: note("rollback"),
    }
    with monkeypatch.context() as patched:
        for name in ("hashpw", "checkpw"):
            patched.setattr(bcrypt, name, counted(name))
        for name, listener in listeners.items():
            event.listen(runtime.db.engine, name, listener)
        yield done
        for name, listener in listeners.items():
            event.remove(runtime.db.engine, name, listener)


@pytest.fixture
def unknown(anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return newcomer(anonymous, settings)


@pytest.fixture
def known(world: World, anonymous: httpx.Client, settings: Settings) -> Newcomer:
    return employee(world, world.create_org(), anonymous, settings)


class TestRegister:
    def test_a_known_address_takes_the_same_work(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
    ) -> None:
        known.username = f"{known.username}-2"
        with work(runtime, monkeypatch) as for_unknown:
            unknown.registered(name="Ada", org_name="Engines")
        with work(runtime, monkeypatch) as for_known:
            known.registered(name="Ada", org_name="Engines")
        assert any("bcrypt" in step for step in for_unknown)
        assert any("INSERT INTO accounts" in step for step in for_unknown)
        assert for_known == for_unknown

    def test_so_does_one_whose_last_organisation_removed_it_and_answers_are_alike(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
    ) -> None:
        change_account(runtime, known, **REMOVED)
        known.username = f"{known.username}-2"
        with work(runtime, monkeypatch) as for_unknown:
            first = unknown.register()
        with work(runtime, monkeypatch) as for_removed:
            second = known.register()
        assert for_removed == for_unknown
        assert answer(first) == answer(second)

    def test_a_taken_username_takes_the_same_work(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
    ) -> None:
        unknown.username = known.username
        with work(runtime, monkeypatch) as for_unknown:
            assert unknown.register().status_code == 409
        with work(runtime, monkeypatch) as for_known:
            assert known.register().status_code == 409
        assert for_known == for_unknown


class TestMailedLinks:
    @pytest.mark.parametrize("path", ["/api/auth/password/forgot", "/api/auth/magic-link"])
    def test_whoever_asks_costs_the_same_and_gets_the_same_answer(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
        world: World,
        anonymous: httpx.Client,
        settings: Settings,
        path: str,
    ) -> None:
        unverified = newcomer(anonymous, settings).registered()
        disabled = employee(world, world.create_org(), anonymous, settings)
        change_account(runtime, disabled, is_active=False)
        removed = employee(world, world.create_org(), anonymous, settings)
        change_account(runtime, removed, **REMOVED)
        people = (unknown, unverified, disabled, removed, known)
        asked, answers = [], []
        # From here on the limit of this address is nearer than that of any mailbox.
        for _ in range(3):
            known.http.post(path, json={"email": unknown.email.replace("@", "@other.")})
        # Twice: the second time a job of the first one may wait.
        for person in people * 2:
            with work(runtime, monkeypatch) as steps:
                response = known.http.post(path, json={"email": person.email})
            asked.append(steps)
            answers.append(answer(response))
        assert answers[0][0] == 202
        assert all(other == answers[0] for other in answers)
        # The queue sends its statement past SQLAlchemy; the savepoint around it is seen.
        assert any(step.startswith("SAVEPOINT") for step in asked[0])
        half = len(people)
        assert all(steps == asked[0] for steps in asked[:half])
        assert all(steps == asked[half] for steps in asked[half:])


class TestResendVerification:
    def test_takes_the_same_work_for_everybody_the_second_time_too(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
        settings: Settings,
    ) -> None:
        unverified = newcomer(unknown.http, settings).registered()
        done = []
        for person in (unknown, unverified, known):
            with work(runtime, monkeypatch) as steps:
                for _ in range(2):
                    assert person.resend().status_code == 202
            done.append(steps)
        assert any("FROM accounts" in step for step in done[0])
        assert done[0] == done[1] == done[2]


class TestLogin:
    @pytest.mark.parametrize("field", ["email", "username"])
    def test_whoever_is_refused_costs_the_same(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
        field: str,
    ) -> None:
        refused = []
        for person in (unknown, unknown.registered(), known):
            if person is known:
                change_account(runtime, known, is_active=False)
            refused.append(self._work_of(runtime, monkeypatch, person, field))
        change_account(runtime, known, is_active=True)
        known.password = "Wrong-Words-12"
        refused.append(self._work_of(runtime, monkeypatch, known, field))
        assert any("bcrypt" in step for step in refused[0])
        assert all(steps == refused[0] for steps in refused)

    def test_so_does_whoever_is_locked(
        self,
        runtime: Runtime,
        monkeypatch: pytest.MonkeyPatch,
        known: Newcomer,
        unknown: Newcomer,
    ) -> None:
        right, wrong = known.password, "Wrong-Words-12"
        first, last, locked = [], [], []
        for person in (unknown, known):
            person.password = wrong
            tries = [
                self._work_of(runtime, monkeypatch, person, "email")
                for _ in range(runtime.settings.lockout_attempts)
            ]
            first.append(tries[0])
            last.append(tries[-1])
            person.password = right
            locked.append(self._work_of(runtime, monkeypatch, person, "email"))
        assert first[0] == first[1] == locked[0] == locked[1]
        assert last[0] == last[1]

    @staticmethod
    def _work_of(
        runtime: Runtime, monkeypatch: pytest.MonkeyPatch, person: Newcomer, field: str
    ) -> list[str]:
        body = {field: getattr(person, field), "password": person.password}
        with work(runtime, monkeypatch) as steps:
            response = person.http.post("/api/auth/login", json=body)
        assert response.status_code == 401
        return steps

"""Hashing and the policy of passwords."""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bugtracker.errors import PasswordTooWeak, ServiceUnavailable
from bugtracker.runtime import Runtime
from bugtracker.security import passwords
from bugtracker.security.passwords import Hasher, PasswordPolicy
from bugtracker.security.secrets import Keyring
from bugtracker.settings import Settings

KEYRING = Keyring("a test secret of more than 32 characters")
POLICY = PasswordPolicy(Settings())


@pytest.fixture(scope="module")
def hasher() -> Hasher:
    return Hasher(Settings(bcrypt_cost=4), KEYRING)


class TestHash:
    @pytest.mark.parametrize("length", [1, 71, 72, 73, 74, 200, 1000])
    def test_every_byte_counts(self, hasher: Hasher, length: int) -> None:
        password = "x" * (length - 1)
        stored = hasher.hash(password + "a")
        assert hasher.verify(password + "a", stored)
        assert not hasher.verify(password + "b", stored)
        assert not hasher.verify(password, stored)

    @pytest.mark.parametrize("password", ["ab\0cd", "", " ", "пароль", "🦦" * 40])
    def test_bytes_of_every_kind_count(self, hasher: Hasher, password: str) -> None:
        stored = hasher.hash(password)
        assert hasher.verify(password, stored)
        assert not hasher.verify(password + "x", stored)

    def test_two_hashes_of_one_password_differ(self, hasher: Hasher) -> None:
        assert hasher.hash("Tide-Table-1843") != hasher.hash("Tide-Table-1843")

    def test_a_stolen_hash_cannot_be_tried_without_the_master_key(self, hasher: Hasher) -> None:
        thief = Hasher(Settings(bcrypt_cost=4), Keyring("the thief has no idea of the master key"))
        assert not thief.verify("Tide-Table-1843", hasher.hash("Tide-Table-1843"))

    def test_the_cost_is_the_settings(self, hasher: Hasher) -> None:
        stored = hasher.hash("Tide-Table-1843")
        assert stored.startswith("$2b$04$")
        assert not hasher.is_outdated(stored)
        assert Hasher(Settings(bcrypt_cost=5), KEYRING).is_outdated(stored)

    def test_costs_enough_by_default(self) -> None:
        assert Settings().bcrypt_cost >= 12


class TestNobody:
    def test_has_no_password(self, hasher: Hasher) -> None:
        assert not hasher.verify("a password nobody has", None)

    def test_is_checked_as_long_as_somebody(self) -> None:
        hasher = Hasher(Settings(bcrypt_cost=9), KEYRING)
        stored = hasher.hash("Tide-Table-1843")
        seconds: dict[str | None, list[float]] = {None: [], stored: []}
        for _ in range(7):
            for held, taken in seconds.items():
                start = time.thread_time()
                hasher.verify("Tide-Table-1844", held)
                taken.append(time.thread_time() - start)
        nobody, somebody = (statistics.median(taken) for taken in seconds.values())
        assert nobody == pytest.approx(somebody, rel=0.5)


class TestCrowd:
    def test_beyond_what_may_wait_everybody_is_sent_away(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passwords, "WAIT_SECONDS", 60)
        hasher = Hasher(Settings(bcrypt_cost=10, hashing_threads=1, threads=4), KEYRING)
        started = threading.Barrier(8)

        def attempt() -> str:
            started.wait()
            try:
                return hasher.hash("Tide-Table-1843")[:4]
            except ServiceUnavailable as refusal:
                return f"503 after {refusal.headers['Retry-After']}"

        with ThreadPoolExecutor(8) as pool:
            outcomes = sorted(
                future.result() for future in [pool.submit(attempt) for _ in range(8)]
            )
        assert outcomes == ["$2b$"] * 3 + ["503 after 2"] * 5
        assert hasher.hash("Tide-Table-1843")

    def test_who_waits_too_long_is_sent_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
        hasher = Hasher(Settings(bcrypt_cost=4, hashing_threads=1), KEYRING)
        with hasher._slot(), pytest.raises(ServiceUnavailable):
            hasher.verify("Tide-Table-1843", None)
        assert not hasher.verify("Tide-Table-1843", None)


class TestPolicy:
    @pytest.mark.parametrize(
        "password",
        ["password", "Password123!", "QWERTY!!!!!!", "letmein2026", "123456789", "Football1!"],
    )
    def test_knows_common_passwords_under_their_decoration(self, password: str) -> None:
        assert POLICY.common.covers(password)

    @pytest.mark.parametrize("password", ["Tide-Table-1843", "!password-and-more", "9&Zk3mT", ""])
    def test_leaves_others_alone(self, password: str) -> None:
        assert not POLICY.common.covers(password)

    def test_asks_for_classes_or_length(self) -> None:
        with pytest.raises(PasswordTooWeak, match="three of"):
            POLICY.require_strong("quayquay77", username="ada", email="a@example.com")
        POLICY.require_strong("quayquay77Q", username="ada", email="a@example.com")
        POLICY.require_strong("quay quay quay quay", username="ada", email="a@example.com")

    @pytest.mark.parametrize("password", ["xAdaLove-1843", "Sea!COUNTESS7"])
    def test_refuses_the_username_and_the_address(self, password: str) -> None:
        with pytest.raises(PasswordTooWeak, match="must not contain the username"):
            POLICY.require_strong(password, username="adaLove", email="Countess@example.com")

    def test_a_very_short_username_is_no_reason(self) -> None:
        POLICY.require_strong("Boat-House-7", username="bo", email="bo@example.com")

    def test_a_common_one_is_refused_even_if_long(self) -> None:
        with pytest.raises(PasswordTooWeak, match="common"):
            POLICY.require_strong("Password1234567890", username="ada", email="a@example.com")


class TestLength:
    @pytest.mark.parametrize("operation", ["register", "login"])
    def test_ten_kilobytes_are_refused_as_too_long(
        self, anonymous: httpx.Client, runtime: Runtime, operation: str
    ) -> None:
        body = {"email": "long@example.com", "password": "x" * 10_240}
        if operation == "register":
            body["username"] = "long"
        response = anonymous.post(f"/api/auth/{operation}", json=body)
        assert response.status_code == 400
        assert response.json()["errors"][0]["code"] == "maxLength"
        assert "xxxx" not in response.text

"""Codes by the standard's own vectors (RFC 6238, appendix B, their last six digits)."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyotp
import pytest

from bugtracker.security import totp

SEED = b"12345678901234567890"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class TestMatchingStep:
    @pytest.mark.parametrize(("seconds", "code"), VECTORS)
    def test_knows_the_codes_of_the_standard(self, seconds: int, code: str) -> None:
        assert totp.matching_step(SEED, code, at(seconds)) == seconds // 30

    @pytest.mark.parametrize(("seconds", "code"), VECTORS)
    def test_takes_the_code_of_the_step_before(self, seconds: int, code: str) -> None:
        later = at(seconds) + timedelta(seconds=30)
        assert totp.matching_step(SEED, code, later) == seconds // 30

    @pytest.mark.parametrize(("seconds", "code"), VECTORS)
    @pytest.mark.parametrize("off", [-60, -30, 60, 90, 3600])
    def test_takes_no_other_step(self, seconds: int, code: str, off: int) -> None:
        if seconds + off >= 30:
            assert totp.matching_step(SEED, code, at(seconds) + timedelta(seconds=off)) is None

    def test_another_seed_has_other_codes(self) -> None:
        assert totp.matching_step(b"x" * 20, "287082", at(59)) is None


class TestSeed:
    def test_has_160_bits_and_is_another_every_time(self) -> None:
        seeds = {totp.new_seed() for _ in range(100)}
        assert len(seeds) == 100
        assert {len(seed) for seed in seeds} == {20}

    def test_the_uri_is_read_by_a_client(self) -> None:
        uri = totp.provisioning_uri(SEED, "ada+x@example.com")
        parsed = pyotp.parse_uri(uri)
        assert isinstance(parsed, pyotp.TOTP)
        assert (parsed.issuer, parsed.name) == ("Bugtracker", "ada+x@example.com")
        assert parsed.at(59) == "287082"

    def test_the_picture_is_an_svg_for_an_img(self) -> None:
        picture = totp.qr_code(totp.provisioning_uri(SEED, f"{'a' * 240}@example.com"))
        assert picture.startswith("data:image/svg+xml")
        assert len(picture) < 100_000


class TestBackupCodes:
    def test_are_ten_different_ones_that_can_be_typed(self) -> None:
        codes = totp.new_backup_codes()
        assert len(set(codes)) == 10
        assert all(re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in codes)

    def test_count_however_they_are_typed(self) -> None:
        account_id, (code, *_) = uuid4(), totp.new_backup_codes()
        typed = {code, code.upper(), code.replace("-", "")}
        assert len({totp.backup_code_hash(account_id, form) for form in typed}) == 1

    def test_are_stored_differently_for_every_account(self) -> None:
        code = totp.new_backup_codes()[0]
        assert totp.backup_code_hash(uuid4(), code) != totp.backup_code_hash(uuid4(), code)

    def test_are_told_from_the_codes_of_an_authenticator(self) -> None:
        assert totp.is_backup_code("abcd-efgh-ijkl-mnop")
        assert totp.is_backup_code("2222-3333-4444-5555")
        assert not totp.is_backup_code("222333")

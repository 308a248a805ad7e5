"""The operator's own list of common passwords: a real file."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from bugtracker.app import create_app
from bugtracker.runtime import Runtime
from bugtracker.security.common_passwords import CommonPasswords, HashedLines
from bugtracker.security.passwords import PasswordPolicy
from tests.limiting import stranger
from tests.registering import newcomer
from tests.serving import serve

MANY = 300_000


def listed(directory: Path, text: str | bytes) -> CommonPasswords:
    file = directory / "passwords.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CommonPasswords(file)


class TestFile:
    @pytest.mark.parametrize("password", ["zugspitze", "ZugSpitze", "Zugspitze-2962!", "ÄRGERNIS7"])
    def test_is_compared_as_the_built_in_list_is(self, tmp_path: Path, password: str) -> None:
        assert listed(tmp_path, "watzmann\nZUGSPITZE\närgernis\n").covers(password)

    @pytest.mark.parametrize("password", ["watzmanns", "zugspitz", "2962zugspitze", "7!", ""])
    def test_covers_nothing_else(self, tmp_path: Path, password: str) -> None:
        assert not listed(tmp_path, "watzmann\n\nzugspitze\n\n").covers(password)

    def test_adds_to_the_built_in_list(self, tmp_path: Path) -> None:
        assert listed(tmp_path, "zugspitze").covers("Football1!")

    @pytest.mark.parametrize(
        "text",
        [
            "first\r\nmiddle\r\nlast",
            "\ufefffirst\nmiddle\nlast\n",
            b"first\n\xff\xfe latin\nmiddle\nlast",
            "first\nmiddle\nlast\n\n\n",
        ],
    )
    def test_may_come_from_anywhere(self, tmp_path: Path, text: str | bytes) -> None:
        common = listed(tmp_path, text)
        assert all(common.covers(word) for word in ("first", "middle", "last"))

    def test_keeps_spaces(self, tmp_path: Path) -> None:
        common = listed(tmp_path, "four words of mine\n padded \n")
        assert common.covers("four words of mine")
        assert common.covers(" padded ")
        assert not common.covers("padded")

    def test_an_empty_one_covers_nothing(self, tmp_path: Path) -> None:
        assert not listed(tmp_path, "").covers("zugspitze")

    def test_is_read_when_first_needed_and_only_once(self, tmp_path: Path) -> None:
        common = listed(tmp_path, "before")
        (tmp_path / "passwords.txt").write_text("zugspitze")
        with ThreadPoolExecutor(20) as pool:
            assert all(pool.map(common.covers, ["zugspitze"] * 20))
        (tmp_path / "passwords.txt").unlink()
        assert common.covers("zugspitze")

    def test_that_is_gone_lets_nothing_pass(self, tmp_path: Path) -> None:
        common = listed(tmp_path, "zugspitze")
        (tmp_path / "passwords.txt").unlink()
        with pytest.raises(FileNotFoundError):
            common.covers("Tide-Table-1843")


class TestMany:
    def test_every_line_is_found_at_ten_bytes_a_line(self, tmp_path: Path) -> None:
        file = tmp_path / "many.txt"
        # In no order, of all lengths, over several pieces.
        words = [f"{n * 7919 % MANY:x}-{'w' * (n % 20)}" for n in range(MANY)]
        file.write_text("\n".join(words))
        tracemalloc.start()
        try:
            lines = HashedLines(file)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(lines) == MANY
        assert kept < 10 * MANY
        assert all(word in lines for word in words[::97])
        assert words[0] in lines
        assert words[-1] in lines
        assert not any(word.upper() + "!" in lines for word in words[::97])


class TestOverHttp:
    def test_a_listed_password_is_refused_and_the_mail_is_not_sent(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        file = tmp_path / "passwords.txt"
        file.write_text("zugspitze-am-morgen\n")
        settings = runtime.settings.model_copy(update={"common_passwords_file": file})
        policy = PasswordPolicy(settings)
        changed = Runtime(**{**vars(runtime), "settings": settings, "policy": policy})
        with (
            serve(create_app(changed)) as server,
            httpx.Client(base_url=server.url, verify=False) as http,
        ):
            somebody = newcomer(http, settings, password="Zugspitze-am-Morgen-7", **stranger())
            refused = somebody.register()
            somebody.password = "Zugspitze-am-Abend-7"
            assert somebody.register().status_code == 202
        assert (refused.status_code, refused.json()["code"]) == (422, "password_too_weak")
        assert "common" in refused.json()["errors"][0]["detail"]

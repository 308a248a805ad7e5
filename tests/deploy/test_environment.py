"""bugtracker init-env, and .env.example."""

import re
import ssl
from pathlib import Path

from pydantic import SecretStr

from bugtracker.cli.environment import EXAMPLE
from bugtracker.cli.names import environment_variable
from bugtracker.settings import Settings
from tests.cli.conftest import Run as RunCommand
from tests.cli.conftest import environment, run

__all__ = ["environment", "run"]


def entries(text: str) -> dict[str, str]:
    """Names and values, those that are commented out included."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE))


def in_force(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", path.read_text(), re.MULTILINE))


class TestExample:
    def test_has_every_setting_and_none_that_does_not_exist(self) -> None:
        settings = {environment_variable(field) for field in Settings.model_fields}
        found = set(entries(EXAMPLE.read_text()))
        assert settings <= found
        ours = {name for name in found if name.startswith(("BUGTRACKER_", "DATABASE", "REDIS_U"))}
        assert ours - settings == {"BUGTRACKER_IMAGE"}

    def test_shows_the_defaults(self) -> None:
        commented = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
        for field, info in Settings.model_fields.items():
            name, default = environment_variable(field), info.default
            if name in commented and isinstance(default, str | int | float | bool):
                shown = commented[name].strip('"')
                assert shown == str(default).lower() or shown == str(default), name


class TestInitEnv:
    def make(self, run: RunCommand, directory: Path, *options: str) -> str:
        arguments = ("--file", str(directory / ".env"), "--certificates", str(directory / "tls"))
        result = run("init-env", *arguments, *options)
        return f"{result.exit_code} {result.output}"

    def test_makes_secrets_for_its_owner_only(self, run: RunCommand, tmp_path: Path) -> None:
        assert self.make(run, tmp_path, "--url", "https://bugs.example.com/").startswith("0 ")
        made = in_force(tmp_path / ".env")
        secret = {name for name in made if name.endswith(("PASSWORD", "_KEY", "_KEYS"))}
        assert len(secret) == 7
        assert len({made[name] for name in secret}) == 7
        assert all(re.fullmatch("[0-9a-f]{64}", made[name]) for name in secret)
        assert made["BUGTRACKER_PUBLIC_URL"] == "https://bugs.example.com"
        assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
        assert (tmp_path / "tls/tls.key").stat().st_mode & 0o077 == 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "tls/tls.crt", tmp_path / "tls/tls.key")

    def test_what_it_makes_are_settings(self, run: RunCommand, tmp_path: Path) -> None:
        self.make(run, tmp_path)
        made = {name.lower(): value for name, value in in_force(tmp_path / ".env").items()}
        given = {
            name: made[name.lower()]
            for name in (environment_variable(field) for field in Settings.model_fields)
            if name.lower() in made
        }
        prefix = "BUGTRACKER_"
        fields = {name.removeprefix(prefix).lower(): value for name, value in given.items()}
        settings = Settings.model_validate(
            {**fields, "database_url": SecretStr("postgresql://a@b/c")}
        )
        assert settings.smtp_host == "mailpit"

    def test_never_overwrites_unless_forced(self, run: RunCommand, tmp_path: Path) -> None:
        self.make(run, tmp_path)
        first = (tmp_path / ".env").read_text()
        key = (tmp_path / "tls/tls.key").read_text()
        assert "exists" in self.make(run, tmp_path)
        assert (tmp_path / ".env").read_text() == first
        assert self.make(run, tmp_path, "--force").startswith("0 ")
        assert (tmp_path / ".env").read_text() != first
        assert (tmp_path / "tls/tls.key").read_text() == key

    def test_refuses_what_is_no_address(self, run: RunCommand, tmp_path: Path) -> None:
        for url in ("http://bugs.example.com", "bugs.example.com", "https://"):
            assert self.make(run, tmp_path, "--url", url).startswith("1 ")
        assert list(tmp_path.iterdir()) == []

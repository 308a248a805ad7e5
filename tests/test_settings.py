"""Settings: read from the environment, checked at once."""

import pytest
from pydantic import SecretStr, ValidationError

from bugtracker.settings import Settings

KEY = "k" * 32
URL = "postgresql+psycopg://api@db/bugtracker"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing from the environment of whoever runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BUGTRACKER_{name.upper()}", raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


class TestEnvironment:
    def test_nothing_is_required_for_the_embedded_default(self) -> None:
        settings = Settings()
        assert settings.embedded
        assert settings.base_url == "http://127.0.0.1:8000"
        assert (settings.access_token_seconds, settings.refresh_token_seconds) == (900, 604_800)
        assert (settings.rate_limit_per_ip, settings.rate_limit_login) == ("100/minute", "5/minute")

    def test_platform_names_and_prefixed_names_are_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", URL)
        monkeypatch.setenv("REDIS_URL", "redis://cache/0")
        monkeypatch.setenv("BUGTRACKER_SECRET_KEY", KEY)
        monkeypatch.setenv("BUGTRACKER_PORT", "9000")
        monkeypatch.setenv("BUGTRACKER_CORS_ORIGINS", "https://a.example, https://b.example,")
        settings = Settings()
        assert not settings.embedded
        assert secret(settings.database_url) == URL
        assert secret(settings.redis_url) == "redis://cache/0"
        assert settings.base_url == "http://127.0.0.1:9000"
        assert settings.cors_origins == ("https://a.example", "https://b.example")

    def test_an_empty_variable_is_an_absent_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DATABASE_URL", "REDIS_URL", "BUGTRACKER_PORT", "BUGTRACKER_SMTP_HOST"):
            monkeypatch.setenv(name, "")
        settings = Settings()
        assert settings.embedded
        assert (settings.redis_url, settings.port, settings.smtp_host) == (None, 8000, None)


class TestRules:
    def test_a_database_needs_a_secret_key(self) -> None:
        with pytest.raises(ValidationError, match="BUGTRACKER_SECRET_KEY is required"):
            Settings(database_url=SecretStr(URL))

    def test_a_short_secret_key_is_refused_and_not_shown(self) -> None:
        with pytest.raises(ValidationError, match="at least 32") as refusal:
            Settings(secret_key=SecretStr("short-but-secret"))
        assert "short-but-secret" not in str(refusal.value)

    def test_encryption_keys_are_separated_by_commas_and_each_is_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BUGTRACKER_ENCRYPTION_KEYS", f"{KEY}, {'n' * 32},")
        assert [secret(key) for key in Settings().encryption_keys] == [KEY, "n" * 32]
        monkeypatch.setenv("BUGTRACKER_ENCRYPTION_KEYS", f"{KEY},short-but-secret")
        with pytest.raises(ValidationError, match="at least 32") as refusal:
            Settings()
        assert "short-but-secret" not in str(refusal.value)
        assert KEY not in str(refusal.value)

    @pytest.mark.parametrize(
        "given", ["postgres://api@db/x", "postgresql://api@db/x", "postgresql+psycopg://api@db/x"]
    )
    def test_every_way_to_name_postgresql_means_our_driver(self, given: str) -> None:
        settings = Settings(
            database_url=SecretStr(given),
            owner_database_url=SecretStr(given),
            secret_key=SecretStr(KEY),
        )
        wanted = "postgresql+psycopg://api@db/x"
        assert secret(settings.database_url) == secret(settings.owner_database_url) == wanted

    @pytest.mark.parametrize("given", ["sqlite:///hunter2.db", "mysql://u:hunter2@db/x", "hunter2"])
    def test_another_database_is_refused_and_its_password_not_shown(self, given: str) -> None:
        with pytest.raises(ValidationError, match="postgresql://") as refusal:
            Settings(database_url=SecretStr(given), secret_key=SecretStr(KEY))
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize("given", ["localhost:6379", "http://u:hunter2@redis", "hunter2"])
    def test_another_redis_is_refused_and_its_password_not_shown(self, given: str) -> None:
        with pytest.raises(ValidationError, match="redis://") as refusal:
            Settings(redis_url=SecretStr(given))
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize("rate", ["often", "100", "minute", "-1/minute", ""])
    @pytest.mark.parametrize(
        "name",
        [
            "rate_limit_per_ip",
            "rate_limit_login",
            "rate_limit_sensitive",
            "rate_limit_mail",
            "rate_limit_api_key",
            "rate_limit_partner",
        ],
    )
    def test_a_rate_must_be_one(self, name: str, rate: str) -> None:
        with pytest.raises(ValidationError, match="is not a rate such as 100/minute"):
            Settings.model_validate({name: rate})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("port", 65_536),
            ("threads", 0),
            ("bcrypt_cost", 3),
            ("hashing_threads", 0),
            ("access_token_seconds", 86_400),
            ("access_token_seconds", 0),
            ("max_body_bytes", 0),
            ("smtp_port", 0),
            ("log_level", "LOUD"),
        ],
    )
    def test_a_value_out_of_bounds_is_refused(self, name: str, value: object) -> None:
        with pytest.raises(ValidationError, match=name):
            Settings.model_validate({name: value})

    @pytest.mark.parametrize("name", ["port", "secret_key"])
    def test_a_process_cannot_change_its_settings(self, name: str) -> None:
        settings = Settings()
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, name, None)


class TestDerived:
    def test_links_lead_to_our_own_page_or_to_a_front_end(self) -> None:
        own = Settings(public_url="https://bugs.example/")
        assert own.links_base == "https://bugs.example/links"
        front_end = Settings(public_url="https://bugs.example", links_url="https://app.example/go/")
        assert front_end.links_base == "https://app.example/go"

    def test_secrets_are_not_printed(self) -> None:
        settings = Settings(
            database_url=SecretStr("postgresql://api:hunter2@db/x"),
            secret_key=SecretStr("hunter2" * 8),
            smtp_password=SecretStr("hunter2"),
            encryption_keys=(SecretStr("hunter2" * 8), SecretStr("7hunter2" * 8)),
        )
        shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
        assert "hunter2" not in shown

    def test_a_changed_copy_keeps_nothing_of_the_original(self) -> None:
        original = Settings(public_url="https://one.example", rate_limit_per_ip="7/minute")
        assert (original.base_url, original.per_ip_limit.amount) == ("https://one.example", 7)
        changes = {"public_url": "https://two.example", "rate_limit_per_ip": "8/minute"}
        copy = original.model_copy(update=changes)
        assert (copy.base_url, copy.per_ip_limit.amount) == ("https://two.example", 8)

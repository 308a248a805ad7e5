"""Every setting of the program, read from the environment once.

``DATABASE_URL`` and ``REDIS_URL`` keep the names every platform uses; everything else is
prefixed ``BUGTRACKER_``. ``bugtracker check`` prints what is in force and what is wrong.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from limits import RateLimitItem, parse
from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent

POSTGRESQL_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")

CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Configuration of one process. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="BUGTRACKER_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        # What is wrong may be a secret, and errors are printed.
        hide_input_in_errors=True,
    )

    # Where things are.
    database_url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("database_url", "DATABASE_URL")
    )
    """The API's connection. Absent: a private embedded PostgreSQL in ``local_dir``."""
    owner_database_url: SecretStr | None = None
    """The schema owner's connection, for migrations; default ``database_url``."""
    redis_url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("redis_url", "REDIS_URL")
    )
    """Shared rate limits. Absent: limits are counted in this process."""
    local_dir: Path = PROJECT_ROOT / ".local"
    """Embedded database, mails and the generated secret live here."""

    # Serving.
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    public_url: str | None = None
    """Base of every link we send or print, and issuer of our tokens; never taken from a Host
    header. Default: ``http://{host}:{port}``."""
    links_url: str | None = None
    """Page behind mailed links; default ``{public_url}/links/``."""
    threads: int = Field(16, ge=1, le=256)
    """Threads that requests run in; the pool has eight connections more."""
    busy_threads: int = Field(3, ge=1, le=256)
    """Of ``threads``, those that run at a time; another one for each request that takes longer than
    10 ms. Python runs one at a time, and more get in each other's way: more pay off only where an
    answer of the database is a millisecond on the way."""
    run_worker: bool | None = None
    """Run the job worker inside ``serve``. Default: only with the embedded database."""
    shutdown_grace: int = Field(10, ge=0)
    """How long requests and jobs that run may take to end when the process is to end."""
    drain_seconds: int = Field(0, ge=0, le=300)
    """How long ``serve`` goes on after SIGTERM, before that: longer than the proxy in front keeps
    idle connections, so that no request is lost."""

    # Being watched.
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Port of ``/metrics`` and ``/healthz`` for Prometheus and probes, of the API and of the worker
    alike; 0: any that is free. Absent: none is opened."""
    metrics_host: str = "127.0.0.1"
    """Its address: one that only the monitoring reaches; there is no authentication."""
    otlp_endpoint: str | None = None
    """Base URL of an OpenTelemetry collector (``http://collector:4318``), which gets traces by OTLP
    over HTTP. Absent: nothing is traced. Needs the packages of ``bugtracker[tracing]``."""
    trace_ratio: float = Field(1.0, ge=0, le=1)
    """Which part of the requests is traced."""

    # Edge.
    cors_origins: CommaSeparated = ()
    trusted_proxies: CommaSeparated = ()
    """Addresses or networks whose X-Forwarded-For is believed."""
    max_body_bytes: int = Field(1_048_576, ge=1024)
    body_timeout: float = Field(30, gt=0)
    rate_limit_per_ip: str = "100/minute"
    rate_limit_api_key: str = "600/minute"
    """Requests with the API keys of one person, instead of the limit of the address."""
    rate_limit_login: str = "5/minute"
    """Logins of one client address, and of one account; requests for mails of one address."""
    rate_limit_sensitive: str = "10/minute"
    """What one account may change about its own security, all operations together."""
    rate_limit_mail: str = "5/hour"
    """Mails of one kind that anybody may ask for, to one mailbox."""
    rate_limit_partner: str = "60/minute"
    """Signed requests of one partner system, beside the limit of its address."""

    # Secrets and tokens.
    secret_key: SecretStr | None = None
    """Master key (at least 32 characters). The embedded default generates one in ``local_dir``."""
    encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Secrets (at least 32 characters each, none with a comma) for what is encrypted in the
    database: the first encrypts, all decrypt, and so does the master key, which encrypts where
    there are none. docs/operations/rotating-secrets.md tells how to change them."""
    access_token_seconds: int = Field(900, ge=1, le=43_200)
    """Retired signing keys verify for a day, so tokens live half of that at most."""
    refresh_token_seconds: int = Field(7 * 86400, ge=1)
    session_seconds: int = Field(30 * 86400, ge=1)
    """The longest a login lasts, however often it is refreshed."""
    verification_token_seconds: int = Field(86400, ge=1)
    reset_token_seconds: int = Field(3600, ge=1)
    magic_link_seconds: int = Field(600, ge=1, le=600)
    two_factor_challenge_seconds: int = Field(300, ge=1, le=3600)
    """How long a login waits for its second factor."""
    two_factor_enrolment_seconds: int = Field(900, ge=1, le=86_400)
    """How long an authenticator may take to be confirmed."""
    invitation_seconds: int = Field(7 * 86400, ge=1)
    export_seconds: int = Field(86_400, ge=1)
    """How long an archive of personal data can be downloaded; also how long making it may take."""
    lockout_attempts: int = Field(20, ge=1, le=10_000)
    """So many wrong passwords within ``lockout_window_seconds`` lock the account for
    ``lockout_seconds``. More than ``threads``: right ones in flight at once must not count as
    too many."""
    lockout_window_seconds: int = Field(900, ge=1)
    lockout_seconds: int = Field(900, ge=1)
    common_passwords_file: Path | None = None
    """More passwords to refuse than the 30,000 we bring: a text file in UTF-8, one per line. Takes
    8 bytes of memory a line in each process; read when a password is first set."""
    bcrypt_cost: int = Field(12, ge=4, le=16)
    hashing_threads: int = Field(2, ge=1)

    # Tenancy.
    open_organisation: str | None = None
    """Slug of the organisation that registrations without ``org_name`` join as developer."""

    # Analytics.
    login_event_months: int = Field(13, ge=2, le=1200)
    """Months before this one whose single logins are kept; counts by day stay."""

    # Event feed.
    feed_days: int = Field(30, ge=1, le=3650)
    """How long a cursor of the feed holds, and how far back the feed begins."""

    # Mail.
    smtp_host: str | None = None
    smtp_port: int = Field(25, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = False
    mail_from: str = "Bugtracker <bugtracker@localhost>"

    # Webhooks.
    webhook_allow_local: bool = False
    """For development: receivers may be on this machine or in a private network, on any port, and
    be spoken to without TLS. Whoever manages webhooks can then reach whatever the worker can."""
    webhook_timeout_seconds: float = Field(15, ge=0.1, le=30)
    """How long a receiver may take to answer, finding and reaching it included."""
    webhook_suspend_seconds: int = Field(3 * 86400, ge=1)
    """An endpoint is suspended when nothing got through to it for so long."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"
    """``auto``: for people on a terminal, JSON elsewhere."""

    @field_validator("cors_origins", "trusted_proxies", "encryption_keys", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _names_our_driver(cls, value: SecretStr | None) -> SecretStr | None:
        """``postgres://`` and ``postgresql://``, as platforms write it, mean psycopg."""
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme not in POSTGRESQL_SCHEMES:
            raise ValueError("must be of the form postgresql://user:password@host/database")
        return SecretStr(f"postgresql+psycopg://{rest}")

    @field_validator(
        "rate_limit_per_ip",
        "rate_limit_login",
        "rate_limit_sensitive",
        "rate_limit_mail",
        "rate_limit_api_key",
        "rate_limit_partner",
    )
    @classmethod
    def _is_a_rate_limit(cls, value: str) -> str:
        try:
            parse(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not a rate such as 100/minute") from error
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError("must be of the form redis://user:password@host:port/0")
        return value

    @field_validator("common_passwords_file")
    @classmethod
    def _can_be_read(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value} is not a file")
        if value is not None and not os.access(value, os.R_OK):
            raise ValueError(f"{value} cannot be read by this user")
        return value

    @field_validator("public_url", "links_url", "otlp_endpoint")
    @classmethod
    def _has_no_trailing_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

    @field_validator("secret_key")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _are_long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < 32 for secret in value):
            raise ValueError("each must have at least 32 characters")
        return value

    @model_validator(mode="after")
    def _outside_the_embedded_default_secrets_are_given(self) -> "Settings":
        if self.database_url is not None and self.secret_key is None:
            raise ValueError("BUGTRACKER_SECRET_KEY is required when DATABASE_URL is set")
        return self

    @property
    def embedded(self) -> bool:
        """Whether this process uses the private embedded PostgreSQL."""
        return self.database_url is None

    @property
    def per_ip_limit(self) -> RateLimitItem:
        """The limit of all requests of one client address."""
        return parse(self.rate_limit_per_ip)

    @property
    def per_api_key_limit(self) -> RateLimitItem:
        """The limit of all requests with the API keys of one person."""
        return parse(self.rate_limit_api_key)

    @property
    def mail_dir(self) -> Path:
        """Where mails are written when no SMTP host is configured."""
        return self.local_dir / "mail"

    @property
    def links_base(self) -> str:
        """The page that mailed links open; the token follows as ``#token=…``."""
        return self.links_url or f"{self.base_url}/links"

    @property
    def base_url(self) -> str:
        """Where clients find us."""
        return self.public_url or f"http://{self.host}:{self.port}"

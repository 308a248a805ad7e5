"""The file that docker-compose reads: made of .env.example, with secrets nobody else has."""

import os
import re
import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bugtracker.clock import utc_now
from bugtracker.settings import PROJECT_ROOT

EXAMPLE = PROJECT_ROOT / ".env.example"
IMAGE_USER = 10001
"""What the containers run as where nothing says otherwise."""

CERTIFICATE_DAYS = 90
SECRET_BYTES = 32

# Without characters that mean something in a URL, a shell or an environment file.
_EMPTY_SECRET = re.compile(r"^([A-Z_]+_(?:PASSWORD|KEY|KEYS))=$", re.MULTILINE)


@click.command("init-env")
@click.option("--file", "path", type=click.Path(path_type=Path), default=Path(".env"))
@click.option("--url", default="https://localhost", help="Where people reach it.")
@click.option(
    "--certificates",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("certificates"),
    help="Where a self-signed certificate is made, unless there is one.",
)
@click.option("--force", is_flag=True, help="Overwrite the file: its secrets are gone then.")
def init_env(path: Path, url: str, certificates: Path, force: bool) -> None:
    """Make the .env of docker-compose.yml, with new secrets, for its owner only.

    Never overwrites one: with other secrets the database cannot be opened. Beside it comes a
    certificate for the host of the URL, to begin with; put a real one in its place.
    """
    host = urlsplit(url).hostname
    if not url.startswith("https://") or host is None:
        raise click.ClickException("--url must be of the form https://tracker.example.com")
    if path.exists() and not force:
        raise click.ClickException(f"{path} exists; --force makes it anew, with other secrets")
    _write_private(path, filled_in(EXAMPLE.read_text(), url.rstrip("/"), _certificate_user()))
    click.echo(f"Made {path}.")
    if not (certificates / "tls.key").exists():
        make_certificate(certificates, host)
        click.echo(f"Made a self-signed certificate in {certificates}, good for 90 days.")


def filled_in(example: str, url: str, user: int) -> str:
    """The example with secrets where it has none, this URL, and the user who reads the key."""
    text = _EMPTY_SECRET.sub(lambda found: f"{found[1]}={secrets.token_hex(SECRET_BYTES)}", example)
    text = re.sub(r"^BUGTRACKER_PUBLIC_URL=.*$", f"BUGTRACKER_PUBLIC_URL={url}", text, flags=re.M)
    return re.sub(r"^NGINX_USER=.*$", f"NGINX_USER={user}:{user}", text, flags=re.M)


def make_certificate(directory: Path, host: str) -> None:
    """``tls.crt`` and ``tls.key``, self-signed, for this host."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tls.crt").write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_private(directory / "tls.key", private.decode())
    if os.geteuid() == 0:
        os.chown(directory / "tls.key", IMAGE_USER, IMAGE_USER)


def _certificate_user() -> int:
    """Who can read the key: whoever makes it, but never root."""
    return os.geteuid() or IMAGE_USER


def _write_private(path: Path, text: str) -> None:
    """Write it for the owner only, whatever was there; nobody ever reads half of it."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)

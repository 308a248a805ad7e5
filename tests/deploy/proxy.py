"""A real nginx with the configuration we ship, on ports of this machine."""

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.processes import free_port
from tests.webhooks.tls import certificate

SHIPPED = Path(__file__).resolve().parents[2] / "nginx"
SECONDS_TO_START = 20


@dataclass(frozen=True)
class Proxy:
    """A running nginx, for https://localhost."""

    directory: Path
    http_port: int
    https_port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe the certificate."""
        return ssl.create_default_context(cafile=self.directory / "localhost.pem")

    @property
    def log(self) -> str:
        """The access log so far: one JSON object per line."""
        return (self.directory / "out").read_text()

    def client(self, address: str = "127.0.0.1", **options: object) -> httpx.Client:
        """A client that calls from this address of the loopback network; close it."""
        transport = httpx.HTTPTransport(verify=self.trust, local_address=address)
        return httpx.Client(base_url=self.url, transport=transport, timeout=90, **options)  # type: ignore[arg-type]


@contextmanager
def proxy(
    directory: Path, ports: Sequence[int], changes: Sequence[tuple[str, str, str]] = ()
) -> Iterator[Proxy]:
    """nginx in front of these ports of 127.0.0.1, until the block is left.

    ``changes`` are (file, text, other text) in the shipped configuration: each must occur.
    """
    conf = directory / "conf"
    shutil.copytree(SHIPPED, conf)
    http_port, https_port = free_port(), free_port()
    _change(conf, [*_places(http_port, https_port, ports), *changes])
    _install_certificate(directory)
    log = (directory / "out").open("wb")
    process = subprocess.Popen(
        _command(directory, conf), stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    running = Proxy(directory, http_port, https_port, process)
    try:
        _wait_until_listening(running)
        yield running
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _places(
    http_port: int, https_port: int, ports: Sequence[int]
) -> Iterator[tuple[str, str, str]]:
    """What differs between a container and this machine: ports and addresses."""
    yield "listen_http.conf", "listen 8080", f"listen 127.0.0.1:{http_port}"
    yield "listen_http.conf", "listen [::]:8080 default_server;", ""
    yield "listen_https.conf", "listen 8443", f"listen 127.0.0.1:{https_port}"
    yield "listen_https.conf", "listen [::]:8443 ssl http2 default_server;", ""
    limits = "max_fails=3 fail_timeout=5s"
    servers = "\n".join(f"server 127.0.0.1:{port} {limits};" for port in ports)
    # Docker's DNS, and a parameter that Debian's nginx is too old for.
    yield "upstream.conf", "resolver 127.0.0.11 valid=5s ipv6=off;", ""
    yield "upstream.conf", f"server api:8000 {limits} resolve;", servers


def _change(conf: Path, changes: Sequence[tuple[str, str, str]]) -> None:
    for name, text, other in changes:
        content = (conf / name).read_text()
        assert text in content, f"{name} has no {text!r}"
        (conf / name).write_text(content.replace(text, other))


def _install_certificate(directory: Path) -> None:
    both = certificate(directory, "localhost").read_text()
    begin = both.index("-----BEGIN CERTIFICATE-----")
    (directory / "certificates").mkdir()
    (directory / "certificates/tls.key").write_text(both[:begin])
    (directory / "certificates/tls.crt").write_text(both[begin:])


def _command(directory: Path, conf: Path) -> list[str]:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    assert os.access(program, os.X_OK), "install nginx-light (Debian), as .ci/run does"
    # Workers of root become nobody, who may not enter a test's directory.
    user = "user root; " if os.geteuid() == 0 else ""
    options = f"{user}daemon off;"
    return [program, "-p", str(directory), "-c", str(conf / "nginx.conf"), "-g", options]


def _wait_until_listening(running: Proxy) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            with httpx.Client() as client:
                client.get(f"http://127.0.0.1:{running.http_port}/")
            return
        except httpx.TransportError:
            assert running.process.poll() is None, running.log
            assert time.monotonic() < deadline, "nginx does not start"
            time.sleep(0.02)

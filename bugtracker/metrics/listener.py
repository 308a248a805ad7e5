"""The port for Prometheus and probes, apart from the API's: nobody outside can reach it.

``GET /metrics`` and ``GET /healthz``. Runs in threads, so it answers also while the event loop
does not, which is when its numbers are wanted most.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bugtracker.metrics import REGISTRY
from bugtracker.metrics.database import DatabaseCollector, PoolCollector
from bugtracker.runtime import Runtime

BEAT_SECONDS = 5.0
DEAD_AFTER_SECONDS = 60.0

log = structlog.get_logger()


class Pulse:
    """Whether an event loop still turns. ``beat`` it every few seconds."""

    def __init__(self) -> None:
        self._last: float | None = None

    def beat(self) -> None:
        """It does."""
        self._last = time.monotonic()

    async def keep_beating(self) -> None:
        """Beats until cancelled, if the event loop lets it."""
        while True:
            self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    @property
    def is_dead(self) -> bool:
        """Whether it was beaten once, and not for a minute."""
        return self._last is not None and time.monotonic() - self._last > DEAD_AFTER_SECONDS


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pulse: Pulse
    registry: CollectorRegistry

    def handle_error(self, *_: object) -> None:
        """Who asked has left; Python would print a traceback."""
        log.info("metrics_client_gone")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    """Seconds a client may take to ask."""

    def do_GET(self) -> None:
        """Numbers, or a sign of life."""
        path = urlsplit(self.path).path
        if path == "/metrics":
            encode, media_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), media_type)
        elif path == "/healthz":
            dead = self.server.pulse.is_dead
            self._answer(503 if dead else 200, b"dead\n" if dead else b"ok\n")
        else:
            self._answer(404, b"/metrics, /healthz\n")

    def _answer(self, status: int, body: bytes, media_type: str = "text/plain") -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A line for every scrape helps nobody."""


@contextmanager
def metrics_listener(runtime: Runtime, pulse: Pulse | None = None) -> Iterator[int | None]:
    """Answers on BUGTRACKER_METRICS_HOST:BUGTRACKER_METRICS_PORT until the block is left; yields
    the port. Does nothing where no port is set. OSError when it is taken."""
    settings = runtime.settings
    if settings.metrics_port is None:
        yield None
        return
    kind = type("_Server6", (_Server,), {"address_family": AF_INET6})
    server: _Server = (kind if ":" in settings.metrics_host else _Server)(
        (settings.metrics_host, settings.metrics_port), _Handler
    )
    database = DatabaseCollector(runtime.db.engine)
    server.pulse, server.registry = pulse or Pulse(), CollectorRegistry()
    for collector in (REGISTRY, PoolCollector(runtime.db.engine), database):
        server.registry.register(collector)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        database.close()

"""A real server on a free port, in a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from bugtracker.http_server import server_config


@dataclass(frozen=True)
class Server:
    """A running server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextmanager
def serve(app: ASGIApp) -> Iterator[Server]:
    """Serves an application as ``bugtracker serve`` does, until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = server_config(app, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    try:
        yield Server(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()

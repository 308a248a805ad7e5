"""How uvicorn is run: the same for the command and for the tests."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from bugtracker.edge.protocol import EdgeProtocol

KEEP_ALIVE_SECONDS = 15
"""Longer than a proxy keeps an idle connection (nginx/upstream.conf), so that the proxy is the one
to close it: were it us, its next request could cross our closing on the way, and be lost."""

LAST_SECONDS = 3.0
"""How long those who connected last have for their request, when the process ends."""


def server_config(app: ASGIApp, **where: Any) -> uvicorn.Config:
    """uvicorn's configuration; ``where`` are its own ``host``, ``port`` and the like."""
    return uvicorn.Config(
        app,
        http=EdgeProtocol,
        ws="none",
        server_header=False,
        # The edge reads X-Forwarded-For itself, from trusted proxies only.
        proxy_headers=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **where,
    )


class DrainingServer(uvicorn.Server):
    """A server that, told to end by SIGTERM, goes on for ``drain_seconds``: whoever sends us
    requests learns meanwhile that we go, and loses none.

    Every answer then ends its connection, so that the next request of a proxy goes elsewhere, and
    what is idle is closed by the proxy. Ctrl-C ends at once.
    """

    def __init__(self, config: uvicorn.Config, drain_seconds: float = 0) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then end as uvicorn does."""
        if self._drain_seconds and signal.SIGTERM in self._captured_signals:
            await self._serve_on(self._drain_seconds)
            await self._close_listeners()
            await self._serve_on(LAST_SECONDS, while_connected=True)
        await super().shutdown(sockets)

    async def _serve_on(self, seconds: float, *, while_connected: bool = False) -> None:
        """Serve for so long; a second signal ends it."""
        told = len(self._captured_signals)
        for tick in range(round(seconds * 10)):
            # Sets the Date of the default headers anew, once a second.
            await self.on_tick(tick)
            if tick % 10 == 0:
                self.server_state.default_headers.append((b"connection", b"close"))
            if len(self._captured_signals) > told:
                return
            if while_connected and not self.server_state.connections:
                return
            await asyncio.sleep(0.1)

    async def _close_listeners(self) -> None:
        """Listen no more, but take in who has connected: the kernel would hang up on them, with
        their requests on the way already."""
        listeners = [
            socket.socket(fileno=os.dup(each.fileno()))
            for server in self.servers
            for each in server.sockets
        ]
        for server in self.servers:
            server.close()
        waiting = [connection for each in listeners for connection in _accept_all(each)]
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = EdgeProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    """Those who have connected and were not taken in yet; the listener is closed then."""
    accepted = []
    with listener:
        listener.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                accepted.append(listener.accept()[0])
    return accepted

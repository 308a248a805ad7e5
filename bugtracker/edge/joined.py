"""Head and body of an answer in one packet: uvicorn writes them one after the other, and each
would be a call of the kernel, and wake the client up."""

import asyncio
from typing import Any


class JoinedWrites:
    """A transport that writes once what it was given since the event loop last came round.

    It is its transport otherwise.
    """

    __slots__ = ("_loop", "_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Writes in a moment."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)

    def close(self) -> None:
        """Writes what there is, and ends the connection."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Writes what there is, now."""
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

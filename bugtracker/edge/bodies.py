"""Request bodies: read here in full, within bounds of size and time, before anything is run.

Behind the edge a body is one message with a true Content-Length, whether it came in chunks or not,
and no handler thread ever waits for a slow client.
"""

import asyncio

from starlette.types import Receive

from bugtracker.errors import BodyTooLarge, RequestTimeout
from bugtracker.messages import _

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 8 * 1024 * 1024


def check_length(length: int | None, limit: int) -> None:
    """Refuse an announced length (bytes) beyond the limit: BodyTooLarge."""
    if length is not None and length > limit:
        raise _too_large(limit)


async def read_body(receive: Receive, limit: int, seconds: float) -> bytes | None:
    """The whole body, at most `limit` bytes; None when the client has gone.

    BodyTooLarge as soon as there is more, RequestTimeout when it takes longer than `seconds`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        detail = _("The body did not arrive within {seconds} s.", seconds=f"{seconds:g}")
        raise RequestTimeout(detail) from None


async def _read(receive: Receive, limit: int) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def discard_body(receive: Receive) -> None:
    """Read on for a moment after a refusal.

    Closing a connection with unread data makes the kernel reset it, and a client that is still
    sending would lose the answer.
    """
    size = 0
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while size < _LINGER_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(_("Send at most {limit} bytes.", limit=limit))

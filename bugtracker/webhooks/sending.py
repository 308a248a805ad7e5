"""One request to a receiver: to an address that was checked, once, in bounded time and memory.

No proxies, no redirects, no connection kept: each attempt looks the name up anew, checks all its
addresses and connects to one of those.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpcore
import structlog

from bugtracker import __version__
from bugtracker.clock import utc_now
from bugtracker.errors import WebhookUrlNotAllowed
from bugtracker.webhooks.addresses import check_url, is_public

MAX_RESPONSE_BYTES = 65_536
DRAIN_SECONDS = 2.0
"""Only the status counts. The body is read so far so that receivers see no broken connection."""
RESOLVER_THREADS = 32
"""Looking a name up blocks a thread, for as long as its servers like."""
MAX_ADDRESSES = 4
HEADERS = {"content-type": "application/json", "user-agent": f"Bugtracker-Webhooks/{__version__}"}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → addresses. OSError when the name has none."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: the status, or the error that kept it from getting one."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    """Seconds that the receiver asked us to wait."""

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it now."""
        return self.status is not None and 200 <= self.status < 300


class AddressNotAllowed(Exception):
    """The name has an address that is not public."""


class NameNotResolved(Exception):
    """The name has no address."""


class SystemResolver:
    """What the operating system knows of names, asked in threads of our own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _look_up(host: str, port: int) -> list[Any]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the addresses of a name only if all of them are allowed.

    TLS is spoken with the name, as the URL has it; only TCP is told the address.
    """

    def __init__(self, resolve: Resolve, *, allow_local: bool) -> None:
        self._resolve = resolve
        self._allow_local = allow_local
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: httpcore.ConnectError | None = None
        for address in (await self._addresses(host, port))[:MAX_ADDRESSES]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except httpcore.ConnectError as refused:
                error = refused
        raise error or NameNotResolved

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            # A zone (fe80::1%eth0) is no part of an address.
            found = [each.partition("%")[0] for each in await self._resolve(host, port)]
        except (OSError, UnicodeError) as error:
            raise NameNotResolved from error
        if not self._allow_local and not all(map(is_public, found)):
            raise AddressNotAllowed
        return found


class Sender:
    """Sends what is given to it. One for a worker; used from its event loop."""

    def __init__(
        self, *, timeout: float, allow_local: bool, resolve: Resolve | None = None
    ) -> None:
        self._timeout = timeout
        self._allow_local = allow_local
        self._network = CheckedNetwork(resolve or SystemResolver(), allow_local=allow_local)
        # Reading the certificates of all authorities takes a while: once.
        self._tls = ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One attempt. Whatever goes wrong is in the outcome."""
        answer: Outcome | None = None
        try:
            # Again: it may have been written down under other settings.
            check_url(url, allow_local=self._allow_local)
            async with (
                asyncio.timeout(self._timeout) as limit,
                self._connection() as connection,
                connection.stream(
                    "POST", _target(url), headers=_headers(url, headers), content=body
                ) as response,
            ):
                answer = Outcome(response.status, retry_after=_retry_after(response))
                limit.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)
                await _drain(response)
        except Exception as error:
            # Behind the status it does not matter any more.
            return answer or _failed(error)
        return answer

    def _connection(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=self._network,
        )


def _headers(url: str, headers: Mapping[str, str]) -> list[tuple[bytes | str, bytes | str]]:
    return [*{"host": urlsplit(url).netloc, **HEADERS, **headers}.items()]


def _target(url: str) -> httpcore.URL:
    """The URL, taken apart by the parser that checked it."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(
        scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target
    )


async def _drain(response: httpcore.Response) -> None:
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read >= MAX_RESPONSE_BYTES:
            return


def _retry_after(response: httpcore.Response) -> float | None:
    value = next((v for name, v in response.headers if name.lower() == b"retry-after"), b"")
    text = value.decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - utc_now()).total_seconds()
    except (ValueError, TypeError):
        return None


REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (WebhookUrlNotAllowed, "url_not_allowed"),
    (AddressNotAllowed, "address_not_allowed"),
    (NameNotResolved, "name_not_resolved"),
    (TimeoutError, "timeout"),
    (httpcore.TimeoutException, "timeout"),
    (ssl.SSLError, "tls_failed"),
    (httpcore.ConnectError, "connection_failed"),
    (httpcore.NetworkError, "connection_lost"),
    (httpcore.ProtocolError, "response_invalid"),
)


def _failed(error: Exception) -> Outcome:
    reason = _reason(error)
    if reason == "failed":
        log.error("webhook_attempt_failed", exc_info=error)
    return Outcome(error=reason)


def _reason(error: Exception) -> str:
    """The word for an error; TLS is wrapped in one of the connection."""
    if isinstance(error, httpcore.ConnectError) and isinstance(error.__context__, ssl.SSLError):
        return "tls_failed"
    return next((word for kind, word in REASONS if isinstance(error, kind)), "failed")

"""Calls the server as the person who is logged in, and keeps the login alive."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from bugtracker_client import AuthenticatedClient, Client
from bugtracker_client.api.auth import refresh
from bugtracker_client.models import Problem, Refresh, TokenPair
from bugtracker_client.types import Response

from bugtracker_cli.failures import NotLoggedIn, Refused, Unavailable
from bugtracker_cli.store import Session, Store

Wanted = TypeVar("Wanted")
Connection = TypeVar("Connection", Client, AuthenticatedClient)

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
REFRESH_BEFORE_SECONDS = 30
"""Tokens that end sooner are renewed first: the request takes its time, and clocks differ."""


class Api:
    """One server. ``BT_TOKEN``, an API key, stands in for the stored login."""

    def __init__(self, server: str, store: Store) -> None:
        self.server = server
        self.store = store

    def ask(
        self, wanted: type[Wanted], call: Callable[[AuthenticatedClient], Response[Any]]
    ) -> Wanted:
        """What a call of the generated client answers, as the one who is logged in.

        Refused, NotLoggedIn, Unavailable.
        """
        key = os.environ.get("BT_TOKEN")
        if key:
            return _expect(wanted, self._send(self._client(key), call))
        session = self._fresh()
        response = self._send(self._client(session.access_token), call)
        if response.status_code == 401:
            # Ended before its time, by a new key of the server's for instance.
            session = self._fresh(than=session.access_token)
            response = self._send(self._client(session.access_token), call)
        return _expect(wanted, response)

    def ask_as_nobody(
        self, wanted: type[Wanted], call: Callable[[Client], Response[Any]]
    ) -> Wanted:
        """The same without a login."""
        return _expect(wanted, self._send(self._anonymous(), call))

    def end(self, call: Callable[[Client], Response[Any]]) -> None:
        """A call that answers nothing."""
        self.ask_as_nobody(type(None), call)

    def keep(self, username: str, pair: TokenPair) -> None:
        """A new login on this device."""
        with self.store.locked():
            self.store.put(self._session(username, pair), current=True)

    def _fresh(self, than: str | None = None) -> Session:
        """A session whose access token is good for a while, and not the one that was refused."""
        session = self.store.session(self.server)
        if session and _is_good(session, than):
            return session
        with self.store.locked(), _uninterrupted():
            # Another process may have renewed it, or logged out, while this one waited.
            session = self.store.session(self.server)
            if session is None:
                raise NotLoggedIn(self.server)
            return session if _is_good(session, than) else self._refreshed(session)

    def _refreshed(self, session: Session) -> Session:
        body = Refresh(session.refresh_token)
        response = self._send(
            self._anonymous(), lambda client: refresh.sync_detailed(client=client, body=body)
        )
        if response.status_code == 401:
            self.store.remove(self.server)
            raise NotLoggedIn(self.server)
        renewed = self._session(session.username, _expect(TokenPair, response))
        self.store.put(renewed)
        return renewed

    def _session(self, username: str, pair: TokenPair) -> Session:
        ends = time.time() + pair.expires_in
        return Session(self.server, username, pair.access_token, pair.refresh_token, ends)

    def _client(self, token: str) -> AuthenticatedClient:
        return AuthenticatedClient(self.server, token, **self._options)

    def _anonymous(self) -> Client:
        return Client(self.server, **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        # Reading the certificates of all authorities takes as long as the request does.
        return {"timeout": TIMEOUT, "verify_ssl": self.server.startswith("https://")}

    def _send(
        self, client: Connection, call: Callable[[Connection], Response[Any]]
    ) -> Response[Any]:
        try:
            with client:
                return call(client)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"{self.server} cannot be reached: {reason}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise Unavailable(f"{self.server} answered what bt does not know: {error}") from None


def _expect(wanted: type[Wanted], response: Response[Any]) -> Wanted:
    if isinstance(response.parsed, wanted) and response.status_code < 300:
        return response.parsed
    if isinstance(response.parsed, Problem):
        raise Refused(response.parsed)
    raise Unavailable(f"unexpected answer {int(response.status_code)}: is this a Bugtracker?")


def _is_good(session: Session, refused: str | None) -> bool:
    ends_in = session.expires_at - time.time()
    return session.access_token != refused and ends_in > REFRESH_BEFORE_SECONDS


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: a refresh token that is used up, its successor unsaved, ends the session."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

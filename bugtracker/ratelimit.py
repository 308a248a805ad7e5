"""Limits that single operations declare (``x-rate-limit: <name of LIMITS>``), counted before any
person is known, or by the partner system. That of a known caller is in :mod:`callerlimit`.

They are counted after a request is known to be valid, and before anything is looked up or hashed:
an account or a mailbox is counted by the name in the body, known or unknown alike. Names stand in
the counters under a keyed hash. The limit of all requests of an address is the edge's.
docs/decisions/0016-limits-of-logins-and-mails.md has the reasons.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread
from connexion.middleware.abstract import SpecMiddleware
from limits import parse
from sqlalchemy import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker.callerlimit import SENSITIVE
from bugtracker.contract import Contract, Operation
from bugtracker.edge.addresses import limit_key
from bugtracker.errors import RateLimitExceeded
from bugtracker.metrics import rate_limited
from bugtracker.queries.familiar import has_logged_in_from
from bugtracker.runtime import Runtime
from bugtracker.security.principal import PartnerPrincipal
from bugtracker.threads import on_loop
from bugtracker.throttle import Headers, Quota, RateLimit, Shared, refusal_text

LOOKUPS = 2
"""Questions to the database at once; the pool has spare connections for that."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is counted by."""

    operation: Operation
    network: str
    """The client's IPv4 address, or /64 network of IPv6."""
    body: Any
    partner: PartnerPrincipal | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit of an operation. ``key`` gives whom to count, None for nobody."""

    name: str
    setting: str
    key: Callable[[Asked], str | None]
    has_lanes: bool = False
    """Whether networks that the account has logged in from have a limit of their own, for when
    others use this one up."""


def _network(asked: Asked) -> str:
    return asked.network


def _network_by_operation(asked: Asked) -> str:
    return f"{asked.operation.id}/{asked.network}"


def _named_account(asked: Asked) -> str | None:
    """An account is counted apart under its address and its username: which two belong together
    is only known after looking, and that must not show. Neither is unbounded."""
    for field in ("email", "username"):
        if field in asked.body:
            return f"{field}:{asked.body[field].lower()}"
    return None


def _mailbox(asked: Asked) -> str:
    """Apart for each operation: who exhausts one kind of mail shall not hold back the others."""
    return f"{asked.operation.id}/{asked.body['email'].lower()}"


def _partner(asked: Asked) -> str | None:
    return None if asked.partner is None else str(asked.partner.id)


LIMITS: Mapping[str, tuple[Rule, ...]] = {
    # The address first: whom it refuses, it keeps from using up the account's limit.
    "login": (
        Rule("login", "rate_limit_login", _network),
        Rule("account", "rate_limit_login", _named_account, has_lanes=True),
    ),
    "mail": (
        Rule("mail", "rate_limit_login", _network_by_operation),
        Rule("mailbox", "rate_limit_mail", _mailbox),
    ),
    "partner": (Rule("partner", "rate_limit_partner", _partner),),
}


class OperationLimits:
    """The counters of all rules."""

    def __init__(self, runtime: Runtime, shared: Shared | None) -> None:
        self._runtime = runtime
        self._lookups = CapacityLimiter(LOOKUPS)
        self._limits = {
            rule.name: RateLimit(rule.name, parse(getattr(runtime.settings, rule.setting)), shared)
            for rules in LIMITS.values()
            for rule in rules
        }

    async def count(self, asked: Asked) -> Headers:
        """Counts a request by the rules of its operation, until one refuses (429).

        The headers are those of the limit that is nearest to refusing.
        """
        counted: list[tuple[Quota, RateLimit]] = []
        for rule in LIMITS[asked.operation.rate_limit or ""]:
            key = rule.key(asked)
            if key is not None:
                answer, limit = await self._hit(rule, key, asked), self._limits[rule.name]
                if not answer.allowed:
                    raise _exceeded(limit, answer)
                counted.append((answer, limit))
        if not counted:
            return ()
        answer, limit = min(counted, key=lambda pair: (pair[0].remaining, -pair[0].reset))
        return limit.headers(answer)

    async def _hit(self, rule: Rule, key: str, asked: Asked) -> Quota:
        limit, hashed = self._limits[rule.name], self._runtime.keyring.throttle_key
        answer = await limit.hit(hashed(key))
        if answer.allowed or not rule.has_lanes or not await self._is_familiar(asked):
            return answer
        return await limit.hit(hashed(f"{key} from {asked.network}"))

    async def _is_familiar(self, asked: Asked) -> bool:
        return await to_thread.run_sync(self._look, asked, limiter=self._lookups)

    def _look(self, asked: Asked) -> bool:
        with self._runtime.db.read() as connection:
            found = connection.scalar(select(has_logged_in_from(asked.body, asked.network)))
        return bool(found)


def _exceeded(limit: RateLimit, answer: Quota) -> RateLimitExceeded:
    rate_limited.labels(limit.name).inc()
    seconds, rate = max(1, answer.retry_after), limit.limit
    headers = {name.decode(): value.decode() for name, value in limit.headers(answer)}
    return RateLimitExceeded(
        refusal_text(rate, seconds),
        headers={**headers, "Retry-After": str(seconds)},
    )


class RateLimitMiddleware(SpecMiddleware):
    """Counts requests of operations that declare a limit. Stands behind validation."""

    def __init__(self, app: ASGIApp, *, contract: Contract, limits: OperationLimits) -> None:
        """ValueError for an operation that names a limit which is none."""
        self.app = app
        self._limits = limits
        self._operations = {
            operation.id: operation
            for operation in contract.operations.values()
            if operation.rate_limit not in (None, SENSITIVE)
        }
        for operation in self._operations.values():
            if operation.rate_limit not in LIMITS:
                raise ValueError(f"{operation.id}: no rate limit {operation.rate_limit!r}")

    def add_api(self, specification: Any, **kwargs: Any) -> None:
        """Everything is known from our own contract."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            routing = scope["extensions"]["connexion_routing"]
            operation = self._operations.get(routing["operation_id"])
            if operation is not None:
                headers = on_loop(scope, self._limits.count(_asked(operation, scope)))
                send = _with_headers(send, headers)
        await self.app(scope, receive, send)


def _asked(operation: Operation, scope: Scope) -> Asked:
    state = scope["state"]
    network = limit_key(state["client_ip"])
    return Asked(operation, network, state["validated"].body, state.get("partner"))


def _with_headers(send: Send, headers: Headers) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *headers]}
        await send(message)

    return wrapped

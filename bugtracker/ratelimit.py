"""Limits that single operations declare (``x-rate-limit``), counted by flask-limiter.

The per-address limit of all requests is the edge's; here the operation is known.
"""

import time
from collections.abc import Callable

import flask
from flask_limiter import Limiter, RequestLimit
from limits import RateLimitItem
from redis.exceptions import RedisError

from bugtracker.contract import Operation
from bugtracker.errors import RateLimitExceeded
from bugtracker.routing import problem_response
from bugtracker.settings import Settings

View = Callable[..., flask.Response]

REDIS_OPTIONS: dict[str, str | int] = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}  # type: ignore[dict-item]


class _PatientLimiter(Limiter):
    """Counts in memory also for requests that were waiting for Redis when another one gave it up.

    The library falls back for the first that fails and raises for all others in flight: 500.
    """

    def _check_request_limit(
        self, callable_name: str | None = None, in_middleware: bool = True
    ) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except RedisError:
            self.context.seen_limits.clear()
            super()._check_request_limit(callable_name, in_middleware)


def limiter_for(app: flask.Flask, settings: Settings) -> Callable[[Operation, View], View]:
    """Wraps a view with the limit its operation names, or returns it as it is.

    A Redis that does not answer turns into counting in this process, not into errors.
    """
    redis = settings.redis_url
    limiter = _PatientLimiter(
        _client_ip,
        app=app,
        storage_uri=redis.get_secret_value() if redis else "memory://",
        storage_options=REDIS_OPTIONS if redis else {},
        strategy="sliding-window-counter",
        in_memory_fallback_enabled=redis is not None,
        key_prefix="bugtracker:",
        headers_enabled=False,
        on_breach=_refuse,
    )
    rates = {"login": settings.rate_limit_login}

    def wrap(operation: Operation, view: View) -> View:
        if operation.rate_limit is None:
            return view
        wrapped: View = limiter.limit(rates[operation.rate_limit])(view)
        return wrapped

    return wrap


def _client_ip() -> str:
    address: str = flask.request.environ["asgi.scope"]["state"]["client_ip"]
    return address


def _refuse(limit: RequestLimit) -> flask.Response:
    wait = max(1, limit.reset_at - int(time.time()))
    name = flask.request.endpoint or ""
    rate: RateLimitItem = limit.limit
    error = RateLimitExceeded(
        f"At most {rate.amount} per {rate.get_expiry()} seconds; try again in {wait} s.",
        headers={
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"{name}";q={rate.amount};w={rate.get_expiry()}',
            "RateLimit": f'"{name}";r=0;t={wait}',
            "X-RateLimit-Limit": str(rate.amount),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(limit.reset_at),
        },
    )
    state = flask.request.environ["asgi.scope"]["state"]
    return problem_response(error, state["request_id"])

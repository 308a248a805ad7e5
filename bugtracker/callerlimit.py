"""The limit of a known caller over all sensitive operations (``x-rate-limit: sensitive``), counted
by flask-limiter around their views.

What is counted before anybody is known (addresses, named accounts, mailboxes) is in
:mod:`ratelimit` and at the edge.
"""

import time
from collections.abc import Callable
from functools import wraps

import flask
from flask_limiter import Limiter, RequestLimit
from limits import RateLimitItem

from bugtracker.answers import as_flask
from bugtracker.contract import Operation
from bugtracker.errors import RateLimitExceeded
from bugtracker.metrics import rate_limited
from bugtracker.routing import problem_response
from bugtracker.runtime import Runtime
from bugtracker.throttle import refusal_text

View = Callable[..., flask.Response]

SENSITIVE = "sensitive"
REDIS_OPTIONS: dict[str, str | int] = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}  # type: ignore[dict-item]


def limiter_for(app: flask.Flask, runtime: Runtime) -> Callable[[Operation, View], View | None]:
    """Wraps the view of a sensitive operation with the limit; None for any other.

    A Redis that does not answer turns into counting in this process, not into errors.
    """
    settings, redis = runtime.settings, runtime.settings.redis_url

    def caller() -> str:
        principal = flask.request.environ["asgi.scope"]["state"]["principal"]
        return runtime.keyring.throttle_key(str(principal.account_id))

    limiter = Limiter(
        caller,
        app=app,
        storage_uri=_storage(redis.get_secret_value()) if redis else "memory://",
        storage_options=REDIS_OPTIONS if redis else {},
        strategy="sliding-window-counter",
        in_memory_fallback_enabled=redis is not None,
        key_prefix="bugtracker:",
        headers_enabled=False,
        on_breach=_refuse,
    )
    limit = limiter.shared_limit(settings.rate_limit_sensitive, scope=SENSITIVE)

    def wrap(operation: Operation, view: View) -> View | None:
        if operation.rate_limit != SENSITIVE:
            return None
        telling = _telling(limiter, view)
        return _patient(limiter, telling, limit) if redis else limit(telling)

    return wrap


def _storage(redis_url: str) -> str:
    """The library's name for a Redis: it calls a socket's address otherwise than Redis does."""
    return f"redis+{redis_url}" if redis_url.startswith("unix:") else redis_url


def _patient(limiter: Limiter, view: View, limit: Callable[[View], View]) -> View:
    """Counts in memory also for requests that were waiting for Redis when another one gave it up:
    the library falls back for the first that fails, and raises for the others in flight."""
    from redis.exceptions import RedisError

    limited = limit(view)

    @wraps(view)
    def wrapped(**path: str) -> flask.Response:
        try:
            return limited(**path)
        except RedisError:
            # Nothing was done yet: the limit comes before the view.
            limiter.context.seen_limits.clear()
            return limited(**path)

    return wrapped


def _telling(limiter: Limiter, view: View) -> View:
    """Adds where the caller stands to every answer."""

    @wraps(view)
    def wrapped(**path: str) -> flask.Response:
        # Asked before the view, whose work takes a while: the window would have moved on.
        limit = limiter.current_limit
        headers = {} if limit is None else _headers(limit)
        answer = view(**path)
        answer.headers.update(headers)
        return answer

    return wrapped


def _headers(limit: RequestLimit) -> dict[str, str]:
    rate: RateLimitItem = limit.limit
    seconds = max(1, limit.reset_at - int(time.time()))
    return {
        "RateLimit-Policy": f'"{SENSITIVE}";q={rate.amount};w={rate.get_expiry()}',
        "RateLimit": f'"{SENSITIVE}";r={limit.remaining};t={seconds}',
        "X-RateLimit-Limit": str(rate.amount),
        "X-RateLimit-Remaining": str(limit.remaining),
        "X-RateLimit-Reset": str(limit.reset_at),
    }


def _refuse(limit: RequestLimit) -> flask.Response:
    rate_limited.labels(SENSITIVE).inc()
    wait = max(1, limit.reset_at - int(time.time()))
    rate: RateLimitItem = limit.limit
    error = RateLimitExceeded(
        refusal_text(rate, wait),
        headers={**_headers(limit), "Retry-After": str(wait)},
    )
    return as_flask(problem_response(error, flask.request.environ["asgi.scope"]["state"]))

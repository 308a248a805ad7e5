"""Counting requests at the edge, which sees every answer, in some microseconds each."""

from collections.abc import Callable

from prometheus_client import Counter, Histogram
from starlette.types import Scope

from bugtracker import metrics

OTHER = "other"
"""The operation of pages, of paths that do not exist, and of methods they do not have."""

LOGINS = frozenset({"login", "login_by_magic_link", "complete_login"})
_OUTCOMES = {401: "failed", 422: "failed", 429: "limited"}


class RequestMeter:
    """The numbers of one server's requests. Lives on its event loop."""

    def __init__(self, operation_of: Callable[[str, str], str | None]) -> None:
        """``operation_of`` names the operation of a path and a method."""
        self._operation_of = operation_of
        # Looking a labelled number up costs more than counting.
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def begin(self) -> None:
        """A request has come."""
        metrics.in_flight.inc()

    def end(self, scope: Scope, status: int, seconds: float) -> None:
        """It was answered, or the client left."""
        metrics.in_flight.dec()
        operation = scope["state"].get("operation_id") or self._operation(scope)
        scope["state"]["operation"] = operation
        counter = self._counters.get((operation, status))
        if counter is None:
            counter = metrics.requests.labels(operation, str(status))
            self._counters[operation, status] = counter
        counter.inc()
        histogram = self._histograms.get(operation)
        if histogram is None:
            histogram = self._histograms[operation] = metrics.request_seconds.labels(operation)
        histogram.observe(seconds)
        if operation in LOGINS:
            metrics.logins.labels(operation, _outcome(status)).inc()

    def _operation(self, scope: Scope) -> str:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return self._operation_of(scope["path"], method) or OTHER


def _outcome(status: int) -> str:
    """A malformed request is no attempt to log in; it counts as an error."""
    return "accepted" if status < 300 else _OUTCOMES.get(status, "error")

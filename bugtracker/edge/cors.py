"""Cross-origin requests: an exact list of origins may read our answers, nobody else."""

from collections.abc import Callable, Iterable

from bugtracker.edge.exchange import Pairs

MethodsOf = Callable[[str], frozenset[str]]

ALL_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_REQUEST_HEADERS = (
    b"Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id"
)
_EXPOSED_HEADERS = (
    b"Content-Disposition, Content-Language, Deprecation, ETag, Idempotency-Replayed, Link, "
    b"Location, RateLimit, RateLimit-Policy, Retry-After, Sunset, WWW-Authenticate, "
    b"X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id"
)
_MAX_AGE_SECONDS = b"600"


class Cors:
    """The allow-list, with the headers of each origin made in advance."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Take origins such as `https://app.example`. ValueError for `*` and `null`."""
        self._headers = {origin: _origin_headers(origin) for origin in map(_exact, origins)}
        self.varies = bool(self._headers)
        """Whether answers depend on the Origin header."""

    def headers(self, origin: bytes | None) -> Pairs:
        """The headers that let a listed origin read the answer; none for any other."""
        return self._headers.get(origin, ()) if origin is not None else ()


def preflight_headers(allowed: frozenset[str]) -> Pairs:
    """What a browser wants to know before it sends the request itself."""
    return (
        (b"access-control-allow-methods", allow_value(allowed).encode()),
        (b"access-control-allow-headers", _REQUEST_HEADERS),
        (b"access-control-max-age", _MAX_AGE_SECONDS),
    )


def allowed_methods(methods_of: MethodsOf | None, path: str) -> frozenset[str]:
    """The methods of a path, with those that the edge adds; empty when the path is unknown."""
    methods = methods_of(path) if methods_of is not None else frozenset[str]()
    if not methods:
        return methods
    return methods | ({"HEAD", "OPTIONS"} if "GET" in methods else {"OPTIONS"})


def allow_value(methods: frozenset[str]) -> str:
    """The value of an Allow header."""
    return ", ".join(sorted(methods))


def _exact(origin: str) -> bytes:
    if "://" not in origin or "*" in origin:
        raise ValueError(f"{origin!r} is not an origin such as https://app.example")
    return origin.rstrip("/").lower().encode("ascii")


def _origin_headers(origin: bytes) -> Pairs:
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED_HEADERS),
    )

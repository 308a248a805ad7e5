"""Puts the application together. Nothing else does."""

from functools import partial

from connexion.middleware import ConnexionMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification
from starlette.types import ASGIApp

from bugtracker.backend import FlaskBackend
from bugtracker.contract import Contract, load_contract
from bugtracker.db import Database
from bugtracker.edge import Edge
from bugtracker.feed.watch import Watch
from bugtracker.jobs.queue import Queue
from bugtracker.longpoll import LongPolls
from bugtracker.messages import load_catalogues
from bugtracker.metrics.metering import RequestMeter
from bugtracker.middleware import ProblemMiddleware, ValidationMiddleware
from bugtracker.pages import Pages
from bugtracker.paths import PathIndex
from bugtracker.queries.foreseen import FORESEEN
from bugtracker.ratelimit import OperationLimits, RateLimitMiddleware
from bugtracker.request_counts import RequestCounter
from bugtracker.routing import handlers_of
from bugtracker.runtime import Runtime
from bugtracker.security.authentication import bearer_handler
from bugtracker.security.keys import KeyStore
from bugtracker.security.partners import partner_handler
from bugtracker.security.passwords import Hasher, PasswordPolicy
from bugtracker.security.secrets import Keyring
from bugtracker.settings import Settings
from bugtracker.threads import RequestThreads
from bugtracker.throttle import Shared
from bugtracker.tracing import traced
from bugtracker.workers import Workers


def create_runtime(settings: Settings) -> Runtime:
    """The shared services of a process. ``database_url`` and ``secret_key`` must be set by now."""
    if settings.database_url is None or settings.secret_key is None:
        raise ValueError("database_url and secret_key are required")
    db = Database(settings.database_url.get_secret_value(), pool_size=settings.threads + 8)
    keyring = Keyring(
        settings.secret_key.get_secret_value(),
        [key.get_secret_value() for key in settings.encryption_keys],
    )
    return Runtime(
        settings=settings,
        db=db,
        keyring=keyring,
        keys=KeyStore(db, keyring),
        hasher=Hasher(settings, keyring),
        policy=PasswordPolicy(settings),
        queue=Queue(),
    )


def create_app(
    runtime: Runtime, contract: Contract | None = None, watch: Watch | None = None
) -> ASGIApp:
    """The ASGI application: edge → pages → long polls → threads → Connexion (problems, routing,
    security, validation, limits of operations) → Flask views."""
    load_catalogues()
    contract = contract or load_contract()
    settings = runtime.settings
    shared = _shared_counts(settings.redis_url.get_secret_value()) if settings.redis_url else None
    paths = PathIndex(contract)
    limits = OperationLimits(runtime, shared)
    workers = Workers(settings.threads, settings.busy_threads)
    requests = RequestThreads(_connexion(runtime, contract, paths, limits), workers)
    api = LongPolls(requests, watch or Watch(runtime.db))
    pages = Pages(api, contract, settings)
    edge = Edge(
        pages,
        settings,
        methods_of=pages.methods_of(paths.methods),
        shared=shared,
        recent_keys=runtime.recent_keys,
        counter=RequestCounter(runtime.request_counts, runtime.db, paths.operation),
        meter=RequestMeter(paths.operation),
    )
    return traced(edge)


def _shared_counts(redis_url: str) -> Shared:
    # Imported where there is a Redis only: it takes memory and time.
    from bugtracker.throttle.shared import SharedCounts

    return SharedCounts(redis_url)


def _trust(_self: object, _document: object) -> None:
    """Connexion holds the document against OpenAPI's own schema for every application it makes,
    which took half of our start-up. tests/test_contract.py does that, once and more strictly."""


OpenAPISpecification._validate_spec = _trust


def _connexion(
    runtime: Runtime, contract: Contract, paths: PathIndex, limits: OperationLimits
) -> ASGIApp:
    handlers = handlers_of(contract)
    middleware = ConnexionMiddleware(
        FlaskBackend(contract, handlers, runtime),
        import_name="bugtracker",
        middlewares=[
            partial(ProblemMiddleware, paths=paths),
            RoutingMiddleware,
            SecurityMiddleware,
            partial(ValidationMiddleware, contract=contract),
            partial(RateLimitMiddleware, contract=contract, limits=limits),
        ],
        security_map={
            "bearer": bearer_handler(runtime, contract.operations, FORESEEN),
            "apiKey": partner_handler(runtime),
        },
        resolver=Resolver(handlers.__getitem__),
    )
    middleware.add_api(contract.for_connexion())
    app: ASGIApp = middleware
    return app

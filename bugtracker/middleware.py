"""Our layers in Connexion's stack: errors outermost, validation after security."""

from dataclasses import dataclass
from typing import Any

import structlog
from connexion.exceptions import ProblemException
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from bugtracker.contract import Contract
from bugtracker.db_errors import as_app_error
from bugtracker.errors import (
    AppError,
    MethodNotAllowed,
    RequestMalformed,
    ResourceNotFound,
    problem_bytes,
    problem_headers,
    raw_headers,
)
from bugtracker.language import language_of
from bugtracker.messages import _
from bugtracker.paths import PathIndex
from bugtracker.schemas import Schemas
from bugtracker.validation import OperationValidator, require_valid

log = structlog.get_logger()


class ProblemMiddleware:
    """Answers refusals of the layers inside as problem+json; other exceptions are the edge's.

    Also decides 404 and 405 before routing: Starlette's own answers are plain text, and its
    ``Allow`` names the first matching route only.
    """

    def __init__(self, app: ASGIApp, *, paths: PathIndex) -> None:
        self.app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._require_route(scope["path"], scope["method"])
            await self.app(scope, receive, send)
        except AppError as error:
            await send_problem(error, scope, send)
        except (DBAPIError, PoolTimeout) as error:
            await send_problem(as_app_error(error), scope, send)
        except (HTTPException, ProblemException) as error:
            log.warning("unexpected_http_exception", error=repr(error))
            await send_problem(RequestMalformed(_("The request cannot be handled.")), scope, send)

    def _require_route(self, path: str, method: str) -> None:
        methods = self._paths.methods(path)
        if methods is None:
            raise ResourceNotFound(_("There is no such path; see /docs."))
        if method not in methods:
            allow = ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} & _head(methods))))
            raise method_not_allowed(allow)


def method_not_allowed(allow: str) -> MethodNotAllowed:
    """The 405 of a path with these methods."""
    return MethodNotAllowed(_("Allowed here: {allow}.", allow=allow), headers={"Allow": allow})


def _head(methods: frozenset[str]) -> set[str]:
    return {"HEAD"} if "GET" in methods else set()


async def send_problem(error: AppError, scope: Scope, send: Send) -> None:
    """Sends an error's problem document, in the language of whoever asked."""
    language = language_of(scope["state"])
    body = problem_bytes(error, scope["state"], language)
    raw = [
        *raw_headers(problem_headers(error, language)),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class ValidatedRequest:
    """Parameters and body of a request that matches the contract, parsed once."""

    path: dict[str, Any]
    query: dict[str, Any]
    headers: dict[str, Any]
    body: Any


class _ValidationOperation:
    def __init__(self, next_app: ASGIApp, validator: OperationValidator) -> None:
        self._next_app = next_app
        self._validator = validator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        scope["state"]["validated"] = self._validate(scope, message["body"])
        await self._next_app(scope, receive, send)

    def _validate(self, scope: Scope, content: bytes) -> ValidatedRequest:
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        values, violations = self._validator.parameters(
            scope.get("path_params", {}), scope["query_string"], headers
        )
        media_type = headers.get("content-type", "").partition(";")[0].strip() or None
        body, found = self._validator.body(media_type, content)
        require_valid(violations + found)
        return ValidatedRequest(values["path"], values["query"], values["header"], body)


class _ValidationAPI(RoutedAPI[_ValidationOperation]):
    def __init__(self, *args: Any, validators: dict[str, OperationValidator], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._validators = validators
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> _ValidationOperation:
        return _ValidationOperation(self.next_app, self._validators[operation.operation_id])


class ValidationMiddleware(RoutedMiddleware[_ValidationAPI]):
    """Replaces Connexion's request validation with compiled validators that report everything."""

    api_cls = _ValidationAPI

    def __init__(self, app: ASGIApp, *, contract: Contract) -> None:
        super().__init__(app)
        schemas = Schemas(contract)
        self._validators = {
            operation.id: OperationValidator(operation, contract, schemas)
            for operation in contract.operations.values()
        }

    def add_api(self, specification: Any, **kwargs: Any) -> _ValidationAPI:
        api: _ValidationAPI = super().add_api(specification, validators=self._validators, **kwargs)
        return api

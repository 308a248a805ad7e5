"""Holds every answer to the contract: status, headers, body."""

import re
from typing import Any

import httpx
from jsonschema_rs import Draft202012Validator

from bugtracker.contract import Contract, Operation
from bugtracker.errors import PROBLEM_MEDIA_TYPE
from bugtracker.schemas import Schemas

Answered = tuple[str, str, str]
"""Operation, status, and the code of a problem, else nothing."""

ANSWERED: set[Answered] = set()
"""What this process has seen; :mod:`tests.answers` asks for all."""


class Conformance:
    """Checks responses; an httpx response hook."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._schemas = Schemas(contract)
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}
        self._routes = [(_pattern(op.path), op) for op in contract.operations.values()]

    def __call__(self, response: httpx.Response) -> None:
        response.read()
        operation = self._operation(response.request)
        if operation is not None:
            self.check(operation, response)

    def _operation(self, request: httpx.Request) -> Operation | None:
        method = "get" if request.method == "HEAD" else request.method.lower()
        for pattern, operation in self._routes:
            if operation.method == method and pattern.fullmatch(request.url.path):
                return operation
        return None

    def check(self, operation: Operation, response: httpx.Response) -> None:
        """AssertionError when the answer is not what the contract documents."""
        status = str(response.status_code)
        documented = operation.raw["responses"]
        assert status in documented, f"{operation.id} answered an undocumented {status}"
        node = self._contract.resolve(documented[status])
        for name, header in node.get("headers", {}).items():
            if self._contract.resolve(header).get("required"):
                assert name in response.headers, f"{operation.id} {status} lacks {name}"
        if "content" not in node:
            ANSWERED.add((operation.id, status, ""))
            assert not response.content, f"{operation.id} {status} has a body"
            return
        media_type = response.headers["content-type"].partition(";")[0]
        assert media_type in node["content"], f"{operation.id} {status} is {media_type}"
        if response.request.method != "HEAD":
            ANSWERED.add((operation.id, status, _code(response)))
            self._check_body(operation, status, node["content"][media_type], response)

    def _check_body(self, operation: Operation, status: str, media: Any, response: Any) -> None:
        key = (operation.id, f"{status} {response.headers['content-type']}")
        if key not in self._validators:
            self._validators[key] = self._schemas.compile(media["schema"])
        errors = [
            f"{'/'.join(map(str, error.instance_path))}: {error.message}"
            for error in self._validators[key].iter_errors(_content(response))
        ]
        assert not errors, f"{operation.id} {status}: {errors}"
        if (code := _code(response)) and "examples" in media:
            assert code in media["examples"], f"{operation.id} {status}: {code} is undocumented"


def _code(response: httpx.Response) -> str:
    """The code of a problem, else nothing."""
    is_problem = response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    return str(response.json()["code"]) if is_problem else ""


def _content(response: httpx.Response) -> Any:
    """The body as its schema sees it: JSON, or text."""
    is_json = re.match(r"application/([a-z.]+\+)?json\b", response.headers["content-type"])
    return response.json() if is_json else response.text


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)))

"""Every example of a request does what the contract shows beside it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from bugtracker.contract import Operation, load_contract
from tests.examples.comparing import differences, normalised
from tests.examples.preparing import PREPARATIONS, swapped
from tests.examples.scene import Scene, Stage, place
from tests.partners import Partner

CONTRACT = load_contract()
OPERATIONS = CONTRACT.operations.values()


def examples_of(operation: Operation) -> Iterator[tuple[str, Any]]:
    """The name and value of each example of a request."""
    for media in operation.raw.get("requestBody", {}).get("content", {}).values():
        for name, example in media["examples"].items():
            yield name, CONTRACT.resolve(example)["value"]


def send(
    operation: Operation, by: httpx.Client | Partner, target: str, body: Any, **headers: str
) -> httpx.Response:
    method = operation.method.upper()
    if isinstance(by, Partner):
        return by.send(method, target, json.dumps(body).encode())
    if "428" in operation.raw["responses"]:
        headers["If-Match"] = "*"
    return by.request(method, target, json=body, headers=headers)


def told(operation: Operation, answer: httpx.Response) -> list[str]:
    """Why the answer is like no example of it: what the one that is most like it has otherwise."""
    if not answer.is_success:
        return [answer.text]
    documented = CONTRACT.resolve(operation.raw["responses"][str(answer.status_code)])
    media = documented.get("content", {}).get("application/json")
    if media is None:
        return []
    body = normalised(answer.json())
    return min(
        (
            differences(body, normalised(CONTRACT.resolve(each)["value"]))
            for each in media["examples"].values()
        ),
        key=len,
    )


class TestRequestExamples:
    def test_each_operation_that_has_one_is_prepared(self) -> None:
        assert PREPARATIONS.keys() == {each.id for each in OPERATIONS if each.body is not None}

    def test_each_is_answered_as_documented(self, stage: Stage) -> None:
        wrong = [
            f"{operation.id} {name} {line}"
            for operation in OPERATIONS
            for name, example in examples_of(operation)
            for line in self._differences(stage.scene(), operation, name, example)
        ]
        assert not wrong, "\n".join(wrong)

    def _differences(
        self, scene: Scene, operation: Operation, name: str, example: Any
    ) -> list[str]:
        prepared = PREPARATIONS[operation.id](scene, name)
        target = place(scene, operation.path, **prepared.places)
        body = swapped(example, prepared.swapped)
        return told(operation, send(operation, prepared.by, target, body))

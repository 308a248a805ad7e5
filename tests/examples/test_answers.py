"""Answers that need things which exist, given by every operation that documents them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bugtracker.contract import Operation
from tests.answers import documented
from tests.examples.preparing import PREPARATIONS, owner, swapped
from tests.examples.scene import Scene, Stage, place
from tests.examples.test_requests import OPERATIONS, examples_of, send
from tests.jobs.running import eventually
from tests.parallel import standstill
from tests.repeating import IN_USE, REUSED, count_claims, new_key
from tests.test_common_answers import all_give
from tests.test_oddities_targets import IDS
from tests.world import refused

HOLD = "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE"
"""Whatever is made is an event: nothing is made meanwhile."""


def documenting(code: str) -> list[Operation]:
    names = {operation for operation, _, given in documented() if given == code}
    return [each for each in OPERATIONS if each.id in names]


class Repeated:
    """A request that succeeds, and another one that could; both with one Idempotency-Key."""

    def __init__(self, operation: Operation, scene: Scene) -> None:
        examples = [*examples_of(operation)] or [("", None)]
        name, example = examples[0]
        prepared = PREPARATIONS.get(operation.id, owner)(scene, name)
        self._operation, self._by, self._key = operation, prepared.by, new_key()
        self._target = place(scene, operation.path, **prepared.places)
        self._body = swapped(example, prepared.swapped)
        self._other_body = (
            examples[1][1] if examples[1:] else {**(example or {}), "role": "auditor"}
        )

    def same(self) -> httpx.Response:
        return send(self._operation, self._by, self._target, self._body, **self._key)

    def other(self) -> httpx.Response:
        """About something else, or where there is nothing else, with another body."""
        target = self._operation.path.format(**IDS)
        body = self._body if target != self._target else self._other_body
        return send(self._operation, self._by, target, body, **self._key)


class TestIdempotencyKey:
    def test_is_refused_while_the_first_request_is_at_work_and_for_another_one(
        self, stage: Stage
    ) -> None:
        in_use, reused = documenting(IN_USE), documenting(REUSED)
        assert in_use == reused
        for operation in in_use:
            self._refused_while_at_work(stage, Repeated(operation, stage.scene()))

    def _refused_while_at_work(self, stage: Stage, request: Repeated) -> None:
        with standstill(stage.admin_url) as still, ThreadPoolExecutor(1) as pool:
            still.execute(HOLD)
            first = pool.submit(request.same)
            eventually(lambda: count_claims(stage.world.runtime) == 1)
            refused(request.same(), 409, IN_USE)
            refused(request.other(), 422, REUSED)
            still.release()
            assert first.result().is_success, first.result().text


class TestLists:
    @pytest.mark.parametrize(
        ("code", "query"),
        [
            ("cursor_invalid", {"cursor": "A", "after": "A"}),
            ("filter_invalid", {"filter": "(("}),
        ],
    )
    def test_refuse_what_they_cannot_read(
        self, stage: Stage, code: str, query: dict[str, str]
    ) -> None:
        scene = stage.scene()
        targets = {each.id: place(scene, each.path) for each in documenting(code)}

        def ask(client: httpx.Client, operation: Operation) -> httpx.Response:
            if operation.body is not None:
                return send(operation, client, targets[operation.id], self._body(operation, query))
            has = {each.name for each in operation.parameters}
            needed = {"q": "tide"} if "q" in has else {}
            given = {name: value for name, value in query.items() if name in has}
            return client.get(targets[operation.id], params={**needed, **given})

        all_give(scene.charles.http, 400, code, ask)

    def _body(self, operation: Operation, query: dict[str, str]) -> Any:
        return {**next(examples_of(operation))[1], **query}

"""Whether all servers answer alike: what is faster because it does less is no reference."""

from collections.abc import Sequence
from typing import Any

import httpx

from bench.scene import Scene
from bench.servers import Running
from bench.workloads import Request, Workload

TRIED = 25
NEW = ("id", "key", "number", "created_at", "updated_at", "version", "title")
"""What each server gives anew where something is written."""


def require_same(servers: Sequence[Running], workloads: Sequence[Workload], scene: Scene) -> None:
    """SystemExit, with the first difference, unless every item is field by field as ours is."""
    ours = next((each for each in servers if each.kind.ours), servers[0])
    for workload in workloads:
        others = [each for each in servers if each is not ours]
        for request in workload.requests(scene)[:TRIED]:
            expected = answer(ours, request)
            for other in others:
                _compare(workload, expected, answer(other, request), other, request)


def answer(server: Running, request: Request) -> tuple[int, Any]:
    """(status, parsed body); anything but a success is SystemExit."""
    headers = {"Authorization": f"Bearer {request.token}"} if request.token else {}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    url = f"http://127.0.0.1:{server.ports[0]}{request.path}"
    got = httpx.request(request.method, url, headers=headers, content=request.body, timeout=30)
    if not got.is_success:
        raise SystemExit(
            f"bench: {server.kind.title} answers {got.status_code} to {request.method} "
            f"{request.path}: {got.text[:500]}"
        )
    return got.status_code, got.json() if got.content else None


def _compare(
    workload: Workload,
    expected: tuple[int, Any],
    got: tuple[int, Any],
    other: Running,
    request: Request,
) -> None:
    if _bare(expected, workload.writes) != _bare(got, workload.writes):
        raise SystemExit(
            f"bench: {other.kind.title} answers otherwise than ours to {request.method} "
            f"{request.path}:\n{got}\nrather than\n{expected}"
        )


def _bare(answered: tuple[int, Any], writes: bool) -> tuple[int, Any]:
    """Without cursors, which each server makes in its own way, and what is new in each write."""
    status, body = answered
    without = {"next_cursor": None if body.get("next_cursor") is None else "a cursor"}
    if writes:
        without = dict.fromkeys(NEW)
    return status, {**body, **{name: value for name, value in without.items() if name in body}}

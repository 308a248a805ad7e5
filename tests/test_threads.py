"""Requests in threads: each whole in one, none that waits for another, nothing left behind."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy.pool import QueuePool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bugtracker import threads
from bugtracker.threads import LOOP, OPENED, STREAM, RequestThreads, StreamBroken, on_loop
from bugtracker.workers import Workers
from tests.parallel import at_once
from tests.relay import Relay
from tests.world import PASSWORD, World

ANSWER: list[Message] = [
    {"type": "http.response.start", "status": 200, "headers": []},
    {"type": "http.response.body", "body": b"done"},
]


class Closable:
    """Stands for a transaction."""

    def __init__(self) -> None:
        self.closed_by: list[str] = []

    def close(self) -> None:
        self.closed_by.append(threading.current_thread().name)


def in_threads(app: ASGIApp, threads: int) -> RequestThreads:
    return RequestThreads(app, Workers(threads, threads))


def scope_of() -> Scope:
    return {"type": "http", "state": {"body": b"sent"}}


async def asked(app: ASGIApp, scope: Scope, *, gone: bool = False) -> list[Message]:
    """What a client gets that stays, or that has left."""
    sent: list[Message] = []
    asks: list[Message] = [{"type": "http.request", "body": b"sent", "more_body": False}]

    async def receive() -> Message:
        if asks:
            return asks.pop()
        if not gone:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    await app(scope, receive, send)
    return sent


class TestOneThread:
    def test_runs_all_of_a_request_with_its_body(self) -> None:
        where = set()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            where.add(threading.current_thread().name)
            assert (await receive())["body"] == b"sent"
            for message in ANSWER:
                await send(message)

        many = in_threads(app, 1)

        async def scene() -> list[list[Message]]:
            return await asyncio.gather(*(asked(many, scope_of()) for _ in range(20)))

        assert asyncio.run(scene()) == [ANSWER] * 20
        assert len(where) == 1
        assert threading.current_thread().name not in where

    @pytest.mark.parametrize("ending", ["answers", "fails", "waits"])
    def test_closes_there_what_was_opened(self, ending: str) -> None:
        opened, scope = Closable(), scope_of()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][OPENED] = opened
            if ending == "fails":
                raise LookupError("failed")
            if ending == "waits":
                await asyncio.sleep(0)
            for message in ANSWER:
                await send(message)

        run = asked(in_threads(app, 1), scope)
        if ending == "answers":
            assert asyncio.run(run) == ANSWER
        else:
            with pytest.raises(
                (LookupError, RuntimeError), match=r"failed|waits on the event loop"
            ):
                asyncio.run(run)
        (name,) = opened.closed_by
        assert name.startswith("handler")
        assert OPENED not in scope["state"]

    def test_closes_it_also_when_nobody_waits_any_more(self) -> None:
        opened, begun, go = Closable(), threading.Event(), threading.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][OPENED] = opened
            begun.set()
            go.wait(10)
            for message in ANSWER:
                await send(message)

        async def scene() -> None:
            app_of_threads = in_threads(app, 1)
            task = asyncio.create_task(asked(app_of_threads, scope_of()))
            await asyncio.to_thread(begun.wait, 10)
            # As a server does that has waited long enough at its end.
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert opened.closed_by == []
            go.set()
            # The one thread is free again only when it has closed it.
            await asked(app_of_threads, scope_of())

        asyncio.run(scene())
        assert len(opened.closed_by) == 2


class TestLoop:
    def test_answers_all_threads_at_once(self) -> None:
        barrier = threading.Barrier(4, timeout=10)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            barrier.wait()
            assert on_loop(scope, asyncio.sleep(0.01, "slept")) == "slept"
            for message in ANSWER:
                await send(message)

        many = in_threads(app, 4)

        async def scene() -> list[list[Message]]:
            async with asyncio.timeout(10):
                return await asyncio.gather(*(asked(many, scope_of()) for _ in range(40)))

        assert asyncio.run(scene()) == [ANSWER] * 40

    def test_that_has_stopped_keeps_no_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def never() -> None:
            """Nobody runs it."""

        monkeypatch.setattr(threads, "LOOP_SECONDS", 0.05)
        loop = asyncio.new_event_loop()
        work = never()
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            on_loop({"state": {LOOP: loop}}, work)
        assert time.monotonic() - begun < 5
        work.close()
        loop.close()


class TestStream:
    @staticmethod
    def app_of(chunks: Iterator[bytes]) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(ANSWER[0])
            scope["state"][STREAM] = chunks

        return in_threads(app, 1)

    def test_is_made_piece_by_piece(self) -> None:
        sent = asyncio.run(asked(self.app_of(iter([b"a", b"b"])), scope_of()))
        assert [message.get("body") for message in sent] == [None, b"a", b"b", b""]

    def test_ends_when_the_client_has_left(self) -> None:
        made: list[int] = []

        def chunks() -> Iterator[bytes]:
            for number in range(1000):
                made.append(number)
                yield b"x"

        asyncio.run(asked(self.app_of(chunks()), scope_of(), gone=True))
        assert len(made) < 10

    def test_that_breaks_off_is_no_answer(self) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"a"
            raise LookupError

        with pytest.raises(StreamBroken):
            asyncio.run(asked(self.app_of(chunks()), scope_of()))


class TestCrowds:
    def test_that_need_two_connections_each_are_all_served(
        self, other_world: Callable[..., AbstractContextManager[World]]
    ) -> None:
        """A key that was never used notes its use, and claims of keys are transactions of their
        own: while the request's has begun."""
        with other_world(threads=12) as world:
            org = world.create_org()
            issues = f"/api/projects/{org.manager.create_project()['id']}/issues"
            keys = [
                world.with_key(org.admin.create_api_key("issues.create", name=f"Key {number}"))
                for number in range(60)
            ]
            answers = at_once(
                [
                    lambda key=key: key.post(  # type: ignore[misc]
                        issues, json={"title": "A"}, headers={"Idempotency-Key": uuid4().hex}
                    )
                    for key in keys
                ]
            )
            assert {answer.status_code for answer in answers} == {201}
            listed = org.admin.get("/api/issues?limit=100").json()["items"]
            assert len(listed) == 60
            pool = world.runtime.db.engine.pool
            assert isinstance(pool, QueuePool)
            assert pool.checkedout() == 0

    def test_that_log_in_while_redis_is_frozen_are_all_answered(
        self, other_world: Callable[..., AbstractContextManager[World]], relay: Relay
    ) -> None:
        with other_world(threads=4, redis_url=SecretStr(relay.url)) as world:
            caller = world.create_org().developer
            body = {"email": caller.email, "password": PASSWORD}
            http = world.client()
            relay.freeze()
            answers = at_once([lambda: http.post("/api/auth/login", json=body)] * 50)
            relay.thaw()
            assert {answer.status_code for answer in answers} == {200}

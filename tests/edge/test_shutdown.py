"""What is done before a server says that it is done."""

import asyncio

from limits import parse
from redis import Redis
from starlette.types import Message

from bugtracker.edge import Edge
from bugtracker.settings import Settings
from bugtracker.throttle.shared import SharedCounts

from .serving import Inner, methods_of

DATABASE = 7
"""One that no other test uses, so that its connections are ours."""


class TestShutdown:
    def test_closes_the_connections_to_redis_first(self, redis_port: int) -> None:
        """The server waits for nothing that is done after it has heard."""
        shared = SharedCounts(f"redis://127.0.0.1:{redis_port}/{DATABASE}")
        edge = Edge(Inner(), Settings(), methods_of=methods_of, shared=shared)
        asked = iter(("lifespan.startup", "lifespan.shutdown"))
        connections = []

        async def receive() -> Message:
            assert await shared.hit(parse("10/minute"), "shutdown", "somebody") is not None
            return {"type": next(asked)}

        async def send(_: Message) -> None:
            with Redis(port=redis_port) as redis:
                connections.append([c["db"] for c in redis.client_list()].count(str(DATABASE)))

        asyncio.run(edge({"type": "lifespan"}, receive, send))
        assert connections == [1, 0]

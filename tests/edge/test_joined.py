"""Head and body of an answer leave in one packet."""

import asyncio
from typing import Any, cast

from bugtracker.edge.joined import JoinedWrites


class Wire:
    """Stands for a transport, and keeps what happens to it."""

    def __init__(self) -> None:
        self.happened: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.happened.append(data)

    def close(self) -> None:
        self.happened.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.happened


async def joined_over(wire: Wire) -> JoinedWrites:
    return JoinedWrites(cast(Any, wire), asyncio.get_running_loop())


class TestWrites:
    def test_of_one_moment_are_one(self) -> None:
        async def scene() -> list[bytes | str]:
            joined = await joined_over(wire := Wire())
            joined.write(b"head")
            joined.write(b"body")
            assert wire.happened == []
            await asyncio.sleep(0)
            joined.write(b"more")
            await asyncio.sleep(0)
            return wire.happened

        assert asyncio.run(scene()) == [b"headbody", b"more"]

    def test_come_before_the_end(self) -> None:
        async def scene() -> list[bytes | str]:
            joined = await joined_over(wire := Wire())
            joined.write(b"last")
            joined.close()
            await asyncio.sleep(0)
            return wire.happened

        assert asyncio.run(scene()) == [b"last", "closed"]

    def test_are_all_that_differs_from_the_transport(self) -> None:
        async def scene() -> tuple[bool, bool]:
            joined = await joined_over(Wire())
            before = joined.is_closing()
            joined.close()
            return before, joined.is_closing()

        assert asyncio.run(scene()) == (False, True)

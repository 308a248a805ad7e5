"""Whether Redis answers."""

from functools import cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

REDIS_SECONDS = 0.3


def answers(url: str) -> bool:
    """Whether the Redis at this URL answers within a third of a second."""
    try:
        return bool(_client(url).ping())
    except (RedisError, OSError):
        return False


@cache
def _client(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )

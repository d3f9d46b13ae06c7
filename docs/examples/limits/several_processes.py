"""How do several processes stay under one limit? A window of calls that they share in Redis."""

from __future__ import annotations

import hashlib
from types import TracebackType

from pyrate_limiter import Limiter, Rate, RedisBucket
from pyrate_limiter.buckets.redis_bucket import LuaScript
from pyrate_limiter.limiter import SingleBucketFactory
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

# As it comes, the script counts the calls before the asking one's own time. Of two that ask at
# once, the one with the earlier time may come second and not see the other: 24 of 20 got through.
SCRIPT = LuaScript.PUT_ITEM.replace("window_start, now)", "window_start, '+inf')")
assert SCRIPT != LuaScript.PUT_ITEM, "this version of pyrate-limiter has another script"


def bucket_key(base_url: str, username: str) -> str:
    """Name the bucket of one ClickSend account: what shares a limit shares a bucket."""
    return f"clicksend:{hashlib.sha256(f'{base_url} {username}'.encode()).hexdigest()[:32]}"


def connect(url: str) -> Redis:
    """Make a Redis that says soon that it cannot be reached; one retry finds it after a restart."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 1), socket_timeout=5)


class SharedCallLimit:
    """At most so many calls by all who share the bucket, in any window of so many seconds."""

    def __init__(self, redis: Redis, key: str, calls: int, seconds: float) -> None:
        self.redis, self.key = redis, key
        self.rates = [Rate(calls, round(seconds * 1000))]

    async def __aenter__(self) -> None:
        script = await self.redis.script_load(SCRIPT)  # a restart of Redis forgets it
        bucket = RedisBucket(self.rates, self.redis, self.key, script)
        await self.redis.zremrangebyscore(self.key, 0, bucket.now() - self.rates[0].interval)
        if not await Limiter(SingleBucketFactory(bucket, schedule_leak=False)).try_acquire_async():
            raise RuntimeError("the limiter gave no permit")

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to give back: a call stays in its window."""

"""A limit of N requests in any minute, without another package."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

_MINUTE = 60.0


class PerMinute:
    """A limiter for AsyncResellerClient: entering waits where the last minute is full.

    Args:
        limit: entries in any 60 seconds.
        clock: seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        limit: int,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._starts: deque[float] = deque(maxlen=limit)
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> None:
        async with self._turn:
            if len(self._starts) == self._starts.maxlen:
                await self._sleep(max(0.0, self._starts[0] + _MINUTE - self._clock()))
            self._starts.append(self._clock())

    async def __aexit__(self, *exc_info: object) -> None:
        pass

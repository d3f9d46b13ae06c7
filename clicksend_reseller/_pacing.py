"""When may an attempt start? Places, the pause after a 429, and the caller's limiter."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from clicksend_reseller.errors import APITimeoutError

_logger = logging.getLogger("clicksend_reseller")

# After a pause one call goes first; the others follow spread over this many seconds.
SPREAD_SECONDS = 1.0

Limiter = contextlib.AbstractAsyncContextManager[Any, Any]


class Pacing:
    """The gate that every attempt of a client passes.

    Args:
        max_concurrency: exchanges at once.
        max_pause: seconds that a server's wish may hold the client at most.
        limiter: entered once for each attempt and held through its exchange.
        clock: seconds that never run backwards.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_pause: float,
        limiter: Limiter | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._places = asyncio.Semaphore(max_concurrency)
        self._max_pause = max_pause
        self._limiter = limiter
        self._clock = clock
        self._sleep = sleep
        self._paused_until = 0.0
        self._held_until: dict[str, float] = {}
        self._probe: asyncio.Event | None = None

    def pause(self, seconds: float) -> None:
        """Hold all calls: limits look like a fixed clock minute (L), shared by all tasks."""
        until = self._clock() + min(seconds, self._max_pause)
        self._paused_until = max(self._paused_until, until)

    def hold(self, operation: str, seconds: float) -> None:
        """Hold the calls of one operation: limits look to be for each endpoint (L)."""
        self._held_until[operation] = self._clock() + min(seconds, self._max_pause)

    @contextlib.asynccontextmanager
    async def turn(self, operation: str, *, deadline: float) -> AsyncGenerator[None]:
        """Wait for a place, the pause and the limiter, and hold them through an exchange.

        Args:
            operation: the name of the client's method.
            deadline: the clock's time at which the call ends anyway.

        Raises:
            APITimeoutError: the pause is longer than the call may take; nothing was sent.
        """
        async with self._places, self._after_pause(operation, deadline), self._within_limits():
            yield

    @contextlib.asynccontextmanager
    async def _after_pause(self, operation: str, deadline: float) -> AsyncGenerator[None]:
        if not await self._goes_first(operation, deadline):
            yield
            return
        probe = self._probe = asyncio.Event()
        try:
            yield
        finally:
            self._probe = None
            probe.set()

    async def _goes_first(self, operation: str, deadline: float) -> bool:
        while await self._wait(operation, deadline) or self._probe is not None:
            if self._probe is None:
                return True
            await self._probe.wait()
            await self._sleep(random.uniform(0, SPREAD_SECONDS))  # noqa: S311 - hides nothing
        return False

    async def _wait(self, operation: str, deadline: float) -> bool:
        waited = False
        while (until := self._resumes_at(operation)) > (now := self._clock()):
            if until > deadline:
                raise APITimeoutError(
                    f"the API asked this client to wait {until - now:.0f} s more, "
                    "which is longer than the call's deadline",
                    permanent=True,
                )
            waited = True
            await self._sleep(until - now)
        return waited

    def _resumes_at(self, operation: str) -> float:
        return max(self._paused_until, self._held_until.get(operation, 0.0))

    @contextlib.asynccontextmanager
    async def _within_limits(self) -> AsyncGenerator[None]:
        if self._limiter is None:
            yield
            return
        try:
            await self._limiter.__aenter__()
        except Exception as exc:
            exc.add_note("nothing was sent")
            raise
        try:
            yield
        finally:
            await self._leave(self._limiter)

    async def _leave(self, limiter: Limiter) -> None:
        try:
            await limiter.__aexit__(None, None, None)
        except Exception:
            # The exchange has ended and its result counts, money or error.
            _logger.exception("the limiter failed after an exchange had ended")

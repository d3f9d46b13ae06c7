"""When an attempt may start: slots, the pause after a 429, and the caller's limiter."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from clicksend_reseller.errors import APITimeoutError

_logger = logging.getLogger("clicksend_reseller")

# After a pause one call goes first; the others follow spread over this many seconds.
SPREAD_SECONDS = 1.0

Limiter = contextlib.AbstractAsyncContextManager[Any, Any]


class LimiterRaisedError(Exception):
    """Carries what the caller's limiter raised past the handling of our own errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Throttle:
    """Delays the attempts of a client until they may start.

    Args:
        max_concurrency: exchanges at once.
        max_pause: seconds that a server's wish may hold the client at most.
        limiter: entered once for each attempt and held through its exchange.
        clock: seconds that never run backwards; the loop's, as the deadlines are.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_pause: float,
        limiter: Limiter | None = None,
        clock: Callable[[], float] = _loop_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slots = asyncio.Semaphore(max_concurrency)
        self._max_pause = max_pause
        self._limiter = limiter
        self._clock = clock
        self._sleep = sleep
        self._paused_until = 0.0
        self._held_until: dict[str, float] = {}
        # After a pause one attempt probes alone: whether it is still to begin, and its end.
        self._needs_probe = False
        self._probe: asyncio.Event | None = None

    def pause(self, seconds: float) -> None:
        """Hold all calls: limits look like a fixed clock minute (L), shared by all tasks."""
        until = self._clock() + min(seconds, self._max_pause)
        self._paused_until = max(self._paused_until, until)
        self._needs_probe = True

    def hold(self, operation: str, seconds: float) -> None:
        """Hold the calls of one operation: limits look to be for each endpoint (L)."""
        self._held_until[operation] = self._clock() + min(seconds, self._max_pause)

    def turn(
        self, operation: str, *, deadline: float
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Wait for a slot, the pause and the limiter, and hold them through an exchange.

        Args:
            operation: the name of the client's method.
            deadline: the clock's time at which the call ends anyway.

        Raises:
            APITimeoutError: the pause is longer than the call may take; nothing was sent.
            LimiterRaisedError: the limiter let nothing through.
        """
        if (
            self._limiter is None
            and self._probe is None
            and not self._needs_probe
            and not self._slots.locked()
            and self._resumes_at(operation) <= self._clock()
        ):
            return self._slots  # nothing to wait for: 1.7 µs in place of 6 to 8
        return self._queued(operation, deadline)

    @contextlib.asynccontextmanager
    async def _queued(self, operation: str, deadline: float) -> AsyncGenerator[None]:
        ended, started = asyncio.Event(), False
        await self._take_slot(operation, deadline)
        try:
            await self._probe_or_wait(ended, operation, deadline)
            async with self._within_limits():
                # Another pause may have begun while the limiter made this call wait.
                await self._probe_or_wait(ended, operation, deadline)
                started = True
                yield
        finally:
            self._slots.release()
            if self._probe is ended:
                self._probe, self._needs_probe = None, self._needs_probe or not started
                ended.set()

    async def _take_slot(self, operation: str, deadline: float) -> None:
        """Take a slot, but never wait on one: while one operation is held, others go on."""
        while True:
            await self._wait_out(operation, deadline)
            await self._slots.acquire()
            if self._resumes_at(operation) <= self._clock():
                return
            self._slots.release()

    def _resumes_at(self, operation: str) -> float:
        return max(self._paused_until, self._held_until.get(operation, 0.0))

    async def _wait_out(self, operation: str, deadline: float) -> None:
        while (until := self._resumes_at(operation)) > (now := self._clock()):
            if until > deadline:
                raise APITimeoutError(
                    f"the API asked this client to wait {until - now:.0f} s more, "
                    "which is longer than the call's deadline",
                    permanent=True,
                )
            await self._sleep(until - now)

    async def _probe_or_wait(self, ended: asyncio.Event, operation: str, deadline: float) -> None:
        await self._wait_out(operation, deadline)
        while self._probe is not None and self._probe is not ended:
            await self._probe.wait()
            await self._sleep(random.uniform(0, SPREAD_SECONDS))  # noqa: S311 - hides nothing
            await self._wait_out(operation, deadline)
        if self._needs_probe:
            self._needs_probe, self._probe = False, ended

    @contextlib.asynccontextmanager
    async def _within_limits(self) -> AsyncGenerator[None]:
        if self._limiter is None:
            yield
            return
        try:
            await self._limiter.__aenter__()
        except Exception as exc:
            raise LimiterRaisedError(exc) from exc
        try:
            yield
        finally:
            await self._exit_limiter(self._limiter)

    async def _exit_limiter(self, limiter: Limiter) -> None:
        try:
            await limiter.__aexit__(None, None, None)
        except Exception:
            # The exchange has ended and its result counts, money or error.
            _logger.exception("the limiter failed after an exchange had ended")

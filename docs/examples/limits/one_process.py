"""How does one process stay under the API's limit? A window of calls, kept in memory."""

from __future__ import annotations

from types import TracebackType

from pyrate_limiter import Limiter, Rate


class CallLimit:
    """At most so many calls in any window of so many seconds; give it to `limiter=`."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.limiter = Limiter(Rate(calls, round(seconds * 1000)))

    async def __aenter__(self) -> None:
        if not await self.limiter.try_acquire_async():
            raise RuntimeError("the limiter gave no permit")

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to give back: a call stays in its window."""

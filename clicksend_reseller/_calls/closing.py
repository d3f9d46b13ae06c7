"""Has the client been closed? Those who wait hear of it at once."""

from __future__ import annotations

import asyncio

from clicksend_reseller.errors import ClientStateError


class Closing:
    """What the rooms of one client know of its end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """No new call begins, and no attempt that has not left."""
        return self._event.is_set()

    def begin(self) -> None:
        self._event.set()

    async def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end.

        Raises:
            ClientStateError: the client was closed meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        raise ClientStateError("the client was closed while the call waited")

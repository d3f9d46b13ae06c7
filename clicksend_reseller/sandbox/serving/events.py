"""The stream of changes: it carries the revision only."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from clicksend_reseller.sandbox.service.state import SandboxState

# Seconds: many changes at once are one event, a silent stream says now and then that it lives,
# and at the end the streams get a moment to say so.
PAUSE = 0.1
SILENCE = 15.0
PARTING = 0.4


class Changes:
    """The streams that are open, and how they are woken; they belong to the server's loop."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._listeners: set[asyncio.Event] = set()
        self._all_left = asyncio.Event()
        self._all_left.set()
        self._is_over = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Give the revision as a server-sent event now and after each change."""
        news = asyncio.Event()
        news.set()
        with self._listening(news):
            while not self._is_over:
                yield await self._next(news)
                await asyncio.sleep(PAUSE)
            yield b"event: over\ndata:\n\n"

    async def close(self) -> None:
        """End the streams, and give them a moment to say so."""
        self._is_over = True
        self._wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._all_left.wait()

    async def _next(self, news: asyncio.Event) -> bytes:
        try:
            async with asyncio.timeout(SILENCE):
                await news.wait()
        except TimeoutError:
            return b": nothing new\n\n"
        news.clear()
        # The browser looks soon again for a sandbox that was gone.
        return f"event: changed\nretry: 500\ndata: {self._state.revision}\n\n".encode()

    @contextmanager
    def _listening(self, news: asyncio.Event) -> Generator[None]:
        if not self._listeners:
            self._state.watchers.append(self._changed)
        self._listeners.add(news)
        self._all_left.clear()
        try:
            yield
        finally:
            self._listeners.discard(news)
            if not self._listeners:
                self._state.watchers.remove(self._changed)
                self._all_left.set()

    def _changed(self) -> None:
        # The change may have been made in another thread, where events must not be set.
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()

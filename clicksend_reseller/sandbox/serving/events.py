"""Server-sent events: one for each change, with the number of the revision."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from clicksend_reseller.sandbox.service.state import SandboxState

# Changes in this time are one event; a comment keeps a silent stream open; at the end the
# streams have a moment to send their last event.
COALESCE_SECONDS = 0.1
KEEPALIVE_SECONDS = 15.0
CLOSE_SECONDS = 0.4


class Changes:
    """The streams that are open, and how they are woken; they belong to the server's loop."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._listeners: set[asyncio.Event] = set()
        self._no_listeners = asyncio.Event()
        self._no_listeners.set()
        self._is_closing = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Give the revision as a server-sent event now and after each change."""
        changed = asyncio.Event()
        changed.set()
        with self._listening(changed):
            while not self._is_closing:
                yield await self._next(changed)
                await asyncio.sleep(COALESCE_SECONDS)
            yield b"event: over\ndata:\n\n"

    async def close(self) -> None:
        """End the streams, and give them a moment to say so."""
        self._is_closing = True
        self._wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._no_listeners.wait()

    async def _next(self, changed: asyncio.Event) -> bytes:
        try:
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                await changed.wait()
        except TimeoutError:
            return b": nothing new\n\n"
        changed.clear()
        # The browser looks soon again for a sandbox that was gone.
        return f"event: changed\nretry: 500\ndata: {self._state.revision}\n\n".encode()

    @contextmanager
    def _listening(self, changed: asyncio.Event) -> Generator[None]:
        if not self._listeners:
            self._state.watchers.append(self._changed)
        self._listeners.add(changed)
        self._no_listeners.clear()
        try:
            yield
        finally:
            self._listeners.discard(changed)
            if not self._listeners:
                self._state.watchers.remove(self._changed)
                self._no_listeners.set()

    def _changed(self) -> None:
        # The change may have been made in another thread, where events must not be set.
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()

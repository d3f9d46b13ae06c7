"""Ctrl-C while something is under way. Once: nothing new. Twice: no more waiting.

Afterwards only the end is left, and a late Ctrl-C must not turn its status into another.
"""

from __future__ import annotations

import asyncio
import signal
from types import FrameType
from typing import Any, Self

# A service that is stopped and a terminal that is closed mean the same as Ctrl-C.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupts:
    """Counts the signals that ask to stop, for a loop that is about to run or running.

    Args:
        loop: the one that waits for `once` and `twice`.

    Attributes:
        once: set by the first signal: begin nothing new.
        twice: set by the second: wait no longer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.once: asyncio.Event = asyncio.Event()
        self.twice: asyncio.Event = asyncio.Event()
        self._loop = loop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            # Whoever had it ignored, as nohup does, meant it.
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._heard)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, before in self._before.items():
            # A run that hangs at a paused pipe must still yield to whoever stops the service.
            is_stop = number == signal.SIGTERM
            signal.signal(number, (before or signal.SIG_DFL) if is_stop else signal.SIG_IGN)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._count)

    def _count(self) -> None:
        (self.twice if self.once.is_set() else self.once).set()

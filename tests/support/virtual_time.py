"""An event loop whose clock jumps to the next timer, so that minutes cost nothing.

For code that waits for its own loop only: no sockets, no threads, no other process. What is ready
is run first; where nothing is, the time of the next timer has come.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING = 1000.0


class _Selector(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready now; where nothing is, let the time pass."""
        if timeout is None:
            raise AssertionError("the loop waits for something outside, or for ever")
        if not (ready := super().select(0)):
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of `run`."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Give the seconds that have passed for this loop."""
        return self._clock.now


def run(main: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run something to its end; give its result and the seconds that it took for the loop."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
        return result, loop.time() - BEGINNING

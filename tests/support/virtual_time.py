"""An event loop whose clock jumps to the next timer, so that minutes cost nothing.

What is ready is run first; where nothing is, the time of the next timer has come. A machine that
is busy therefore changes nothing: work takes no time, and timers end in their order.

`run` is for code that waits for its own loop only. `run_on_sockets` and `on_sockets` are for both
ends of a connection in one loop, and for its threads: not for another process.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING = 1000.0

# Real seconds in which what one socket has sent is seen at the other, and a thread has ended.
SETTLED = 0.01
PATIENCE = 30.0


class _Selector(selectors.DefaultSelector):
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


class _SocketSelector(_Selector):
    """Gives the kernel a moment before it moves the clock, and a thread its time."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready; where nothing comes, let the time pass."""
        if timeout is not None and timeout <= 0:
            return selectors.DefaultSelector.select(self, 0)
        known = timeout is not None and not self.threads
        if ready := selectors.DefaultSelector.select(self, SETTLED if known else PATIENCE):
            return ready
        if timeout is None or self.threads:
            raise AssertionError(f"nothing came from outside for {PATIENCE} s")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of `run`."""

    def __init__(self, clock: _Selector | None = None) -> None:
        self._clock = clock or _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Give the seconds that have passed for this loop."""
        return self._clock.now


class _SocketLoop(VirtualLoop):
    """The loop of `run_on_sockets`: time stands still while a thread works."""

    def __init__(self) -> None:
        self._waiting = _SocketSelector()
        super().__init__(self._waiting)

    def run_in_executor(self, *arguments: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # passes all on
        """Count the threads that work for this loop."""
        self._waiting.threads += 1
        work = super().run_in_executor(*arguments)
        work.add_done_callback(self._ended)
        return work

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """Count the thread that ends the others, for which the loop would wait five minutes."""
        self._waiting.threads += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._waiting.threads -= 1

    def _ended(self, _work: asyncio.Future[Any]) -> None:
        self._waiting.threads -= 1


def run(main: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run something to its end; give its result and the seconds that it took for the loop."""
    return _run(main, VirtualLoop())


def run_on_sockets(main: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Do the same where both ends of its connections are in this loop."""
    return _run(main, _SocketLoop())


def on_sockets(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let a test run on such a loop; its fixtures have none."""

    @functools.wraps(test)
    def run_test(*args: Any, **named: Any) -> None:
        run_on_sockets(test(*args, **named))

    return run_test


def _run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> tuple[T, float]:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
        return result, loop.time() - BEGINNING

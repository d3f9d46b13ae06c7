"""Steps that outlive their caller, and the end of a client (`Closing`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from clicksend_reseller.errors import ClientStateError

T = TypeVar("T")
Owner = TypeVar("Owner")


def running_loop() -> asyncio.AbstractEventLoop:
    """Give the loop that runs.

    Raises:
        ClientStateError: none of asyncio's does, as under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ClientStateError(
            "no asyncio event loop is running: this client works on asyncio only, so under trio "
            "or in plain synchronous code run its calls with asyncio.run or anyio's blocking portal"
        ) from None


def was_cancelled() -> bool:
    """Return True if somebody cancelled this task; a CancelledError can also come from within."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class StepCutError(RuntimeError):
    """A step was cancelled from within, and nobody had cancelled its caller."""


async def shielded(step: Coroutine[Any, Any, T], timeout: float | None = None) -> T:  # noqa: ASYNC109 - asyncio.timeout would cut the step
    """Run a step to its end even if this task is cancelled meanwhile, then be cancelled.

    Cut in two, a step of a journal's left its SQLite file locked for minutes.

    Args:
        step: what must not be cut.
        timeout: seconds; a step that takes longer is cancelled and, should it resist, left behind.

    Raises:
        StepCutError: the step cancelled itself; that must not look as if the caller were.
        TimeoutError: it was too slow.
    """
    task = asyncio.ensure_future(step)
    task.add_done_callback(_retrieve)
    cancelled: asyncio.CancelledError | None = None
    now = asyncio.get_running_loop().time
    ends_at = None if timeout is None else now() + timeout
    left = timeout
    while not task.done() and (left is None or left > 0):
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as exc:
            cancelled = exc
        left = None if ends_at is None else ends_at - now()
    is_late = not task.done()
    task.cancel()
    if cancelled is not None:
        raise cancelled
    if is_late:
        raise TimeoutError(f"not done within {timeout:g} s")
    if task.cancelled():
        raise StepCutError("it was cancelled from within")
    return task.result()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve an error that nobody awaits, or asyncio logs that it was never retrieved."""
    if not task.cancelled():
        task.exception()


class BackgroundTasks(Generic[Owner]):
    """Steps that run in tasks of their own, each for an owner.

    Args:
        ended: called with each task that has ended and its owner.
    """

    def __init__(self, ended: Callable[[asyncio.Task[Any], Owner], None]) -> None:
        self._ended = ended
        self._owners: dict[asyncio.Task[Any], Owner] = {}

    def start(self, owner: Owner, step: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a step; its result is seen to even if nobody asks for it."""
        task = asyncio.ensure_future(step)
        self._owners[task] = owner
        task.add_done_callback(self._retire)
        return task

    def of(self, owner: Owner) -> list[asyncio.Task[Any]]:
        """Give the tasks that an owner has under way."""
        return [task for task, whose in self._owners.items() if whose is owner]

    def under_way(self) -> list[tuple[asyncio.Task[Any], Owner]]:
        """Give all tasks and their owners."""
        return list(self._owners.items())

    async def wait(self, seconds: float) -> None:
        """Wait until all have ended, those too that begin meanwhile, at most so many seconds."""
        now = asyncio.get_running_loop().time
        ends_at = now() + seconds
        while self._owners and (left := ends_at - now()) > 0:
            await asyncio.wait(set(self._owners), timeout=left)

    def _retire(self, task: asyncio.Task[Any]) -> None:
        owner = self._owners.pop(task)
        _retrieve(task)
        self._ended(task, owner)


class Closing:
    """The end of one client, of which those who wait hear at once.

    Attributes:
        has_begun: no new call begins, and no attempt that has not left.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self._event = asyncio.Event()

    def begin(self) -> None:
        self.has_begun = True
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

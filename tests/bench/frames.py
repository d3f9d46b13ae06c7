"""The package's own function calls and tasks in one call of the client, warm.

Run it with `python -m bench.frames` from the folder `tests`; `-v` names each function. It is a
count, not a time, so it is the same on every machine. A coroutine counts once, however often it
is resumed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import clicksend_reseller
from clicksend_reseller import AsyncResellerClient
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.sandbox import Sandbox

PACKAGE = str(Path(clicksend_reseller.__file__).parent)
NOT_OURS = str(Path(PACKAGE, "sandbox"))  # the server runs in the same process
WARM = 3


class Counting:
    """Counts while it is entered: function calls of ours, and tasks that run code of ours."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.tasks: Counter[str] = Counter()
        self._frames: set[FrameType] = set()  # held, so that no frame takes another's address

    def __enter__(self) -> Self:
        asyncio.get_running_loop().set_task_factory(self._make_task)
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        asyncio.get_running_loop().set_task_factory(None)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame not in self._frames and _is_ours(frame.f_code):
            self._frames.add(frame)
            self.calls[_name(frame.f_code)] += 1

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        step: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **options: Any,
    ) -> asyncio.Task[Any]:
        code = getattr(step, "cr_code", None)
        self.tasks[_name(code) if code is not None and _is_ours(code) else "others'"] += 1
        return asyncio.Task(step, loop=loop, **options)


def _is_ours(code: CodeType) -> bool:
    name = code.co_filename
    return name.startswith(PACKAGE) and not name.startswith(NOT_OURS)


def _name(code: CodeType) -> str:
    return f"{Path(code.co_filename).stem}.{code.co_qualname}"


async def count(call: Callable[[], Awaitable[object]]) -> Counting:
    """Count what one call takes once everything is warm."""
    for _ in range(WARM):
        await call()
    with Counting() as counting:
        await call()
    return counting


async def main() -> None:
    """Print the counts of a read, and of a transfer with a journal in SQLite."""
    sandbox = Sandbox(credit="1000000")
    async with sandbox.serve() as served:
        connect = partial(AsyncResellerClient, "sandbox", "sandbox", base_url=served.url)
        async with connect() as client:
            _show("a warm get_account", await count(lambda: client.get_account(1001)))
        with tempfile.TemporaryDirectory() as folder:
            async with (
                SQLJournal(f"sqlite+aiosqlite:///{folder}/journal.db") as journal,
                connect(journal=journal) as client,
            ):
                transfer = await count(lambda: client.transfer_credit(1001, 1, "AUD"))
                _show("a warm transfer with a journal in SQLite", transfer)


def _show(what: str, counting: Counting) -> None:
    ours = sum(n for name, n in counting.tasks.items() if name != "others'")
    tasks = f"{counting.tasks.total()} tasks, {ours} of ours"
    lines = [f"{what}: {counting.calls.total()} calls of ours, {tasks}"]
    if "-v" in sys.argv:
        counted = (*counting.calls.most_common(), *counting.tasks.most_common())
        lines += [f"  {number:3} {name}" for name, number in counted]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    asyncio.run(main())

"""What does a journal add to a transfer? The median of transfers one after the other.

The API answers in this process and at once, so that what is seen is the journal: three commits,
each flushed to the disk. PostgreSQL is a server of its own, with its durable defaults.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median

from bench.measure import Effort, Figure, interleave, ratio
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.sandbox import Sandbox
from support import postgres

Pay = Callable[[], Awaitable[object]]

PLAIN = "a transfer without a journal"


async def figures(effort: Effort) -> list[Figure]:
    """Measure `transfer_credit` with a journal beside one without."""
    transfers = effort.calls // 4
    with tempfile.TemporaryDirectory() as folder, postgres.running(fsync=True) as server:
        urls = {
            "SQLite": f"sqlite+aiosqlite:///{Path(folder)}/transfers.db",
            "PostgreSQL, asyncpg": server.url(server.new_database()),
            "PostgreSQL, psycopg": server.url(server.new_database(), driver="psycopg"),
        }
        async with contextlib.AsyncExitStack() as stack:
            pays = {"": await stack.enter_async_context(_paying(None))}
            for name, url in urls.items():
                journal = await stack.enter_async_context(SQLJournal(url))
                pays[name] = await stack.enter_async_context(_paying(journal))
            seconds = await interleave(
                {name: lambda pay=pay: _median(pay, transfers) for name, pay in pays.items()},  # type: ignore[misc]
                rounds=effort.share(0.5),
            )
    return [
        ratio(
            f"a journaled transfer, the median, {name}",
            seconds[name],
            seconds[""],
            against=PLAIN,
            unit="ms",
        )
        for name in urls
    ]


@contextlib.asynccontextmanager
async def _paying(journal: SQLJournal | None) -> AsyncIterator[Pay]:
    sandbox = Sandbox(credit="1000000000")
    async with sandbox.client(journal=journal) as client:

        async def pay() -> object:
            key = None if journal is None else uuid.uuid4().hex
            return await client.transfer_credit(1001, 1, "AUD", idempotency_key=key)

        yield pay


async def _median(pay: Pay, transfers: int) -> float:
    await pay()
    seconds = []
    for _ in range(transfers):
        began = time.perf_counter()
        await pay()
        seconds.append(time.perf_counter() - began)
    return median(seconds)

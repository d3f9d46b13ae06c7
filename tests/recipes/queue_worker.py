"""What is the worker that a test kills? The example's, which stops when the queue is empty.

Called as `queue_worker.py with-key` or `queue_worker.py without-key`; the latter forgets the key
and the journal, as somebody might who trusts the queue.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples" / "queue"))

from payments import app
from sqlalchemy.ext.asyncio import create_async_engine
from worker import connector

from clicksend_reseller import AsyncResellerClient
from clicksend_reseller.journal import SQLJournal


class Keyless:
    """A client that is given a key and drops it."""

    def __init__(self, client):
        self.client = client

    async def transfer_credit(self, *values, idempotency_key):
        """Pay, whatever was paid before."""
        return await self.client.transfer_credit(*values)


async def main(database: str, *, with_key: bool) -> None:
    """Work until there is nothing left to do."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(app.replace_connector(connector(database)))
        await stack.enter_async_context(app.open_async())
        engine = create_async_engine(database)
        stack.push_async_callback(engine.dispose)
        journal = await stack.enter_async_context(SQLJournal(engine)) if with_key else None
        client = await stack.enter_async_context(AsyncResellerClient(journal=journal))
        context = {"reseller": client if with_key else Keyless(client)}
        await app.run_worker_async(wait=False, concurrency=5, additional_context=context)


if __name__ == "__main__":
    asyncio.run(main(os.environ["DATABASE"], with_key=sys.argv[1] == "with-key"))

"""What do processes do that tests lose? Wrappers kill them, never a hook in our code."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
from sqlalchemy import event

from clicksend_reseller import ResellerError, Transfer
from clicksend_reseller.journal import SQLJournal, transfer_many
from clicksend_reseller.sandbox import Sandbox
from support.served_sandbox import make_client

# Where a process can be lost, in the order in which a transfer passes.
JOURNAL_POINTS = (
    "before intend",
    "after intend",
    "before claim",
    "after claim",
    "before settle",
    "after settle",
)
TRANSPORT_POINTS = (
    "before the first chunk",
    "between the chunks",
    "after the last chunk",
    "before the answer",
    "after the answer",
)
COMMIT_POINTS = tuple(
    f"{when} commit of {step}"
    for step in ("intend", "claim", "settle")
    for when in ("before", "after")
)


def run(name, arguments):
    """Do a job by its name."""
    return asyncio.run(JOBS[name](**arguments))


def warm_up():
    """Load before the first fork what every child would load again."""
    for driver in ("asyncpg", "psycopg"):
        SQLJournal(f"postgresql+{driver}://tests@127.0.0.1:1/none")
    asyncio.run(_pay_once())


async def _pay_once():
    sandbox = Sandbox()
    journal = SQLJournal("sqlite+aiosqlite://")
    async with journal, sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="warm-up")
    with contextlib.suppress(ResellerError):
        async with make_client("http://127.0.0.1:1/v3") as client:
            await client.get_own_account()


def die():
    """Be gone at once, as after a power cut, with nothing flushed or closed."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillingJournal:
    """Passes everything on, and dies at one point."""

    def __init__(self, journal, point):
        self._journal = journal
        self._point = point
        self.step = ""

    async def intend(self, transfer, *, realm):
        return await self._pass("intend", self._journal.intend(transfer, realm=realm))

    async def claim(self, key, round, *, realm, attempt):  # noqa: A002 - the protocol's
        return await self._pass(
            "claim", self._journal.claim(key, round, realm=realm, attempt=attempt)
        )

    async def settle(self, key, round, attempt, state, **details):  # noqa: A002 - the protocol's
        return await self._pass(
            "settle", self._journal.settle(key, round, attempt, state, **details)
        )

    async def _pass(self, step, call):
        self.step = step
        if self._point == f"before {step}":
            die()
        result = await call
        if self._point == f"after {step}":
            die()
        return result


class KillingTransport(httpx.AsyncBaseTransport):
    """Sends the body in two chunks, and dies at one point."""

    def __init__(self, point):
        self._inner = httpx.AsyncHTTPTransport()
        self._point = point

    async def handle_async_request(self, request):
        request.stream = _Chunks(request.stream, self._at)
        response = await self._inner.handle_async_request(request)
        self._at("before the answer")
        await response.aread()
        self._at("after the answer")
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content
        )

    def _at(self, point):
        if point == self._point:
            die()


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, stream, at):
        self._stream = stream
        self._at = at

    async def __aiter__(self):
        self._at("before the first chunk")
        async for chunk in self._stream:
            half = len(chunk) // 2
            yield chunk[:half]
            await asyncio.sleep(0.02)  # so that the first half is on the wire
            self._at("between the chunks")
            yield chunk[half:]
        self._at("after the last chunk")


def die_at_commit(engine, killing, point):
    """Die just before or just after the COMMIT of one step reaches SQLite."""

    def at(when):
        def listener(_conn, _cursor, statement, *_):
            if statement == "COMMIT" and point == f"{when} commit of {killing.step}":
                die()

        return listener

    event.listen(engine.sync_engine, "before_cursor_execute", at("before"))
    event.listen(engine.sync_engine, "after_cursor_execute", at("after"))


async def transfer(url, base_url, key, client_user_id, point=""):
    """Make one transfer, and perhaps die on the way; say how it ended."""
    async with SQLJournal(url) as journal:
        killing = KillingJournal(journal, point)
        if point in COMMIT_POINTS:
            die_at_commit(journal._engine, killing, point)
        transport = KillingTransport(point) if point in TRANSPORT_POINTS else None
        async with make_client(base_url, journal=killing, transport=transport) as client:
            try:
                receipt = await client.transfer_credit(
                    client_user_id, 5, "AUD", idempotency_key=key
                )
            except ResellerError as error:
                return type(error).__name__
            return "replayed" if receipt.replayed else "paid"


async def work(url, base_url, seed):
    """Be one worker of an outbox until there is no work left."""
    dice = random.Random(seed)
    async with (
        SQLJournal(url) as journal,
        make_client(base_url, journal=journal, timeout=3.0) as client,
    ):
        while todo := [transfer async for transfer in journal.pending()]:
            dice.shuffle(todo)
            async for _ in transfer_many(client, todo[:100], concurrency=8, max_unknown=10**6):
                pass
    return "done"


async def race(url, base_url, keys, seed=0):
    """Pay keys in the order given, as other processes do at the same moment."""
    ended: dict[str, int] = {}
    async with SQLJournal(url) as journal, make_client(base_url, journal=journal) as client:
        for key, client_user_id in keys:
            try:
                receipt = await client.transfer_credit(
                    client_user_id, 5, "AUD", idempotency_key=key
                )
            except ResellerError as error:
                outcome = type(error).__name__
            else:
                outcome = "replayed" if receipt.replayed else "paid"
            ended[outcome] = ended.get(outcome, 0) + 1
    return ended


async def intend(url, keys):
    """Put transfers in the queue of an outbox."""
    async with SQLJournal(url) as journal:
        for first in range(0, len(keys), 500):
            async with journal._engine.begin() as connection:
                for key, client_user_id in keys[first : first + 500]:
                    await journal.intend(
                        Transfer(
                            idempotency_key=key,
                            client_user_id=client_user_id,
                            amount=5,
                            currency="AUD",
                        ),
                        connection=connection,
                    )
    return len(keys)


async def open_journal(url):
    """Make the table where there is none."""
    async with SQLJournal(url):
        return True


JOBS: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    "transfer": transfer,
    "work": work,
    "race": race,
    "intend": intend,
    "open_journal": open_journal,
}

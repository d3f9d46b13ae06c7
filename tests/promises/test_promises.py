"""The two promises, on real sockets; the oracle is the server's count of applied transfers."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import pytest

from clicksend_reseller import (
    AsyncResellerClient,
    Outcome,
    ResellerError,
    TransferReceipt,
)
from support.clients import make_client
from support.fault_server import FaultServer, random_faults
from support.heavy import rounds

# A third of all requests fail, in every stage from the connect to the answer's last byte.
SHARES = {
    "accept_fin": 0.02,
    "accept_rst": 0.02,
    "read_line_fin": 0.01,
    "read_head_rst": 0.02,
    "lost_fin": 0.02,
    "lost_fin_applied": 0.04,
    "lost_rst": 0.01,
    "lost_rst_applied": 0.02,
    "stall": 0.004,
    "stall_applied": 0.004,
    "half_body_fin_applied": 0.02,
    "half_chunked": 0.01,
    "garbage": 0.01,
    "status_400": 0.02,
    "insufficient_credit_400": 0.01,
    "status_429": 0.005,
    "status_500_applied": 0.02,
    "html_502_applied": 0.02,
    "status_503": 0.02,
    "redirect_307_elsewhere": 0.01,
    "empty_200_applied": 0.01,
    "success_data_null": 0.02,
}


async def _in_parallel(jobs: list[Callable[[], Awaitable[object]]], at_once: int) -> None:
    queue = iter(jobs)

    async def work() -> None:
        for job in queue:
            await job()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


async def _turns_of(jobs: list[Callable[[], Awaitable[object]]]) -> int:
    """Count the turns of the loop in which these end: a time that no busy machine prolongs."""
    work, turns = asyncio.ensure_future(_in_parallel(jobs, len(jobs))), 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    await work
    return turns


@attrs.define
class Told:
    """What callers were told, by client id."""

    receipts: set[int] = attrs.field(factory=set)
    errors: dict[int, ResellerError] = attrs.field(factory=dict)

    async def transfer(self, client: AsyncResellerClient, user_id: int) -> None:
        try:
            receipt = await client.transfer_credit(user_id, 12, "USD")
        except ResellerError as error:
            self.errors[user_id] = error
        else:
            assert isinstance(receipt, TransferReceipt)
            self.receipts.add(user_id)

    def with_outcome(self, *outcomes: Outcome) -> set[int]:
        return {user_id for user_id, error in self.errors.items() if error.outcome in outcomes}


def _applied_transfers(server: FaultServer) -> Counter[int]:
    return Counter({int(write[1]): count for write, count in server.applied.items()})


@pytest.mark.heavy
async def test_no_transfer_is_applied_twice_and_none_is_told_wrongly():
    """Under random faults nothing doubles, and unsent, refused and applied mean just that."""
    number, told = rounds(400, 10_000), Told()
    async with FaultServer() as server:
        server.script(random_faults(42, SHARES))
        async with make_client(server, timeout=1.0, max_concurrency=40) as client:
            await _in_parallel(
                [partial(told.transfer, client, n) for n in range(1, number + 1)], 40
            )
        applied = _applied_transfers(server)
    assert number == len(told.receipts) + len(told.errors)
    assert set() == {user_id for user_id, count in applied.items() if count > 1}
    assert set() == told.with_outcome(Outcome.NOT_SENT, Outcome.REJECTED) & set(applied)
    assert set() == told.receipts - set(applied)
    assert set() == told.with_outcome(Outcome.APPLIED)
    # The check bites: each kind of end was met.
    assert told.receipts
    assert told.with_outcome(Outcome.REJECTED)
    unknown = told.with_outcome(Outcome.UNKNOWN)
    assert unknown & set(applied)
    assert unknown - set(applied)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [1, 2])
async def test_cancellations_lose_no_place_and_never_lie(seed, caplog):
    """After many cancellations at random points all places work and nothing is left behind."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    dice = random.Random(seed)
    unsent: set[int] = set()
    noted: Counter[str] = Counter()

    async def cancel_one(user_id: int) -> None:
        task = asyncio.ensure_future(
            client.transfer_credit(user_id, 12, "USD")
            if user_id % 3
            else client.get_account(user_id)
        )
        for _ in range(dice.randrange(moments)):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as cancelled:
            notes = " ".join(getattr(cancelled, "__notes__", []))
            noted["sent" if "after it had left" in notes else "unsent"] += 1
            if "nothing was sent" in notes:
                unsent.add(user_id)

    async with FaultServer() as server:
        async with make_client(server, max_concurrency=10) as client:
            number = rounds(250, 2_000)
            moments = 2 * await _turns_of([partial(client.get_account, n) for n in range(1, 21)])
            await _in_parallel([partial(cancel_one, n) for n in range(1, number + 1)], 20)
            async with asyncio.timeout(5):
                await asyncio.gather(*(client.get_account(1) for _ in range(10)))
        assert set() == unsent & set(_applied_transfers(server))
        await server.quiet()
        assert 0 == server.open_connections
    await asyncio.sleep(0)
    gc.collect()
    assert before == asyncio.all_tasks()
    assert [] == complaints
    assert min(noted["sent"], noted["unsent"]) > number / 100, noted


async def test_a_storm_is_not_made_worse():
    """With the server hanging up on everybody, the retry budget keeps the requests few."""
    async with FaultServer() as server:
        server.script("accept_fin", times=None)
        async with make_client(server, max_concurrency=50) as client:
            results = await asyncio.gather(
                *(client.get_account(n) for n in range(1, 1_001)), return_exceptions=True
            )
        assert all(isinstance(result, ResellerError) for result in results)
        assert 1_000 <= server.tries <= 1_400


async def test_a_flaky_server_is_no_obstacle():
    """With one request in twenty failing, all of a thousand reads succeed."""
    ways = {0: "status_503", 20: "lost_fin"}
    async with FaultServer() as server:
        server.script(lambda number, request: ways.get(number % 40) if request else None)
        async with make_client(server, max_concurrency=50) as client:
            accounts = await asyncio.gather(*(client.get_account(n) for n in range(1, 1_001)))
        assert list(range(1, 1_001)) == [account.user_id for account in accounts]
        assert len(server.requests) > 1_050

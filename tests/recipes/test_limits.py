import asyncio
import importlib.util
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pyrate_limiter import RateItem
from redis.exceptions import ConnectionError as RedisConnectionError

from clicksend_reseller import APITimeoutError, CallEvent, Outcome, RetryPolicy, TransferState
from clicksend_reseller.sandbox import Quirks, Sandbox
from support.heavy import rounds
from support.memory_journal import MemoryJournal
from support.redis_server import redis_server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = ROOT / "docs" / "examples" / "limits"

# The server's window, and the limiter's: much longer, since calls that a busy machine holds up
# on the way would come in another window than the one that they were let into.
WINDOW, LIMITED = 0.5, 2.5


def load(name):
    """Import an example by its path."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


one_process, several_processes = load("one_process"), load("several_processes")


class Clock:
    """Seconds in which a minute of the sandbox is a WINDOW; while it stands, there is only one."""

    def __init__(self):
        self.began = None

    def start(self):
        self.began = time.monotonic()

    def stop(self):
        self.began = None

    def __call__(self):
        return 0.0 if self.began is None else (time.monotonic() - self.began) * 60 / WINDOW


@pytest.fixture
def clock():
    """Make a clock that stands."""
    return Clock()


@pytest.fixture
def sandbox(clock):
    """Have a limit of 20 in each minute of that clock."""
    return Sandbox(quirks=Quirks(rate_limit=20), clock=clock)


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """Start a Redis for this file."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def shared(redis):
    """Make a limiter of 20 with a bucket of its own."""
    if redis.process is None:
        redis.start()
    return several_processes.SharedCallLimit(
        several_processes.connect(redis.url), f"clicksend:{time.monotonic_ns()}", 20, LIMITED
    )


def statuses(sandbox):
    """Count the answers by status."""
    return dict(Counter(request.status for request in sandbox.requests))


# --- one process


async def call_thirty_times(sandbox, limiter):
    """Call all at once, without the client's own patience."""
    alone = RetryPolicy(max_retries=0, max_retry_after=0.0)
    async with sandbox.client(limiter=limiter, retry=alone) as client:
        calls = (client.get_own_account() for _ in range(30))
        await asyncio.gather(*calls, return_exceptions=True)


async def test_one_process_stays_under_the_limit(sandbox, clock):
    """Thirty calls at once against a limit of 20, and no 429."""
    clock.start()
    await call_thirty_times(sandbox, one_process.CallLimit(20, LIMITED))
    assert {200: 30} == statuses(sandbox)


async def test_a_semaphore_fits_and_keeps_no_window(sandbox):
    """It bounds what goes on at once; of thirty calls in one window ten are refused."""
    await call_thirty_times(sandbox, asyncio.Semaphore(5))
    assert {200: 20, 429: 10} == statuses(sandbox)


# --- several processes


class Callers:
    """Three processes that call a served sandbox, all at once, as often as they are told to."""

    async def start(self, calls, env):
        command = [sys.executable, str(HERE / "limited_caller.py"), str(calls), str(LIMITED)]
        pipe, env = asyncio.subprocess.PIPE, {**os.environ, **env}
        self.processes: list[Any] = [
            await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env)
            for _ in range(3)
        ]
        await self.ready()

    async def ready(self):
        for process in self.processes:
            assert b"ready\n" == await process.stdout.readline()

    async def call(self, line):
        for process in self.processes:
            process.stdin.write(f"{line}\n".encode())
        await self.ready()

    async def stop(self):
        for process in self.processes:
            await process.communicate(b"")
        assert [0, 0, 0] == [process.returncode for process in self.processes]


@pytest.mark.heavy
async def test_three_processes_stay_under_a_limit_that_they_share(sandbox, clock, redis):
    """Three times 30 calls, a limit of 20, and no 429; with a limit each there are many.

    A limit that lets too much through does so each time; a busy machine holds up calls of two
    windows, so that they arrive in one, now and then.
    """
    calls, callers = rounds(10, 30), Callers()
    async with sandbox.serve() as served:
        await callers.start(calls, served.env)
        clock.start()
        for _ in range(5):
            await callers.call(redis.url)
            seen = statuses(sandbox)
            sandbox.reset()
            if seen == {200: 3 * calls}:
                break
        assert {200: 3 * calls} == seen

        clock.stop()
        await callers.call("alone")
        assert {200: 20, 429: 3 * calls - 20} == statuses(sandbox)
        await callers.stop()


# --- Redis is not there


@pytest.mark.parametrize("with_journal", [False, True])
async def test_without_redis_nothing_is_sent(with_journal, sandbox, redis, shared):
    """Its error reaches the caller unchanged, with a note; the call is NOT_SENT, no key claimed."""
    events: list[CallEvent] = []
    journal = MemoryJournal()
    options = {"journal": journal} if with_journal else {}
    key = "invoice-7" if with_journal else None
    async with sandbox.client(limiter=shared, observer=events.append, **options) as client:
        redis.stop()
        with pytest.raises(RedisConnectionError) as caught:
            await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)
        assert ["nothing was sent"] == caught.value.__notes__
        assert ("finished", Outcome.NOT_SENT) == (events[-1].kind, events[-1].outcome)
        assert () == sandbox.ledger
        assert () == sandbox.requests
        assert "claim" not in journal.steps

        redis.start()
        receipt = await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)
    assert (5, [5]) == (receipt.amount, sandbox.transfers_to(1001))
    assert ({"invoice-7": [TransferState.CONFIRMED]} if with_journal else {}) == journal.states
    await shared.redis.aclose()


async def test_a_redis_that_hangs_is_met_by_the_deadline(sandbox, redis, shared):
    """The limiter stands inside the deadline, so the call ends, and nothing was sent."""
    async with sandbox.client(limiter=shared, deadline=0.3) as client:
        await client.get_account(1001)
        redis.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(APITimeoutError) as caught:
                await client.transfer_credit(1001, 5, "AUD")
        finally:
            redis.process.send_signal(signal.SIGCONT)
    assert (Outcome.NOT_SENT, ()) == (caught.value.outcome, sandbox.ledger)
    await shared.redis.aclose()


async def test_the_bucket_keeps_one_window_only(sandbox, shared):
    """Calls that no longer count are forgotten, or Redis would fill up."""
    shared.rates[0].interval = 1
    async with sandbox.client(limiter=shared) as client:
        for _ in range(5):
            await client.get_account(1001)
            await asyncio.sleep(0.01)  # Redis counts by its own clock
    assert 1 == await shared.redis.zcard(shared.key)
    await shared.redis.aclose()


async def test_a_call_that_asks_with_an_earlier_time_sees_the_later_ones(shared):
    """Of two processes that ask at once, the later one in Redis may have read its clock first."""
    script = await shared.redis.script_load(several_processes.SCRIPT)
    bucket = several_processes.RedisBucket(shared.rates, shared.redis, shared.key, script)
    asked = [await bucket.put(RateItem("call", 1_000_000 - n)) for n in range(21)]
    assert [True] * 20 + [False] == asked
    await shared.redis.aclose()


def test_a_bucket_belongs_to_one_account_and_names_nobody():
    """Two accounts never share one, and the key in Redis tells no user name."""
    key = several_processes.bucket_key
    assert 4 == len({key("u1", "a"), key("u1", "b"), key("u2", "a"), key("u2", "b")})
    assert "somebody" not in key("https://rest.clicksend.com/v3", "somebody")


# --- the page


def test_the_page_shows_the_examples():
    """What is read there is what is tested here, line by line."""
    page = (ROOT / "docs" / "how-to" / "rate-limits.md").read_text("utf-8")
    for name in ("one_process", "several_processes"):
        source = (EXAMPLES / f"{name}.py").read_text("utf-8")
        shown = source.partition("from __future__ import annotations\n\n")[2]
        assert f"```python\n{shown}```" in page, name

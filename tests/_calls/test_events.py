import asyncio
import logging
import re

import attrs
import pytest

from clicksend_reseller import RetryPolicy
from clicksend_reseller.errors import (
    APITimeoutError,
    NotFoundError,
    RateLimitError,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.models import CallEvent, Outcome
from clicksend_reseller.sandbox import Sandbox
from support.memory_journal import MemoryJournal

AT_ONCE = RetryPolicy(base_delay=0.0)


class Observer:
    """Keeps the events; `story` is what they say beside call ids and times."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    @property
    def story(self):
        return [attrs.evolve(event, call_id=0, seconds=0.0) for event in self.events]


def event(kind, operation, *, attempt=0, status=None, outcome=None):
    """Make the event to expect."""
    return CallEvent(
        call_id=0,
        kind=kind,
        operation=operation,
        host="localhost",
        port=8730,
        attempt=attempt,
        status_code=status,
        outcome=outcome,
    )


async def test_a_read_that_succeeds():
    """A read applies nothing, so its success has no outcome."""
    observer = Observer()
    async with Sandbox().client(observer=observer) as client:
        await client.get_account(1001)
    assert [
        event("started", "get_account"),
        event("attempt", "get_account", attempt=1, status=200),
        event("finished", "get_account", attempt=1, status=200),
    ] == observer.story


@pytest.mark.parametrize("with_journal", [False, True])
async def test_a_transfer_that_succeeds(with_journal):
    """Its outcome is APPLIED; a journal's steps are no events."""
    observer = Observer()
    journal = MemoryJournal() if with_journal else None
    async with Sandbox().client(observer=observer, journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD")
    applied = Outcome.APPLIED
    assert [
        event("started", "transfer_credit"),
        event("attempt", "transfer_credit", attempt=1, status=200, outcome=applied),
        event("finished", "transfer_credit", attempt=1, status=200, outcome=applied),
    ] == observer.story


async def test_a_429_and_then_a_success():
    """The wait is an event of its own, and its seconds are those of the wait."""
    observer, sandbox = Observer(), Sandbox()
    sandbox.fail("limit", retry_after=0)
    async with sandbox.client(observer=observer, retry=RetryPolicy(base_delay=0.002)) as client:
        await client.get_account(1001)
    assert [
        event("started", "get_account"),
        event("attempt", "get_account", attempt=1, status=429, outcome=Outcome.REJECTED),
        event("waiting", "get_account", attempt=1, status=429),
        event("attempt", "get_account", attempt=2, status=200),
        event("finished", "get_account", attempt=2, status=200),
    ] == observer.story
    seconds = [each.seconds for each in observer.events]
    assert 0.0 <= seconds[2] <= 0.002
    assert seconds[1] + seconds[2] + seconds[3] <= seconds[4] + 0.001


async def test_an_answer_lost_on_a_transfer():
    """There is no status, and the outcome is UNKNOWN for the attempt and for the call."""
    observer, sandbox = Observer(), Sandbox()
    sandbox.fail("lost")
    async with sandbox.client(observer=observer) as client:
        with pytest.raises(TransferOutcomeUnknownError):
            await client.transfer_credit(1001, 5, "AUD")
    assert [
        event("started", "transfer_credit"),
        event("attempt", "transfer_credit", attempt=1, outcome=Outcome.UNKNOWN),
        event("finished", "transfer_credit", attempt=1, outcome=Outcome.UNKNOWN),
    ] == observer.story


async def test_a_refusal_of_a_read():
    """An error that is not repeated ends attempt and call with the same word."""
    observer = Observer()
    async with Sandbox().client(observer=observer) as client:
        with pytest.raises(NotFoundError):
            await client.get_account(999_999)
    assert [
        event("started", "get_account"),
        event("attempt", "get_account", attempt=1, status=404, outcome=Outcome.REJECTED),
        event("finished", "get_account", attempt=1, status=404, outcome=Outcome.REJECTED),
    ] == observer.story


@pytest.mark.parametrize("operation", ["get_account", "transfer_credit"])
async def test_a_call_cancelled_after_it_had_left(operation):
    """The call is finished for its caller; no attempt is told of that has not ended."""
    observer, sandbox = Observer(), Sandbox()
    sandbox.fail("slow", seconds=0.05)
    async with sandbox.client(observer=observer) as client:
        call = asyncio.create_task(_call(client, operation))
        for _ in range(20):
            await asyncio.sleep(0)
        assert 1 == len(sandbox.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [
        event("started", operation),
        event("finished", operation, attempt=1, outcome=Outcome.UNKNOWN),
    ] == observer.story


async def _call(client, operation):
    if operation == "get_account":
        return await client.get_account(1001)
    return await client.transfer_credit(1001, 5, "AUD")


async def test_a_limiter_that_raises():
    """No attempt began, and nothing was sent."""
    observer = Observer()

    class Full:
        async def __aenter__(self):
            raise RuntimeError("full")

        async def __aexit__(self, *exc):
            raise AssertionError

    async with Sandbox().client(observer=observer, limiter=Full()) as client:
        with pytest.raises(RuntimeError, match="full"):
            await client.transfer_credit(1001, 5, "AUD")
    assert [
        event("started", "transfer_credit"),
        event("finished", "transfer_credit", outcome=Outcome.NOT_SENT),
    ] == observer.story


async def test_a_key_that_is_on_record():
    """The journal answers: no attempt begins, and the credit has been moved."""
    journal, sandbox = MemoryJournal(), Sandbox()
    async with sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
    observer = Observer()
    async with sandbox.client(journal=journal, observer=observer) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
    assert [
        event("started", "transfer_credit"),
        event("finished", "transfer_credit", outcome=Outcome.APPLIED),
    ] == observer.story


async def test_events_of_one_call_share_an_id_that_no_other_has():
    """Calls at once can be told apart, and calls of two clients too."""
    observer, sandbox = Observer(), Sandbox()
    async with sandbox.client(observer=observer) as one, sandbox.client(observer=observer) as two:
        await asyncio.gather(*(each.get_account(1001) for each in (one, one, two, two)))
    ids = [each.call_id for each in observer.events]
    assert 4 == len(set(ids))
    assert {3} == {ids.count(each) for each in ids}


async def test_times_are_those_of_the_attempt_and_of_the_call():
    """An attempt's time is its own, a finished call's is all of it."""
    observer, sandbox = Observer(), Sandbox()
    sandbox.fail("slow", seconds=0.005)
    async with sandbox.client(observer=observer) as client:
        await client.get_account(1001)
    started, attempt, finished = [each.seconds for each in observer.events]
    assert 0.0 <= started < 0.005
    assert 0.005 <= attempt <= finished < 1.0


async def test_events_hold_no_ids_amounts_or_bodies():
    """They go into logs and metrics that more people read than should see money."""
    observer, sandbox = Observer(), Sandbox()
    sandbox.fail("error", status=503, operation="get_account")
    async with sandbox.client(observer=observer, journal=MemoryJournal(), retry=AT_ONCE) as client:
        await client.get_account(1007)
        await client.transfer_credit(1007, 432, "AUD", idempotency_key="invoice-77")
    text = repr([attrs.evolve(each, call_id=0, seconds=0.0) for each in observer.events])
    for hidden in ("1007", "432", "AUD", "invoice", "http", "sandbox"):
        assert hidden not in text


async def test_an_observer_that_raises_is_logged_and_never_felt(caplog):
    """A metrics library that is broken must not break a transfer."""

    def fails(_event):
        raise ZeroDivisionError("metrics")

    sandbox = Sandbox()
    async with sandbox.client(observer=fails) as client:
        receipt = await client.transfer_credit(1001, 5, "AUD")
    assert 5 == receipt.amount
    assert [
        f"transfer_credit of 5 AUD to client 1001 (…): the observer failed at {kind}"
        for kind in ("started", "attempt", "finished")
    ] == [re.sub(r"call \d+", "…", record.getMessage()) for record in caplog.records]
    assert {("clicksend_reseller", logging.ERROR)} == {
        (record.name, record.levelno) for record in caplog.records
    }
    causes = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert [ZeroDivisionError] * 3 == causes


async def test_a_call_to_a_closed_client_is_no_call():
    """It never began, so there is nothing to observe."""
    observer = Observer()
    client = Sandbox().client(observer=observer)
    await client.aclose()
    with pytest.raises(RuntimeError, match="the client is closed"):
        await client.get_account(1001)
    assert [] == observer.events


async def test_an_attempt_that_never_began_is_no_event():
    """A pause beyond the deadline ends the call before there is an attempt."""
    observer, sandbox = Observer(), Sandbox()
    sandbox.fail("limit", retry_after=30)
    async with sandbox.client(deadline=5.0, observer=observer) as client:
        with pytest.raises(RateLimitError):
            await client.get_account(1001)
        with pytest.raises(APITimeoutError):
            await client.transfer_credit(1001, 5, "AUD")
    assert [
        event("started", "transfer_credit"),
        event("finished", "transfer_credit", outcome=Outcome.NOT_SENT),
    ] == observer.story[3:]

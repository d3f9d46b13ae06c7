import asyncio
import contextlib
import logging
import random
from types import SimpleNamespace
from typing import Any

import attrs
import httpx
import pytest

from clicksend_reseller import AsyncResellerClient, RetryPolicy
from clicksend_reseller._calls import journaling
from clicksend_reseller.errors import (
    APIConnectionError,
    APITimeoutError,
    JournalError,
    RateLimitError,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.models import CallEvent, Outcome, TransferReceipt
from clicksend_reseller.sandbox import Sandbox
from support import virtual_time
from support.event_loop import a_few_turns, nobody_complains
from support.heavy import rounds
from support.journaled import (
    AT_ONCE,
    CONFIRMED,
    INTENDED,
    PAID,
    REFUTED,
    REJECTED,
    SENT,
    UNKNOWN,
    behind,
    entry,
    not_recorded,
    pay,
    receipt,
)
from support.memory_journal import MemoryJournal, raises

# -- after the money has moved


async def _cancels_itself():
    raise asyncio.CancelledError


async def _hangs():
    await asyncio.Event().wait()


class ShortSighted(MemoryJournal):
    """A journal written for an older protocol."""

    async def settle(self, key, round, attempt, state):  # type: ignore[override]  # noqa: A002 - that is its fault
        raise AssertionError


@pytest.mark.parametrize(
    "hook",
    [raises(OSError("disk full")), _hangs, _cancels_itself, None],
    ids=["raises", "hangs", "cancels itself", "well"],
)
async def test_the_receipt_is_given_whatever_settling_does(sandbox, hook, caplog, monkeypatch):
    """It raises, hangs beyond its limit, cancels itself, or cannot even be called."""
    monkeypatch.setattr(journaling, "SETTLE_SECONDS", 0.002)
    journal = MemoryJournal() if hook else ShortSighted()
    if hook:
        journal.before["settle"] = hook
    async with sandbox.client(journal=journal) as client:
        given = await pay(client)
    assert receipt() == attrs.evolve(given, account=None)
    assert ([5], SENT) == (sandbox.transfers_to(1001), journal.only.state)
    assert [not_recorded("k1", "confirmed")] == caplog.record_tuples
    assert caplog.records[0].exc_info is not None
    assert set() == asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.parametrize("resists", [False, True])
def test_a_journal_that_hangs_in_settling_holds_the_caller_for_half_a_minute(sandbox, resists):
    """Neither the call's deadline nor a step that will not end makes it longer."""
    journal = MemoryJournal()

    async def hangs():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if resists:
                await asyncio.sleep(3600)
            raise

    journal.before["settle"] = hangs

    async def story():
        client = sandbox.client(journal=journal, deadline=7200.0)
        paid = await pay(client)
        seconds = asyncio.get_running_loop().time() - began
        await client.aclose()
        return paid, seconds

    began = virtual_time.BEGINNING
    (given, seconds), _ = virtual_time.run(story())
    assert receipt() == attrs.evolve(given, account=None)
    assert 30 == pytest.approx(seconds, abs=0.1)


async def test_the_receipt_is_given_though_its_round_was_settled_by_another(sandbox, caplog):
    """Somebody has resolved it meanwhile; both words are worth an error in the log."""
    journal = MemoryJournal()

    async def somebody_resolves():
        journal.rounds["k1"] = [entry(REFUTED)]

    journal.before["settle"] = somebody_resolves
    async with sandbox.client(journal=journal) as client:
        given = await pay(client)
    assert receipt() == attrs.evolve(given, account=None)
    assert REFUTED is journal.only.state
    name = "the transfer of 5 AUD to client 1001 with key 'k1'"
    text = f"{name} ended as 'confirmed', but its round was settled before"
    assert [("clicksend_reseller", logging.ERROR, text)] == caplog.record_tuples


@pytest.mark.parametrize(
    ("kind", "error", "state"),
    [("limit", RateLimitError, "rejected"), ("lost", TransferOutcomeUnknownError, "unknown")],
)
async def test_a_failure_is_raised_whatever_settling_does(sandbox, kind, error, state, caplog):
    """The journal's own failure is logged beside it."""
    sandbox.fail(kind)
    journal = MemoryJournal()
    journal.before["settle"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(error):
            await pay(client)
    assert [not_recorded("k1", state)] == caplog.record_tuples
    assert SENT is journal.only.state


# -- a journal that fails before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("key", ["k1", None])
async def test_a_transfer_that_cannot_be_recorded_is_not_sent(sandbox, when, key, caplog):
    """Nothing is repeated either, and a minted key leaves no work behind."""
    journal = MemoryJournal()
    getattr(journal, when)["intend"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client, key)
    assert ("transfer_credit: the journal failed (OSError: disk full); nothing was sent") == str(
        raised.value
    )
    assert (Outcome.NOT_SENT, 0) == (raised.value.outcome, raised.value.attempts)
    assert isinstance(raised.value.__cause__, OSError)
    assert () == sandbox.requests
    left = {state for states in journal.states.values() for state in states}
    assert ({INTENDED if key else REFUTED} if when == "after" else set()) == left
    assert [] == caplog.records


@pytest.mark.parametrize("step", ["intend", "claim"])
async def test_a_step_that_cancels_itself_is_a_journal_that_failed(sandbox, step):
    """Nobody has cancelled the caller, so no CancelledError reaches it."""
    journal = MemoryJournal()
    journal.before[step] = _cancels_itself
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client)
    assert (
        "the journal failed (StepCutError: it was cancelled from within)"
    ) == raised.value.message
    assert () == sandbox.requests


async def test_a_journal_whose_steps_cannot_be_called_is_a_journal_that_failed(sandbox):
    """Such a one is not told from another when the client is made."""
    journal: Any = SimpleNamespace(intend=5, claim=5, settle=5)
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError, match="TypeError"):
            await pay(client)
    assert () == sandbox.requests


# -- cancellation


@pytest.mark.parametrize("key", ["k1", None])
@pytest.mark.parametrize("step", ["intend", "claim"])
async def test_a_cancelled_step_before_the_money_runs_whole(
    sandbox, step, key, complaints, listening
):
    """The caller is told at once that nothing was sent; the step ends, and so does its key."""
    listening()
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before[step] = behind(gate)
    async with sandbox.client(journal=journal) as client:
        call = asyncio.create_task(pay(client, key))
        await a_few_turns()
        assert step == journal.steps[-1]
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
        assert step not in journal.ended
        gate.set()
        await a_few_turns()
        assert step in journal.ended
    name = journal.only.key
    assert [
        f"{PAID} (idempotency key {name!r}): cancelled, and nothing was sent"
    ] == raised.value.__notes__
    expected = {
        ("intend", "k1"): (INTENDED, None),
        ("intend", None): (REFUTED, "not sent"),
        ("claim", "k1"): (REJECTED, "not sent"),
        ("claim", None): (REJECTED, "not sent"),
    }
    assert expected[step, key] == (journal.only.state, journal.only.response_msg)
    assert () == sandbox.requests
    del raised, call
    await nobody_complains(complaints)


@pytest.mark.parametrize("key", ["k1", None])
async def test_a_cancelled_transfer_that_had_left_is_settled_with_its_fate(
    sandbox, key, complaints, listening, caplog
):
    """The note names the key and says what is known; the row gets the rest."""
    listening()
    sandbox.fail("slow", seconds=0.05)
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        call = asyncio.create_task(pay(client, key))
        await a_few_turns()
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
        assert SENT is journal.only.state
    name = journal.only.key
    said = (
        f"{PAID} (idempotency key {name!r}): cancelled after it had left, so it may have "
        "been applied; do not repeat it before you have checked"
    )
    assert [said] == raised.value.__notes__
    assert ([5], CONFIRMED) == (sandbox.transfers_to(1001), journal.only.state)
    assert (
        f"{PAID} (idempotency key {name!r}), whose caller had gone, ended: applied"
    ) == caplog.messages[-1]
    del raised, call
    await nobody_complains(complaints)


async def test_a_cancelled_settling_runs_whole(sandbox, complaints, listening):
    """The money has moved, and the row must say so."""
    listening()
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = behind(gate)
    async with sandbox.client(journal=journal) as client:
        call = asyncio.create_task(pay(client))
        await a_few_turns()
        assert "settle" == journal.steps[-1]
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
        assert raised.value.__notes__[0].startswith(f"{PAID} (idempotency key 'k1'): ")
        assert SENT is journal.only.state
        gate.set()
    assert (CONFIRMED, [5]) == (journal.only.state, sandbox.transfers_to(1001))
    del raised, call
    await nobody_complains(complaints)


async def test_a_deadline_in_the_claim_sends_nothing(sandbox, complaints, listening):
    """The caller is freed, the claim ends, and the round ends as not sent."""
    listening()
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["claim"] = behind(gate)
    async with sandbox.client(journal=journal, deadline=0.1) as client:
        with pytest.raises(APITimeoutError) as raised:
            await pay(client)
        assert (Outcome.NOT_SENT, 1) == (raised.value.outcome, raised.value.attempts)
        gate.set()
        await a_few_turns()
    assert ((), REJECTED, "not sent") == (
        sandbox.requests,
        journal.only.state,
        journal.only.response_msg,
    )
    del raised
    await nobody_complains(complaints)


@pytest.mark.parametrize("turns", range(6))
def test_a_deadline_right_before_a_claim_says_that_the_round_is_used_up(sandbox, turns):
    """In whichever turn of the loop it comes: a round that the claim still takes needs renewal."""
    journal = MemoryJournal()

    class JustInTime(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            loop = asyncio.get_running_loop()
            assert isinstance(loop, virtual_time.VirtualLoop)
            loop._clock.now += 10  # the deadline passes, and its timer is due in the next turn
            await a_few_turns(turns)
            return await sandbox.transport().handle_async_request(request)

    async def story():
        options: dict[str, Any] = {"transport": JustInTime(), "journal": journal, "deadline": 5}
        async with AsyncResellerClient("user", "key", **options) as client:
            with pytest.raises(APITimeoutError) as raised:
                await pay(client)
        return raised.value

    error, _ = virtual_time.run(story())
    is_used_up = journal.only.state is not INTENDED
    assert (Outcome.NOT_SENT, is_used_up) == (error.outcome, error.needs_renewal)


@pytest.mark.parametrize("settles", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_failed_claim_that_is_on_record_needs_renewal(sandbox, when, settles):
    """It was written and its answer lost; where the journal fails again, nobody knows."""
    journal = MemoryJournal()
    getattr(journal, when)["claim"] = raises(OSError("the line broke"))
    if not settles:
        journal.before["settle"] = raises(OSError("the line is broken"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError, match="the line broke") as raised:
            await pay(client)
        is_used_up = journal.only.state is REJECTED
        assert (when == "after" and settles) == is_used_up == raised.value.needs_renewal
        if is_used_up:
            with pytest.raises(JournalError, match="opens another round") as raised:
                await pay(client)
            assert raised.value.needs_renewal
    assert () == sandbox.requests


@pytest.mark.heavy
async def test_no_key_is_sent_twice_whatever_is_cancelled(complaints, listening):
    """Many transfers under seeded cancellations and faults, each tried until it is settled.

    The server's count is the oracle: a key is applied at most once, none that was applied is
    called unsent or refused, and none is called confirmed that was not.
    """
    listening()
    dice, many = random.Random(20), range(1, rounds(200, 2_000) + 1)
    sandbox = Sandbox(credit="100000", accounts=[{"user_id": n} for n in many])
    journal = MemoryJournal()
    sandbox.fail("lost", times=None, chance=0.1)
    sandbox.fail("refuse", times=None, chance=0.1)
    sandbox.fail("limit", times=None, chance=0.05, retry_after=0)

    async def dawdles():
        await a_few_turns(dice.randrange(4))

    for step in ("intend", "claim", "settle"):
        journal.before[step] = journal.after[step] = dawdles

    async with sandbox.client(journal=journal, retry=RetryPolicy(base_delay=0.0)) as client:

        async def tried(number):
            for _ in range(3):
                call = asyncio.create_task(
                    client.transfer_credit(number, 1, "AUD", idempotency_key=f"k{number}")
                )
                await a_few_turns(dice.randrange(40))
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)

        for first in many[::40]:
            await asyncio.gather(*(tried(number) for number in range(first, first + 40)))
    states = journal.states  # a key that was cancelled before its first step is not among them
    final = {number: states.get(f"k{number}", [INTENDED])[-1] for number in many}
    applied = {number: len(sandbox.transfers_to(number)) for number in many}
    assert max(applied.values()) == 1
    assert SENT not in final.values()
    assert {1} == {applied[number] for number in final if final[number] is CONFIRMED}
    not_applied = {INTENDED, REJECTED, REFUTED}
    assert {0} == {applied[number] for number in final if final[number] in not_applied}
    assert {CONFIRMED, UNKNOWN, REJECTED} <= set(final.values())
    await nobody_complains(complaints)


# -- the journal, and time, cancellation and closing


async def test_the_journal_s_own_error_is_the_cause(sandbox):
    """Whoever repairs the journal needs to see it, from a claim as from any other step."""
    journal = MemoryJournal()
    journal.before["claim"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client)
    assert "OSError('disk full')" == repr(raised.value.__cause__)


async def test_a_cancellation_while_settling_says_that_it_was_applied(sandbox, caplog):
    """The answer has come: there is no doubt about the money, only about the journal."""
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = behind(gate)
    async with sandbox.client(journal=journal) as client:
        call = asyncio.create_task(pay(client))
        await a_few_turns()
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
        gate.set()
    assert [
        f"{PAID} (idempotency key 'k1'): cancelled, but it was applied: do not repeat it"
    ] == raised.value.__notes__
    assert [
        f"{PAID} (idempotency key 'k1') was cancelled after it had been applied",
        f"{PAID} (idempotency key 'k1'), whose caller had gone, ended: applied",
    ] == caplog.messages


async def test_a_deadline_while_settling_gives_the_receipt(sandbox):
    """A journal that is slow after the money moved must not hide that it moved."""
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = behind(gate)
    async with sandbox.client(journal=journal, deadline=0.2) as client:
        results = await asyncio.gather(pay(client), return_exceptions=True)
        assert SENT is journal.only.state
        gate.set()
    given = results[0]
    assert isinstance(given, TransferReceipt)
    assert receipt() == attrs.evolve(given, account=None)
    assert CONFIRMED is journal.only.state


async def test_closing_at_once_does_not_cut_a_withdrawal():
    """`async with` closes right behind a cancellation, and the key must still be withdrawn."""

    class SlowToLeave(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            try:
                await asyncio.Event().wait()
            finally:
                await a_few_turns()

    journal = MemoryJournal()
    client = AsyncResellerClient("user", "key", transport=SlowToLeave(), journal=journal)
    call = asyncio.create_task(pay(client, None))
    await a_few_turns()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await client.aclose()
    assert REFUTED is journal.only.state


async def test_a_withdrawal_does_not_outlast_the_deadline(sandbox):
    """The caller is free when its time is over; the journal goes on writing."""
    sandbox.fail("refuse", times=None)
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = behind(gate)
    async with sandbox.client(journal=journal, deadline=0.01, retry=AT_ONCE) as client:
        call = asyncio.create_task(pay(client, None))
        await asyncio.wait({call}, timeout=5.0)
        is_free = call.done()
        gate.set()
        with pytest.raises(APIConnectionError):
            await call
    assert is_free
    assert REFUTED is journal.only.state


async def test_a_cancellation_while_withdrawing_says_what_is_known(sandbox):
    """Its note is the same as that of any call that sent nothing."""
    sandbox.fail("refuse", times=None)
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = behind(gate)
    events: list[CallEvent] = []
    async with sandbox.client(journal=journal, retry=AT_ONCE, observer=events.append) as client:
        call = asyncio.create_task(pay(client, None))
        await a_few_turns(60)
        assert "settle" == journal.steps[-1]
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
        gate.set()
    key = journal.only.key
    assert [
        f"{PAID} (idempotency key {key!r}): cancelled, and nothing was sent"
    ] == raised.value.__notes__
    assert ("finished", Outcome.NOT_SENT) == (events[-1].kind, events[-1].outcome)
    assert REFUTED is journal.only.state


async def test_an_answer_to_a_body_that_was_never_taken_confirms_nothing():
    """The claim runs when the body is taken: a transport that skips it has sent nothing."""

    class Hasty(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            envelope = {"http_code": 200, "response_code": "SUCCESS", "data": None}
            return httpx.Response(200, json=envelope)

    journal = MemoryJournal()
    async with AsyncResellerClient("user", "key", transport=Hasty(), journal=journal) as client:
        with pytest.raises(APIConnectionError, match="without taking the body") as raised:
            await pay(client)
    assert Outcome.NOT_SENT is raised.value.outcome
    assert INTENDED is journal.only.state


@pytest.mark.parametrize("won", [None, -1, 1, "yes"])
async def test_a_claim_that_is_no_bool_lets_nothing_leave(sandbox, won):
    """A rowcount of -1 would be true."""

    class Vague(MemoryJournal):
        async def claim(self, key, round, *, realm, attempt):  # noqa: A002 - the protocol's
            return won

    async with sandbox.client(journal=Vague()) as client:
        with pytest.raises(JournalError, match="must give True or False"):
            await pay(client)
    assert [] == sandbox.transfers_to(1001)


async def test_a_transport_that_swallows_the_claim_s_error_does_not_hide_it():
    """It may answer what it likes: the journal said no, and that is what the caller hears."""

    class Swallowing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            with contextlib.suppress(JournalError):
                await request.aread()
            envelope = {"http_code": 200, "response_code": "SUCCESS", "data": None}
            return httpx.Response(200, json=envelope)

    journal = MemoryJournal()
    journal.before["claim"] = raises(OSError("disk full"))
    async with AsyncResellerClient("u", "key", transport=Swallowing(), journal=journal) as client:
        with pytest.raises(JournalError, match="disk full"):
            await pay(client)


@pytest.mark.parametrize("given", [None, "another key"])
async def test_an_entry_of_another_key_is_not_believed(sandbox, given):
    """A receipt for it would be a receipt for nothing."""

    class Mistaken(MemoryJournal):
        async def intend(self, transfer, *, realm):
            entry = await super().intend(transfer, realm=realm)
            return None if given is None else attrs.evolve(entry, key=given, state=CONFIRMED)

    async with sandbox.client(journal=Mistaken()) as client:
        with pytest.raises(JournalError, match="must give the entry of its key"):
            await pay(client)
    assert [] == sandbox.transfers_to(1001)

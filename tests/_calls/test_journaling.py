import asyncio
import contextlib
import gc
import logging
import random
from types import SimpleNamespace
from typing import Any

import attrs
import httpx
import pytest

from clicksend_reseller import AsyncResellerClient, RetryPolicy
from clicksend_reseller._calls import journaling
from clicksend_reseller._calls.journaling import JournalEntry, TransferJournal, TransferState
from clicksend_reseller._http import body
from clicksend_reseller.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    InsufficientCreditError,
    JournalError,
    KeyReusedError,
    RateLimitError,
    ResellerError,
    TransferOutcomeUnknownError,
    UnsettledTransferError,
)
from clicksend_reseller.models import CallEvent, Outcome, TransferReceipt
from clicksend_reseller.sandbox import Sandbox
from support import virtual_time
from support.memory_journal import MemoryJournal, raises

AT_ONCE = RetryPolicy(base_delay=0.0)
REALM = "http://localhost:8730/v3 as sandbox"

INTENDED, SENT, CONFIRMED = TransferState.INTENDED, TransferState.SENT, TransferState.CONFIRMED
REJECTED, UNKNOWN, REFUTED = TransferState.REJECTED, TransferState.UNKNOWN, TransferState.REFUTED

# How a log line or a note names the transfer of these tests.
PAID = "transfer_credit of 5 AUD to client 1001"


def entry(state=INTENDED, **changes):
    """Make a round that is on record: 5 AUD to client 1001 under the key k1."""
    values = {
        "key": "k1",
        "client_user_id": 1001,
        "amount": 5,
        "currency": "AUD",
        "state": state,
        "realm": REALM,
        "attempt": None if state in {INTENDED, REFUTED} else "earlier",
    }
    return JournalEntry(**{**values, **changes})


def receipt(*, replayed=False):
    """Make the receipt to expect; its account is looked at elsewhere."""
    return TransferReceipt(
        client_user_id=1001, amount=5, currency="AUD", idempotency_key="k1", replayed=replayed
    )


async def pay(client, key="k1"):
    """Make the transfer that the entries describe."""
    return await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)


async def a_few_turns(number=20):
    """Let the loop run whatever is ready."""
    for _ in range(number):
        await asyncio.sleep(0)


def _behind(gate):
    """Make a hook that waits at a gate."""

    async def hook():
        await gate.wait()

    return hook


def on_record(*entries):
    """Make a journal that has these rounds."""
    journal = MemoryJournal()
    for each in entries:
        journal.put(each)
    return journal


@pytest.fixture
def sandbox():
    """Count what arrives."""
    return Sandbox()


@pytest.fixture
def complaints():
    """What the loop's exception handler was told: unread errors, destroyed tasks."""
    return []


@pytest.fixture
def listening(complaints):
    """Listen to the running loop."""

    def listen():
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))

    return listen


async def nobody_complains(complaints):
    """Look for errors that nobody read and tasks that are left."""
    await a_few_turns()
    gc.collect()
    assert [] == complaints
    assert set() == asyncio.all_tasks() - {asyncio.current_task()}


# -- what the newest round means


@pytest.mark.asyncio
async def test_a_new_key_is_recorded_claimed_sent_and_settled(sandbox):
    """The receipt names the key, and the row has what the answer said."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        given = await pay(client)
    assert given.account is not None
    assert receipt() == attrs.evolve(given, account=None)
    assert ["intend", "claim", "settle"] == journal.steps
    assert [5] == sandbox.transfers_to(1001)
    attempt = journal.only.attempt
    assert attempt
    assert journal.only == entry(
        CONFIRMED,
        attempt=attempt,
        balance_after=given.account.balance,
        status_code=200,
        response_code="SUCCESS",
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("realm", [None, REALM])
async def test_an_intended_round_goes_on(sandbox, realm):
    """Rows put in without a client have no realm yet; the claim sets it."""
    journal = on_record(entry(realm=realm))
    async with sandbox.client(journal=journal) as client:
        await pay(client)
    assert (CONFIRMED, REALM) == (journal.only.state, journal.only.realm)
    assert [5] == sandbox.transfers_to(1001)


@pytest.mark.asyncio
async def test_a_renewed_key_is_claimed_and_settled_in_its_new_round(sandbox):
    """The refused round stays as it was."""
    old = entry(REJECTED, status_code=429)
    journal = on_record(old)
    assert 2 == journal.renew("k1")
    async with sandbox.client(journal=journal) as client:
        await pay(client)
    assert old == journal.rounds["k1"][0]
    assert {"k1": [REJECTED, CONFIRMED]} == journal.states


@pytest.mark.asyncio
async def test_a_confirmed_round_gives_its_receipt_and_sends_nothing(sandbox):
    """`replayed` says that it was made before."""
    journal = on_record(entry(CONFIRMED))
    async with sandbox.client(journal=journal) as client:
        assert receipt(replayed=True) == await pay(client)
    assert ((), ["intend"]) == (sandbox.requests, journal.steps)


@pytest.mark.asyncio
@pytest.mark.parametrize("state", [SENT, UNKNOWN])
async def test_a_round_that_may_have_been_applied_is_not_sent_again(sandbox, state):
    """Nobody but a person takes that doubt away."""
    journal = on_record(entry(state))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(TransferOutcomeUnknownError) as raised:
            await pay(client)
    error = raised.value
    assert f"the journal has it on record as '{state}'" == error.message
    assert "5 AUD to client 1001 under the key 'k1', not sent this time" in str(error)
    assert (1001, 5, "AUD", "k1") == (
        error.client_user_id,
        error.amount,
        error.currency,
        error.idempotency_key,
    )
    assert ("transfer_credit", Outcome.UNKNOWN, 0) == (
        error.operation,
        error.outcome,
        error.attempts,
    )
    assert ((), ["intend"]) == (sandbox.requests, journal.steps)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "INSUFFICIENT_CREDIT", InsufficientCreditError),
        (503, "INSUFFICIENT_CREDIT", InsufficientCreditError),
        (429, None, RateLimitError),
    ],
)
async def test_a_recorded_refusal_is_raised_again_with_its_class(sandbox, status, code, error):
    """It is not repeated, teaches no pause, and says how another round is opened."""
    refused = entry(REJECTED, status_code=status, response_code=code, response_msg="Said no.")
    journal = on_record(refused)
    async with sandbox.client(journal=journal, retry=AT_ONCE, deadline=5.0) as client:
        with pytest.raises(error) as raised:
            await pay(client)
        await client.get_own_account()
    again = raised.value
    assert (status, code, "Said no.") == (
        again.status_code,
        again.response_code,
        again.response_msg,
    )
    assert (Outcome.REJECTED, 0) == (again.outcome, again.attempts)
    assert str(again).endswith(
        "; nothing was changed; this is the journal's record, nothing was sent now; "
        "renew('k1') in the journal opens another round"
    )
    assert ["get_own_account"] == [request.operation for request in sandbox.requests]
    assert ["intend"] == journal.steps


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (entry(REJECTED, response_msg="not sent"), "'rejected' (not sent)"),
        (entry(REFUTED, note="asked the client"), "'refuted' (asked the client)"),
        (entry(REFUTED, status_code=200), "'refuted' (no reason given)"),
        (entry(REJECTED), "'rejected' (no reason given)"),
    ],
)
async def test_a_round_that_ended_without_an_answer_is_a_journal_error(sandbox, refused, said):
    """The API has refused nothing, so no error of the API's is raised."""
    async with sandbox.client(journal=on_record(refused)) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client)
    assert (
        f"the transfer with key 'k1' is on record as {said}; "
        "renew('k1') in the journal opens another round"
    ) == raised.value.message
    assert Outcome.NOT_SENT is raised.value.outcome
    assert () == sandbox.requests


@pytest.mark.asyncio
async def test_a_state_that_is_not_known_is_not_sent(sandbox):
    """A newer journal may have more words than this client; none of them means "go on"."""
    journal = on_record(entry("expired"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError, match="on record as 'expired'"):
            await pay(client)
    assert ((), ["intend"]) == (sandbox.requests, journal.steps)


@pytest.mark.asyncio
@pytest.mark.parametrize("state", list(TransferState))
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"client_user_id": 1002}, "5 AUD to client 1002, not for 5 AUD to client 1001"),
        ({"amount": 6}, "6 AUD to client 1001, not for 5 AUD to client 1001"),
        ({"currency": "USD"}, "5 USD to client 1001, not for 5 AUD to client 1001"),
        (
            {"realm": "https://rest.clicksend.com/v3 as live"},
            f"'https://rest.clicksend.com/v3 as live', not for {REALM!r}",
        ),
    ],
)
async def test_a_key_on_record_for_something_else_is_refused(sandbox, state, other, said):
    """Whatever became of it: a key used in a sandbox never answers for the live account."""
    async with sandbox.client(journal=on_record(entry(state, **other))) as client:
        with pytest.raises(KeyReusedError) as raised:
            await pay(client)
    assert raised.value.message.startswith(f"the key 'k1' is on record for {said}")
    assert Outcome.NOT_SENT is raised.value.outcome
    assert () == sandbox.requests


@pytest.mark.asyncio
@pytest.mark.parametrize("state", [SENT, UNKNOWN])
async def test_another_open_transfer_to_the_client_stands_in_the_way(sandbox, state):
    """It is named, nothing is sent, and the key can be used when the other is settled."""
    journal = on_record(entry(state, key="k0"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(UnsettledTransferError) as raised:
            await pay(client)
        assert (
            "transfer_credit: the transfer with key 'k0' to the same client is open; "
            "nothing was sent"
        ) == str(raised.value)
        assert () == sandbox.requests
        assert {"k0": [state], "k1": [INTENDED]} == journal.states
        journal.rounds.pop("k0")
        await pay(client)
    assert [5] == sandbox.transfers_to(1001)


@pytest.mark.asyncio
async def test_whoever_loses_the_claim_sends_nothing(sandbox, caplog):
    """The compare-and-set decides, and the winner's round is left alone."""
    journal = MemoryJournal()
    theirs = entry(SENT)

    async def another_claims():
        journal.rounds["k1"] = [theirs]

    journal.before["claim"] = another_claims
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(UnsettledTransferError) as raised:
            await pay(client)
    assert (
        "the transfer with key 'k1' is being sent by someone else, "
        "or has been sent: ask the journal what became of it"
    ) == raised.value.message
    assert (Outcome.NOT_SENT, 1) == (raised.value.outcome, raised.value.attempts)
    assert ((), ["intend", "claim"], theirs) == (sandbox.requests, journal.steps, journal.only)
    assert [] == caplog.records


@pytest.mark.asyncio
async def test_one_key_in_many_hands_is_sent_once(sandbox):
    """20 calls of two clients at once: one pays, the others are told."""
    journal = MemoryJournal()
    async with (
        sandbox.client(journal=journal) as one,
        sandbox.client(journal=journal) as two,
    ):
        calls = [pay(client) for client in (one, two) for _ in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert receipt(replayed=True) == await pay(one)
    assert [5] == sandbox.transfers_to(1001)
    kinds = [type(result) for result in results]
    assert (1, 19) == (kinds.count(TransferReceipt), kinds.count(UnsettledTransferError))


# -- the claim runs where the bytes would leave


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["k1", None])
async def test_a_claim_that_fails_sends_nothing(sandbox, key, caplog):
    """The key stays free for another try; a minted one leaves no work behind."""
    journal = MemoryJournal()
    journal.before["claim"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client, key)
        assert "the journal failed (OSError: disk full)" == raised.value.message
        assert (Outcome.NOT_SENT, 1) == (raised.value.outcome, raised.value.attempts)
        assert () == sandbox.requests
        assert 1 == journal.steps.count("claim")
        assert (INTENDED if key else REFUTED) == journal.only.state
        assert [] == caplog.records
        del journal.before["claim"]
        await pay(client)
    assert [5] == sandbox.transfers_to(1001)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["k1", None])
async def test_a_claim_in_doubt_sends_nothing_and_is_taken_back(sandbox, key):
    """It is on record though it was called failed: a row that stays `sent` needs a person."""
    journal = MemoryJournal()
    journal.after["claim"] = raises(OSError("connection lost in COMMIT"))
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client, key)
        assert (Outcome.NOT_SENT, 1) == (raised.value.outcome, raised.value.attempts)
        assert () == sandbox.requests
        assert (REJECTED, "not sent") == (journal.only.state, journal.only.response_msg)
        del journal.after["claim"]
        journal.renew(journal.only.key)
        if key:
            await pay(client)
            assert [5] == sandbox.transfers_to(1001)


@pytest.mark.asyncio
async def test_a_claim_in_doubt_that_cannot_be_taken_back_stays_sent(sandbox, caplog):
    """The row is for a person to judge; nobody sends it again."""
    journal = MemoryJournal()
    journal.after["claim"] = raises(OSError("connection lost in COMMIT"))
    journal.before["settle"] = raises(OSError("connection lost"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError):
            await pay(client)
        with pytest.raises(TransferOutcomeUnknownError):
            await pay(client)
    assert ((), SENT) == (sandbox.requests, journal.only.state)
    assert [_not_recorded("k1", "rejected")] == caplog.record_tuples


def _not_recorded(key, state):
    name = f"the transfer of 5 AUD to client 1001 with key {key!r}"
    text = f"{name} ended as {state!r}, but the journal could not record it"
    return ("clicksend_reseller", logging.ERROR, text)


@pytest.mark.asyncio
async def test_a_connection_that_was_refused_has_claimed_nothing(sandbox):
    """Nothing asked for the body, so the call is repeated and the claim comes then."""
    sandbox.fail("refuse", times=2)
    journal = MemoryJournal()
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        await pay(client)
    assert ["intend", "claim", "settle"] == journal.steps
    assert ([5], CONFIRMED) == (sandbox.transfers_to(1001), journal.only.state)


@pytest.mark.asyncio
async def test_an_attempt_whose_time_ends_in_the_claim_is_settled_as_not_sent(sandbox):
    """The claim runs whole, then nothing leaves, and the call is not repeated."""
    journal = MemoryJournal()
    journal.before["claim"] = lambda: asyncio.sleep(0.1)
    async with sandbox.client(journal=journal, timeout=0.05, retry=AT_ONCE) as client:
        with pytest.raises(APITimeoutError) as raised:
            await pay(client)
    assert (Outcome.NOT_SENT, 1) == (raised.value.outcome, raised.value.attempts)
    assert ((), ["intend", "claim", "settle"]) == (sandbox.requests, journal.steps)
    assert entry(REJECTED, attempt=journal.only.attempt, response_msg="not sent") == journal.only


@pytest.mark.asyncio
@pytest.mark.parametrize("which", [0, 1], ids=["clock that counts sleep", "wall clock"])
async def test_a_machine_that_slept_after_the_claim_sends_nothing(sandbox, monkeypatch, which):
    """A person may have judged and renewed the row meanwhile, and somebody else has paid."""
    slept, journal = [0.0, 0.0], MemoryJournal()
    clocks = [lambda which=which: 1_000.0 + slept[which] for which in (0, 1)]
    monkeypatch.setattr(body, "CLOCKS", tuple(clocks))

    async def sleep():
        slept[which] = 900.0

    journal.after["claim"] = sleep
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(APITimeoutError, match="900 s passed") as raised:
            await pay(client)
    assert (Outcome.NOT_SENT, True, 1) == (
        raised.value.outcome,
        raised.value.needs_renewal,
        raised.value.attempts,
    )
    assert () == sandbox.requests
    assert (REJECTED, "not sent") == (journal.only.state, journal.only.response_msg)


@pytest.mark.asyncio
async def test_a_claimed_round_is_not_repeated_though_nothing_left(sandbox):
    """It is final; the same failure before the claim would have been repeated."""
    journal = MemoryJournal()
    journal.before["claim"] = lambda: asyncio.sleep(0.1)
    async with sandbox.client(journal=journal, timeout=0.05, retry=AT_ONCE) as client:
        with pytest.raises(APIConnectionError):
            await pay(client)
        with pytest.raises(JournalError, match="not sent"):
            await pay(client)
    assert (1, ()) == (journal.steps.count("claim"), sandbox.requests)


# -- what a round is settled with


@pytest.mark.asyncio
async def test_a_refusal_is_settled_and_is_final_for_its_round(sandbox):
    """What the API said is on record; renewing it pays."""
    sandbox.fail("error", status=400, response_code="INSUFFICIENT_CREDIT")
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(InsufficientCreditError):
            await pay(client)
        assert journal.only == entry(
            REJECTED,
            attempt=journal.only.attempt,
            status_code=400,
            response_code="INSUFFICIENT_CREDIT",
            response_msg="Bad Request.",
        )
        with pytest.raises(InsufficientCreditError):
            await pay(client)
        assert (1, []) == (len(sandbox.requests), sandbox.transfers_to(1001))
        journal.renew("k1")
        await pay(client)
    assert [5] == sandbox.transfers_to(1001)


@pytest.mark.asyncio
async def test_a_429_is_final_for_its_round_whatever_the_policy_says(sandbox):
    """The caller renews."""
    sandbox.fail("limit", retry_after=0)
    journal = MemoryJournal()
    resends = RetryPolicy(base_delay=0.0, resend_rate_limited_transfers=True)
    async with sandbox.client(journal=journal, retry=resends) as client:
        with pytest.raises(RateLimitError) as raised:
            await pay(client)
    assert (Outcome.REJECTED, 1) == (raised.value.outcome, raised.value.attempts)
    assert (1, REJECTED, 429) == (
        len(sandbox.requests),
        journal.only.state,
        journal.only.status_code,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("lost", None, None),
        ("reset", None, None),
        ("empty", 200, None),
        ("page", 502, None),
        ("error", 500, "INTERNAL_SERVER_ERROR"),
        ("redirect", 307, None),
    ],
)
async def test_doubt_is_settled_as_unknown_with_what_is_known(sandbox, kind, status, code):
    """A person who judges the row sees what came, and the error names the key."""
    sandbox.fail(kind)
    journal = MemoryJournal()
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(TransferOutcomeUnknownError) as raised:
            await pay(client)
        assert ("k1", 1) == (raised.value.idempotency_key, raised.value.attempts)
        row = journal.only
        assert (UNKNOWN, status, code) == (row.state, row.status_code, row.response_code)
        assert row.response_msg
        with pytest.raises(TransferOutcomeUnknownError):
            await pay(client)
    assert 1 == len(sandbox.requests)


@pytest.mark.asyncio
async def test_a_write_cut_by_aclose_is_settled_as_unknown(sandbox, monkeypatch, caplog):
    """Its time was up and it had left."""
    monkeypatch.setattr("clicksend_reseller._calls.attempt.SETTLE_SECONDS", -0.995)
    sandbox.fail("hang")
    journal = MemoryJournal()
    client = sandbox.client(journal=journal, timeout=1.0)
    call = asyncio.create_task(pay(client))
    await a_few_turns()
    await client.aclose()
    with pytest.raises(TransferOutcomeUnknownError):
        await call
    assert (UNKNOWN, "cut off") == (journal.only.state, journal.only.response_msg)
    assert f"{PAID} (idempotency key 'k1') was cut off" in caplog.text


# -- after the money has moved


async def _cancels_itself():
    raise asyncio.CancelledError


async def _hangs():
    await asyncio.Event().wait()


class ShortSighted(MemoryJournal):
    """A journal written for an older protocol."""

    async def settle(self, key, round, attempt, state):  # type: ignore[override]  # noqa: A002 - that is its fault
        raise AssertionError


@pytest.mark.asyncio
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
    assert [_not_recorded("k1", "confirmed")] == caplog.record_tuples
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


@pytest.mark.asyncio
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


@pytest.mark.asyncio
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
    assert [_not_recorded("k1", state)] == caplog.record_tuples
    assert SENT is journal.only.state


# -- a journal that fails before


@pytest.mark.asyncio
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


@pytest.mark.asyncio
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


@pytest.mark.asyncio
async def test_a_journal_whose_steps_cannot_be_called_is_a_journal_that_failed(sandbox):
    """Such a one is not told from another when the client is made."""
    journal: Any = SimpleNamespace(intend=5, claim=5, settle=5)
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError, match="TypeError"):
            await pay(client)
    assert () == sandbox.requests


# -- cancellation


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["k1", None])
@pytest.mark.parametrize("step", ["intend", "claim"])
async def test_a_cancelled_step_before_the_money_runs_whole(
    sandbox, step, key, complaints, listening
):
    """The caller is told at once that nothing was sent; the step ends, and so does its key."""
    listening()
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before[step] = _behind(gate)
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


@pytest.mark.asyncio
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


@pytest.mark.asyncio
async def test_a_cancelled_settling_runs_whole(sandbox, complaints, listening):
    """The money has moved, and the row must say so."""
    listening()
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = _behind(gate)
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


@pytest.mark.asyncio
async def test_a_deadline_in_the_claim_sends_nothing(sandbox, complaints, listening):
    """The caller is freed, the claim ends, and the round ends as not sent."""
    listening()
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["claim"] = _behind(gate)
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


@pytest.mark.asyncio
async def test_no_key_is_sent_twice_whatever_is_cancelled(complaints, listening):
    """600 transfers under seeded cancellations and faults, each tried until it is settled.

    The server's count is the oracle: a key is applied at most once, none that was applied is
    called unsent or refused, and none is called confirmed that was not.
    """
    listening()
    dice = random.Random(20)
    sandbox = Sandbox(credit="100000", accounts=[{"user_id": n} for n in range(1, 601)])
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

        for first in range(1, 601, 40):
            await asyncio.gather(*(tried(number) for number in range(first, first + 40)))
    states = journal.states  # a key that was cancelled before its first step is not among them
    final = {number: states.get(f"k{number}", [INTENDED])[-1] for number in range(1, 601)}
    applied = {number: len(sandbox.transfers_to(number)) for number in range(1, 601)}
    assert max(applied.values()) == 1
    assert SENT not in final.values()
    assert {1} == {applied[number] for number in final if final[number] is CONFIRMED}
    not_applied = {INTENDED, REJECTED, REFUTED}
    assert {0} == {applied[number] for number in final if final[number] in not_applied}
    assert {CONFIRMED, UNKNOWN, REJECTED} <= set(final.values())
    await nobody_complains(complaints)


# -- minted keys


@pytest.mark.asyncio
async def test_a_transfer_without_a_key_is_recorded_under_a_minted_one(sandbox):
    """The receipt names it."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        given = await client.transfer_credit(1001, 5, "AUD")
        other = await client.transfer_credit(1001, 5, "AUD")
    assert [given.idempotency_key, other.idempotency_key] == list(journal.rounds)
    assert 2 == len(journal.rounds)
    assert all(key.startswith("auto-") for key in journal.rounds)
    assert [5, 5] == sandbox.transfers_to(1001)


@pytest.mark.asyncio
async def test_a_minted_key_is_named_in_the_error(sandbox):
    """It is the only way to find the row."""
    sandbox.fail("lost")
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(TransferOutcomeUnknownError) as raised:
            await client.transfer_credit(1001, 5, "AUD")
    assert journal.only.key == raised.value.idempotency_key
    assert f"under the key {journal.only.key!r}" in str(raised.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(("key", "state"), [(None, REFUTED), ("k1", INTENDED)])
async def test_an_end_that_sent_nothing_withdraws_a_minted_key_only(sandbox, key, state):
    """An outbox would pay what the caller pays again; under its own key the caller comes back."""
    sandbox.fail("refuse", times=None)
    journal = MemoryJournal()
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(APIConnectionError) as raised:
            await pay(client, key)
    assert (Outcome.NOT_SENT, 4) == (raised.value.outcome, raised.value.attempts)
    assert state is journal.only.state
    assert ("not sent" if key is None else None) == journal.only.response_msg
    assert "claim" not in journal.steps


@pytest.mark.asyncio
async def test_a_withdrawal_that_fails_does_not_hide_why_nothing_was_sent(sandbox, caplog):
    """The row stays intended, and nobody but the caller would send it."""
    sandbox.fail("refuse", times=None)
    journal = MemoryJournal()
    journal.before["settle"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(APIConnectionError):
            await pay(client, None)
    assert [_not_recorded(journal.only.key, "refuted")] == caplog.record_tuples


# -- set-up


@pytest.mark.parametrize("timeout", [120.1, 3600.0])
def test_a_timeout_above_two_minutes_is_refused_beside_a_journal(sandbox, timeout):
    """A person may judge a row after 150 s, so no attempt may still be alive then."""
    with pytest.raises(ConfigurationError, match="with a journal timeout must be at most 120 s"):
        sandbox.client(journal=MemoryJournal(), timeout=timeout)
    sandbox.client(timeout=timeout)
    sandbox.client(journal=MemoryJournal(), timeout=120.0)


@pytest.mark.asyncio
async def test_a_key_without_a_journal_is_refused_and_nothing_is_sent(sandbox):
    """The API knows no such key: whoever gives one would believe in a promise nobody makes."""
    async with sandbox.client() as client:
        with pytest.raises(ConfigurationError, match="an idempotency_key needs a journal"):
            await pay(client)
    assert () == sandbox.requests


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ("", ValueError, "idempotency_key must be 1 to 255 printable characters, not ''"),
        ("k" * 256, ValueError, "idempotency_key must be 1 to 255 printable characters, not 'kkk"),
        ("a\nb", ValueError, r"idempotency_key must be 1 to 255 printable characters, not 'a\nb'"),
        (77, TypeError, "idempotency_key must be a str, not 77"),
    ],
)
async def test_a_key_that_no_journal_could_keep_is_refused(sandbox, key, error, said):
    """Before it is recorded, and before anything is sent."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(error) as raised:
            await pay(client, key)
    assert str(raised.value).startswith(said)
    assert not isinstance(raised.value, ResellerError)
    assert ((), []) == (sandbox.requests, journal.steps)


@pytest.mark.asyncio
async def test_a_key_may_be_as_long_as_a_column_and_in_any_script(sandbox):
    """Invoice numbers are the caller's."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        for key in ("k" * 255, "счёт 7"):
            assert key == (await pay(client, key)).idempotency_key
    assert ["k" * 255, "счёт 7"] == list(journal.rounds)


@pytest.mark.asyncio
async def test_the_client_never_closes_the_journal(sandbox):
    """It belongs to whoever made it, and others may use it."""

    class Closable(MemoryJournal):
        closed = False

        async def aclose(self):
            self.closed = True

        async def __aexit__(self, *exc):
            self.closed = True

    journal = Closable()
    async with sandbox.client(journal=journal) as client:
        assert journal is client.journal
        await pay(client)
    await client.aclose()
    assert not journal.closed


def test_the_realm_is_base_url_and_user_name(sandbox):
    """A key belongs to both."""
    assert REALM == sandbox.client().realm
    live = AsyncResellerClient("ann", "key")
    assert "https://rest.clicksend.com/v3 as ann" == live.realm
    assert live.journal is None


def test_the_journal_of_the_tests_is_one():
    """So are those of others: the protocol asks for three methods."""
    assert isinstance(MemoryJournal(), TransferJournal)
    assert not isinstance(object(), TransferJournal)


# -- the journal, and time, cancellation and closing


@pytest.mark.asyncio
async def test_the_journal_s_own_error_is_the_cause(sandbox):
    """Whoever repairs the journal needs to see it, from a claim as from any other step."""
    journal = MemoryJournal()
    journal.before["claim"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError) as raised:
            await pay(client)
    assert "OSError('disk full')" == repr(raised.value.__cause__)


@pytest.mark.asyncio
async def test_a_cancellation_while_settling_says_that_it_was_applied(sandbox, caplog):
    """The answer has come: there is no doubt about the money, only about the journal."""
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = _behind(gate)
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


@pytest.mark.asyncio
async def test_a_deadline_while_settling_gives_the_receipt(sandbox):
    """A journal that is slow after the money moved must not hide that it moved."""
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = _behind(gate)
    async with sandbox.client(journal=journal, deadline=0.2) as client:
        results = await asyncio.gather(pay(client), return_exceptions=True)
        assert SENT is journal.only.state
        gate.set()
    given = results[0]
    assert isinstance(given, TransferReceipt)
    assert receipt() == attrs.evolve(given, account=None)
    assert CONFIRMED is journal.only.state


@pytest.mark.asyncio
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


@pytest.mark.asyncio
async def test_a_withdrawal_does_not_outlast_the_deadline(sandbox):
    """The caller is free when its time is over; the journal goes on writing."""
    sandbox.fail("refuse", times=None)
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = _behind(gate)
    async with sandbox.client(journal=journal, deadline=0.01, retry=AT_ONCE) as client:
        call = asyncio.create_task(pay(client, None))
        await asyncio.wait({call}, timeout=5.0)
        is_free = call.done()
        gate.set()
        with pytest.raises(APIConnectionError):
            await call
    assert is_free
    assert REFUTED is journal.only.state


@pytest.mark.asyncio
async def test_a_cancellation_while_withdrawing_says_what_is_known(sandbox):
    """Its note is the same as that of any call that sent nothing."""
    sandbox.fail("refuse", times=None)
    journal, gate = MemoryJournal(), asyncio.Event()
    journal.before["settle"] = _behind(gate)
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


@pytest.mark.asyncio
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


@pytest.mark.asyncio
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


@pytest.mark.asyncio
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


@pytest.mark.asyncio
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

import asyncio

import attrs
import pytest

from clicksend_reseller import RetryPolicy
from clicksend_reseller._calls.journaling import TransferState
from clicksend_reseller._http import body
from clicksend_reseller.errors import (
    APIConnectionError,
    APITimeoutError,
    InsufficientCreditError,
    JournalError,
    KeyReusedError,
    RateLimitError,
    TransferOutcomeUnknownError,
    UnsettledTransferError,
)
from clicksend_reseller.models import Outcome, TransferReceipt
from support.event_loop import a_few_turns
from support.journaled import (
    AT_ONCE,
    CONFIRMED,
    INTENDED,
    PAID,
    REALM,
    REFUTED,
    REJECTED,
    SENT,
    UNKNOWN,
    entry,
    not_recorded,
    on_record,
    pay,
    receipt,
)
from support.memory_journal import MemoryJournal, raises

# -- what the newest round means


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


@pytest.mark.parametrize("realm", [None, REALM])
async def test_an_intended_round_goes_on(sandbox, realm):
    """Rows put in without a client have no realm yet; the claim sets it."""
    journal = on_record(entry(realm=realm))
    async with sandbox.client(journal=journal) as client:
        await pay(client)
    assert (CONFIRMED, REALM) == (journal.only.state, journal.only.realm)
    assert [5] == sandbox.transfers_to(1001)


async def test_a_renewed_key_is_claimed_and_settled_in_its_new_round(sandbox):
    """The refused round stays as it was."""
    old = entry(REJECTED, status_code=429)
    journal = on_record(old)
    assert 2 == journal.renew("k1")
    async with sandbox.client(journal=journal) as client:
        await pay(client)
    assert old == journal.rounds["k1"][0]
    assert {"k1": [REJECTED, CONFIRMED]} == journal.states


async def test_a_confirmed_round_gives_its_receipt_and_sends_nothing(sandbox):
    """`replayed` says that it was made before."""
    journal = on_record(entry(CONFIRMED))
    async with sandbox.client(journal=journal) as client:
        assert receipt(replayed=True) == await pay(client)
    assert ((), ["intend"]) == (sandbox.requests, journal.steps)


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


async def test_a_state_that_is_not_known_is_not_sent(sandbox):
    """A newer journal may have more words than this client; none of them means "go on"."""
    journal = on_record(entry("expired"))
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(JournalError, match="on record as 'expired'"):
            await pay(client)
    assert ((), ["intend"]) == (sandbox.requests, journal.steps)


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
    assert [not_recorded("k1", "rejected")] == caplog.record_tuples


async def test_a_connection_that_was_refused_has_claimed_nothing(sandbox):
    """Nothing asked for the body, so the call is repeated and the claim comes then."""
    sandbox.fail("refuse", times=2)
    journal = MemoryJournal()
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        await pay(client)
    assert ["intend", "claim", "settle"] == journal.steps
    assert ([5], CONFIRMED) == (sandbox.transfers_to(1001), journal.only.state)


async def test_an_attempt_whose_time_ends_in_the_claim_is_settled_as_not_sent(sandbox):
    """The claim runs whole, then nothing leaves, and the call is not repeated."""
    journal = MemoryJournal()
    journal.before["claim"] = lambda: asyncio.sleep(0.1)  # past the time of an attempt
    async with sandbox.client(journal=journal, timeout=0.05, retry=AT_ONCE) as client:
        with pytest.raises(APITimeoutError) as raised:
            await pay(client)
    assert (Outcome.NOT_SENT, 1) == (raised.value.outcome, raised.value.attempts)
    assert ((), ["intend", "claim", "settle"]) == (sandbox.requests, journal.steps)
    assert entry(REJECTED, attempt=journal.only.attempt, response_msg="not sent") == journal.only


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


async def test_a_claimed_round_is_not_repeated_though_nothing_left(sandbox):
    """It is final; the same failure before the claim would have been repeated."""
    journal = MemoryJournal()
    journal.before["claim"] = lambda: asyncio.sleep(0.1)  # past the time of an attempt
    async with sandbox.client(journal=journal, timeout=0.05, retry=AT_ONCE) as client:
        with pytest.raises(APIConnectionError):
            await pay(client)
        with pytest.raises(JournalError, match="not sent"):
            await pay(client)
    assert (1, ()) == (journal.steps.count("claim"), sandbox.requests)


# -- what a round is settled with


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

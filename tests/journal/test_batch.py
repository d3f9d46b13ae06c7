import asyncio
from collections import Counter
from decimal import Decimal

import attrs
import pytest

from clicksend_reseller import (
    ConfigurationError,
    InsufficientCreditError,
    KeyReusedError,
    RetryPolicy,
    Transfer,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller.journal import SQLJournal, transfer_many
from clicksend_reseller.sandbox import Sandbox
from support.memory_journal import MemoryJournal, raises
from support.waiting import until

AT_ONCE = RetryPolicy(base_delay=0.0)


def transfers(number, *, first=0, client=None):
    """Make transfers of 5 AUD, each to a client of its own unless one is named."""
    return [
        Transfer(
            idempotency_key=f"k{n}",
            client_user_id=client or 2000 + n,
            amount=5,
            currency="AUD",
        )
        for n in range(first, first + number)
    ]


@pytest.fixture
def sandbox():
    """Have 60 plain clients."""
    return Sandbox(credit="1000", accounts=[{"user_id": 2000 + n} for n in range(60)])


@pytest.fixture
def journal():
    """Keep rows in memory; the databases have tests of their own."""
    return SQLJournal("sqlite+aiosqlite://")


async def statuses(batch):
    """Walk over a batch; give the status of each key."""
    return {r.transfer.idempotency_key: r.status.value async for r in batch}


async def test_a_list_is_paid_once_and_the_same_call_again_pays_nothing(sandbox, journal):
    """Resume is the same call; receipts come from the record."""
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(20))
        assert {"paid"} == set((await statuses(batch)).values())
        assert "20 paid (100 AUD)" == str(batch.report)
        again = transfer_many(client, transfers(20))
        results = [result async for result in again]
    assert {"already_paid"} == {result.status.value for result in results}
    assert all(result.receipt and result.receipt.replayed for result in results)
    assert again.report.complete
    assert 20 == len(sandbox.ledger)
    assert {"AUD": 100} == again.report.sums["already_paid"]


async def test_an_edited_list_pays_only_what_is_new(sandbox, journal):
    """Rows taken out are left alone; a row whose amount has changed is refused."""
    async with journal, sandbox.client(journal=journal) as client:
        await statuses(transfer_many(client, transfers(10)))
        changed = Transfer(idempotency_key="k3", client_user_id=2003, amount=6, currency="AUD")
        edited = [*transfers(3), changed, *transfers(4, first=10)]
        results = {r.transfer.idempotency_key: r async for r in transfer_many(client, edited)}
    assert 14 == len(sandbox.ledger)
    assert {"paid": 4, "already_paid": 3, "not_sent": 1} == Counter(
        result.status.value for result in results.values()
    )
    assert isinstance(results["k3"].error, KeyReusedError)


async def test_all_that_is_wrong_is_listed_and_nothing_is_sent(sandbox, journal):
    """Before the first row is recorded."""
    bad = [
        *transfers(2),
        *transfers(1),
        Transfer(idempotency_key="x", client_user_id=0, amount=5, currency="AUD"),
        Transfer(idempotency_key="y", client_user_id=1, amount=-5, currency="AUD"),
        Transfer(idempotency_key="z", client_user_id=1, amount=5, currency="aud"),
        Transfer(idempotency_key="", client_user_id=1, amount=5, currency="AUD"),
        "k9",
    ]
    async with journal, sandbox.client(journal=journal) as client:
        with pytest.raises(ValueError, match="nothing was sent") as raised:
            transfer_many(client, bad)
        assert [] == [entry async for entry in journal.entries()]
    for part in ("row 4", "row 5", "row 6", "row 7", "row 8", "'k0' comes 2 times"):
        assert part in str(raised.value)
    assert () == sandbox.requests


async def test_two_rows_for_one_client_are_sent_one_after_the_other(sandbox, journal):
    """Neither stands in the other's way, however many are under way at once."""
    rows = [*transfers(6, client=2001), *transfers(6, first=6, client=2002)]
    async with journal, sandbox.client(journal=journal) as client:
        found = await statuses(transfer_many(client, rows, concurrency=8))
    assert {"paid"} == set(found.values())
    assert ([5] * 6, [5] * 6) == (sandbox.transfers_to(2001), sandbox.transfers_to(2002))


async def test_a_batch_ends_early_when_the_credit_is_used_up(journal):
    """The rest stays intended, and with more credit the same call goes on."""
    sandbox = Sandbox(credit="52", accounts=[{"user_id": 2000 + n} for n in range(60)])
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(60), concurrency=4)
        found = await statuses(batch)
        assert 10 == len(sandbox.ledger) == batch.report.counts["paid"]
        assert isinstance(batch.report.stopped_by, InsufficientCreditError)
        assert 60 - len(found) == batch.report.remaining > 40
        assert str(batch.report).endswith("renew_rejected=True pays the rejected ones too")
        states = Counter([entry.state async for entry in journal.entries()])
        assert batch.report.remaining == states[TransferState.INTENDED]
        sandbox.state.credit = Decimal(1000)
        assert "rejected" in (await statuses(transfer_many(client, transfers(60)))).values()
        last = transfer_many(client, transfers(60), renew_rejected=True)
        await statuses(last)
        assert last.report.complete
    assert [[5]] * 60 == [sandbox.transfers_to(2000 + n) for n in range(60)]


async def test_lost_answers_in_a_row_end_a_batch_and_do_not_bar_the_next(sandbox, journal):
    """Old unknowns are told of again, but only new ones count."""
    sandbox.fail("lost", times=None)
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(30), concurrency=1, max_unknown=3)
        assert ["unknown"] * 3 == list((await statuses(batch)).values())
        assert (27, "3 answers in a row were lost") == (
            batch.report.remaining,
            batch.report.stopped_because,
        )
        sandbox.clear_faults()
        again = transfer_many(client, transfers(30), concurrency=1, max_unknown=1)
        found = Counter((await statuses(again)).values())
    assert {"unknown": 3, "paid": 27} == found
    assert 30 == len(sandbox.ledger)


async def test_rows_that_are_paid_already_do_not_end_a_row_of_lost_answers(sandbox, journal):
    """Nothing was sent for them, so they say nothing about the API."""
    async with journal, sandbox.client(journal=journal) as client:
        assert {"paid"} == set((await statuses(transfer_many(client, transfers(5)))).values())
        sandbox.fail("lost", times=None)
        paid, new = transfers(5), transfers(5, first=5)
        mixed = [row for pair in zip(new, paid, strict=True) for row in pair]
        batch = transfer_many(client, mixed, concurrency=1, max_unknown=3)
        found = list((await statuses(batch)).values())
    assert ["unknown", "already_paid"] * 2 + ["unknown"] == found
    assert "3 answers in a row were lost" == batch.report.stopped_because


async def test_all_rows_are_recorded_before_the_first_is_sent_however_many():
    """And all are paid: a list is recorded in chunks, and none of them is the last by mistake."""
    number, journal = 620, MemoryJournal()
    accounts = [{"user_id": 2000 + n, "currency": "AUD"} for n in range(number)]
    crowd = Sandbox(credit="10000", accounts=accounts)
    async with crowd.client(journal=journal) as client:
        batch = transfer_many(client, transfers(number), concurrency=8)
        first = await anext(batch)
        recorded = len(journal.rounds)
        others = [result async for result in batch]
    assert number == recorded
    assert {"paid"} == {result.status.value for result in (first, *others)}
    assert (number, number) == (len(others) + 1, len(crowd.ledger))
    assert batch.report.complete


async def test_a_long_list_is_recorded_whole(journal):
    """In chunks, which nobody sees: the entries come in the order given."""
    rows = transfers(620)
    async with journal:
        entries = await journal.intend_all(rows, realm="r")
        on_record = [entry.key async for entry in journal.entries()]
    assert [row.idempotency_key for row in rows] == [entry.key for entry in entries]
    assert 620 == len(set(on_record))


async def test_a_list_paid_for_another_account_is_not_paid_for_this_one(sandbox, journal):
    """The keys are on record for another user name: nothing is sent, and nothing reads as paid."""
    other = Sandbox(username="other", accounts=[{"user_id": 2000 + n} for n in range(3)])
    async with (
        journal,
        sandbox.client(journal=journal) as client,
        other.client(journal=journal) as stranger,
    ):
        assert {"paid"} == set((await statuses(transfer_many(client, transfers(3)))).values())
        batch = transfer_many(stranger, transfers(3))
        results = [result async for result in batch]
    assert {"not_sent"} == {result.status.value for result in results}
    assert all(isinstance(result.error, KeyReusedError) for result in results)
    assert not batch.report.complete
    assert () == other.ledger


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "FORBIDDEN")])
async def test_wrong_credentials_end_a_batch_at_once(sandbox, journal, status, code):
    """Every further row would be refused as well; a 403 is an account without the permission."""
    sandbox.fail("error", times=None, status=status, response_code=code)
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(30), concurrency=1)
        assert ["rejected"] == list((await statuses(batch)).values())
    assert 29 == batch.report.remaining


async def test_a_break_starts_nothing_more_and_closing_waits_for_what_is_in_flight(
    sandbox, journal
):
    """Each row that was started is settled, and each that was not stays intended."""
    async with journal, sandbox.client(journal=journal) as client:
        async with transfer_many(client, transfers(30), concurrency=4) as batch:
            async for _ in batch:
                break
        states = Counter([entry.state async for entry in journal.entries()])
        counted = sum(batch.report.counts.values())
    assert {TransferState.CONFIRMED: counted, TransferState.INTENDED: 30 - counted} == states
    assert 1 <= counted <= 4
    assert counted == len(sandbox.ledger)


async def test_stopping_gives_the_results_that_are_in_flight(sandbox, journal):
    """Ctrl-C: no new rows, then the answers that are awaited."""
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(30), concurrency=4)
        seen = 0
        async for _ in batch:
            seen += 1
            batch.stop()
    assert seen == sum(batch.report.counts.values()) == len(sandbox.ledger)
    assert seen <= 4


async def test_a_cancelled_batch_leaves_no_row_in_doubt(sandbox, journal):
    """What had left runs to its end and is settled when the client is closed."""
    async with journal:
        async with sandbox.client(journal=journal) as client:

            async def walk():
                async for _ in transfer_many(client, transfers(30), concurrency=4):
                    pass

            task = asyncio.create_task(walk())
            await until(lambda: len(sandbox.ledger) >= 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        states = Counter([entry.state async for entry in journal.entries()])
    assert len(sandbox.ledger) == states[TransferState.CONFIRMED]
    assert {TransferState.CONFIRMED, TransferState.INTENDED, TransferState.REJECTED} >= set(states)


async def test_an_outbox_is_paid_by_the_same_call(sandbox, journal):
    """What was put in by `intend()` is pending until it is paid; a direct call's row is not."""
    async with journal, sandbox.client(journal=journal) as client:
        for transfer in transfers(5):
            await journal.intend(transfer)
        await journal.intend(*transfers(1, first=9), realm=client.realm)
        assert 5 == len([each async for each in journal.pending()])
        batch = transfer_many(client, journal.pending())
        assert {"paid"} == set((await statuses(batch)).values())
        assert [] == [each async for each in journal.pending()]
    assert 5 == len(sandbox.ledger)


async def test_another_open_transfer_to_the_client_is_elsewhere(sandbox, journal):
    """It is named in the error."""
    sandbox.fail("lost")
    async with journal, sandbox.client(journal=journal) as client:
        rows = transfers(2, client=2001)
        results = [result async for result in transfer_many(client, rows)]
    assert ["unknown", "elsewhere"] == [result.status.value for result in results]
    assert isinstance(results[1].error, UnsettledTransferError)
    assert "'k0'" in str(results[1].error)


async def test_a_journal_of_three_methods_will_do(sandbox):
    """The protocol is all that a batch needs, unless it shall renew."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        found = await statuses(transfer_many(client, transfers(3)))
    assert {"paid"} == set(found.values())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"concurrency": 0}, ValueError),
        ({"max_unknown": True}, ValueError),
    ],
)
def test_options_that_make_no_sense_are_refused(sandbox, journal, options, error):
    """Before anything is recorded."""
    with pytest.raises(error):
        transfer_many(sandbox.client(journal=journal), [], **options)


def test_a_client_without_a_journal_cannot_pay_a_list(sandbox):
    """Nobody would remember what was paid."""
    with pytest.raises(ConfigurationError, match="needs a client with a journal"):
        transfer_many(sandbox.client(), [])


async def test_a_row_that_was_edited_is_not_renewed(sandbox, journal):
    """The round that would be opened is of the old amount, and nobody asked for that one."""
    sandbox.fail("error", status=400, response_code="INSUFFICIENT_CREDIT")
    async with journal, sandbox.client(journal=journal) as client:
        await statuses(transfer_many(client, transfers(1)))
        edited = [attrs.evolve(transfers(1)[0], amount=7)]
        results = [r async for r in transfer_many(client, edited, renew_rejected=True)]
        assert isinstance(results[0].error, KeyReusedError)
        entry = await journal.get("k0")
    assert entry is not None
    assert [TransferState.REJECTED] == [each.state for each in entry.rounds]
    assert () == sandbox.ledger


@pytest.mark.parametrize("renews", [False, True])
async def test_a_withdrawn_row_is_not_called_one_that_the_same_list_would_pay(
    sandbox, journal, renews
):
    """Its key is used up, and the list alone, `renew_rejected` too, opens no other round."""
    async with journal, sandbox.client(journal=journal) as client:
        rows = transfers(1)
        await journal.intend(rows[0])
        await journal.resolve("k0", applied=False, by="ann", note="no")
        batch = transfer_many(client, rows, renew_rejected=renews)
        assert ["rejected"] == [result.status.value async for result in batch]
    assert () == sandbox.ledger


async def test_a_row_that_a_person_has_decided_meanwhile_is_not_renewed(sandbox, journal):
    """It was rejected when the batch began; then somebody said that it shall not be paid."""
    sandbox.fail("error", times=2, status=400, response_code="BAD_REQUEST")
    async with journal, sandbox.client(journal=journal) as client:
        rows = transfers(2)
        assert {"rejected"} == set((await statuses(transfer_many(client, rows))).values())
        batch = transfer_many(client, rows, renew_rejected=True, concurrency=1)
        found = [await anext(batch)]
        await journal.renew("k1", by="ann", note="was this wanted?")
        await journal.resolve("k1", applied=False, by="ann", note="no")
        found += [result async for result in batch]
        entry = await journal.get("k1")
    assert ["paid", "rejected"] == [result.status.value for result in found]
    assert "on record as 'refuted' (no)" in str(found[1].error)
    assert entry is not None
    assert [TransferState.REJECTED, TransferState.REFUTED] == [e.state for e in entry.rounds]
    assert [rows[0].client_user_id] == [each.client_user_id for each in sandbox.ledger]


def test_a_journal_that_renews_whatever_it_finds_renews_for_no_batch(sandbox):
    """It could override a person: it must take what was seen."""
    with pytest.raises(ConfigurationError, match="seen="):
        transfer_many(sandbox.client(journal=MemoryJournal()), [], renew_rejected=True)


async def test_a_cancelled_batch_counts_what_had_left_as_unknown(sandbox, journal):
    """It may have been paid, so it must not be said to be "not tried"."""
    sandbox.fail("slow", operation="transfer_credit", times=None, seconds=0.2)
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(6), concurrency=4)
        task = asyncio.create_task(statuses(batch))
        await until(lambda: len(sandbox.requests) == 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (4, 2) == (batch.report.counts["unknown"], batch.report.remaining)
    assert str(batch.report).startswith("4 unknown (20 AUD)\n2 not tried")
    assert 4 == len(sandbox.ledger)


async def test_a_batch_that_is_cancelled_before_its_rows_began_has_tried_none(sandbox, journal):
    """No request was made."""
    async with journal, sandbox.client(journal=journal) as client:
        batch = transfer_many(client, transfers(6))

        await batch._run._record()
        batch._run._fill()
        for task in batch._run._running:
            task.cancel()
        await batch._run._drain()
    assert (6, 0) == (batch.report.remaining, len(sandbox.requests))


async def test_a_key_of_another_transfer_that_was_refused_is_not_sent(sandbox, journal):
    """The row of the list was not refused, and renewing pays it no more than now."""
    sandbox.fail("error", status=400, response_code="INSUFFICIENT_CREDIT")
    async with journal, sandbox.client(journal=journal) as client:
        await statuses(transfer_many(client, transfers(1)))
        edited = [attrs.evolve(transfers(1)[0], amount=7)]
        found = await statuses(transfer_many(client, edited, renew_rejected=True))
    assert {"k0": "not_sent"} == found


@pytest.mark.parametrize("options", [{"timeout": 0.4}, {"deadline": 0.4}])
async def test_a_claim_that_outlasts_the_time_leaves_a_rejected_row(sandbox, journal, options):
    """Its round is used up, so that the same call again would not go on; renewed it is paid."""
    claim = journal.claim

    async def slowly(*values, **options):
        await asyncio.sleep(0.6)  # longer than the caller waits
        return await claim(*values, **options)

    async with journal:
        journal.claim = slowly
        async with sandbox.client(journal=journal, **options) as client:
            batch = transfer_many(client, transfers(1))
            assert {"k0": "rejected"} == await statuses(batch)
        entry = await journal.get("k0")
        assert entry is not None
        assert (TransferState.REJECTED, "not sent") == (entry.state, entry.response_msg)
        assert () == sandbox.ledger
        journal.claim = claim
        async with sandbox.client(journal=journal) as client:
            again = transfer_many(client, transfers(1), renew_rejected=True)
            assert {"k0": "paid"} == await statuses(again)


async def test_a_claim_that_fails_leaves_a_row_that_the_same_call_goes_on_with(sandbox):
    """It is intended as before."""
    journal = MemoryJournal()
    journal.before["claim"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal) as client:
        assert {"k0": "not_sent"} == await statuses(transfer_many(client, transfers(1)))
        del journal.before["claim"]
        assert {"k0": "paid"} == await statuses(transfer_many(client, transfers(1)))


async def test_a_refused_row_of_a_queue_is_found_and_renewed_as_the_report_says(sandbox, journal):
    """It is pending no more, so that no call on `pending()` meets it."""
    sandbox.fail("limit", operation="transfer_credit", retry_after=0)
    async with journal, sandbox.client(journal=journal) as client:
        await journal.intend(*transfers(1))
        batch = transfer_many(client, journal.pending())
        assert {"k0": "rejected"} == await statuses(batch)
        assert 'entries(state="rejected") finds the rejected ones; renew(key)' in str(batch.report)
        again = transfer_many(client, journal.pending(), renew_rejected=True)
        assert {} == await statuses(again)
        async for entry in journal.entries(state="rejected"):
            await journal.renew(entry.key, by="ann", note="later")
        assert {"k0": "paid"} == await statuses(transfer_many(client, journal.pending()))

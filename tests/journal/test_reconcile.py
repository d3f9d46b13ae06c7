from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs
import pytest
from sqlalchemy import update

from clicksend_reseller import (
    JournalEntry,
    JournalError,
    Transfer,
    TransferOutcomeUnknownError,
    TransferState,
)
from clicksend_reseller.journal import Assumptions, SQLJournal, Verdict, reconcile_transfer
from clicksend_reseller.journal.sql.schema import table
from clicksend_reseller.sandbox import Sandbox

ALL = Assumptions(exclusive=True, same_currency=True, max_spend=0, quiet_for=0.001)


@pytest.fixture
def sandbox():
    """Have one client with 50 AUD."""
    return Sandbox(accounts=[{"user_id": 2000, "balance": "50", "currency": "AUD"}])


@pytest.fixture
def journal():
    """Keep rows in memory."""
    return SQLJournal("sqlite+aiosqlite://")


async def lose(client, key="k1"):
    """Lose the answer to a transfer of 5 AUD; give the error."""
    with pytest.raises(TransferOutcomeUnknownError) as raised:
        await client.transfer_credit(2000, 5, "AUD", idempotency_key=key)
    return raised.value


@pytest.mark.parametrize(
    ("applied", "verdict"), [(True, Verdict.APPLIED), (False, Verdict.NOT_APPLIED)]
)
async def test_a_lost_answer_is_judged_by_balances(sandbox, journal, applied, verdict):
    """It reads, and neither writes nor sends."""
    sandbox.fail("lost", applied=applied)
    async with journal, sandbox.client(journal=journal) as client:
        error = await lose(client)
        before = await journal.get("k1")
        found = await reconcile_transfer(client, error, ALL, before=Decimal(50))
        assert before is not None
        same = await reconcile_transfer(client, before, ALL, before=50)
        assert before == await journal.get("k1")
    assert (verdict, Decimal(50), Decimal(55 if applied else 50)) == (
        found.verdict,
        found.before,
        found.after,
    )
    assert found.reasons == same.reasons
    assert ["transfer_credit", "get_account", "get_account"] == [
        request.operation for request in sandbox.requests
    ]


async def test_a_reconciliation_prints_all_it_rests_on(sandbox, journal):
    """Verdict, balances, times, each assumption and the reason."""
    sandbox.fail("lost")
    async with journal, sandbox.client(journal=journal) as client:
        text = str(await reconcile_transfer(client, await lose(client), ALL, before=50))
    for part in (
        "5 AUD to client 2000 under the key 'k1': applied",
        "balance before: 50",
        "balance after:  55",
        "exclusive=True, same_currency=True, max_spend=0, quiet_for=0.001",
        "because without it a change of 5",
    ):
        assert part in text


async def test_nothing_is_assumed_by_default(sandbox, journal):
    """And without a balance before there is nothing to compare."""
    sandbox.fail("lost")
    async with journal, sandbox.client(journal=journal) as client:
        error = await lose(client)
        for before in (None, Decimal(50)):
            found = await reconcile_transfer(client, error, before=before)
            assert Verdict.INCONCLUSIVE is found.verdict
        unread = await reconcile_transfer(client, error, ALL)
    assert "nobody read the balance before the transfer: pass before=" in str(unread)


async def test_what_is_known_to_be_wrong_is_not_assumed():
    """The account's currency and the journal's other transfers are looked at."""
    account = {"user_id": 2000, "balance": "50", "currency": "USD"}
    sandbox = Sandbox(accounts=[account])
    sandbox.fail("lost", applied=False)
    async with (
        SQLJournal("sqlite+aiosqlite://", one_open_per_client=False) as journal,
        sandbox.client(journal=journal) as client,
    ):
        error = await lose(client)
        foreign = await reconcile_transfer(client, error, ALL, before=50)
        await client.transfer_credit(2000, 5, "USD", idempotency_key="k2")
        shared = await reconcile_transfer(client, error, ALL, before=50)
    assert "same_currency is not so: the account is in USD" in foreign.reasons
    assert Verdict.INCONCLUSIVE is foreign.verdict
    assert "another transfer to this client, 'k2'" in shared.reasons[0]
    assert Verdict.INCONCLUSIVE is shared.verdict


async def test_an_open_transfer_to_the_client_may_still_arrive_however_old_it_is(sandbox):
    """It was lost before the balance was read, and may be in the change all the same."""
    sandbox.fail("lost", times=2, applied=False)
    async with (
        SQLJournal("sqlite+aiosqlite://", one_open_per_client=False) as journal,
        sandbox.client(journal=journal) as client,
    ):
        await lose(client, "older")
        row = Transfer(idempotency_key="k1", client_user_id=2000, amount=5, currency="AUD")
        await journal.intend(row, realm=client.realm)
        await journal.note_balance("k1", Decimal(50))
        found = await reconcile_transfer(client, await lose(client), ALL)
    assert not found.assume.exclusive
    assert "another transfer to this client, 'older', unknown" in found.reasons[0]


async def test_an_earlier_round_of_the_key_is_another_transfer(sandbox, journal):
    """Somebody found it not applied and renewed it: he may have looked too early."""
    sandbox.fail("lost", times=2, applied=False)
    async with journal, sandbox.client(journal=journal) as client:
        await lose(client)
        async with journal._database.opened.engine.begin() as connection:  # as after 151 s
            long_ago = datetime.now(UTC) - timedelta(seconds=151)
            await connection.execute(update(table).values(sent_at=long_ago))
        await journal.resolve("k1", applied=False, by="ann", note="not in the dashboard")
        await journal.renew("k1", by="ann", note="pay it")
        found = await reconcile_transfer(client, await lose(client), ALL, before=50)
    assert not found.assume.exclusive
    assert "another transfer to this client, 'k1', refuted" in found.reasons[0]


def entry(**changes):
    """Make the row of a transfer whose fate is unknown."""
    sent = datetime.now(UTC) - timedelta(seconds=100)
    made = JournalEntry(
        key="k1",
        client_user_id=2000,
        amount=5,
        currency="AUD",
        state=TransferState.UNKNOWN,
        balance_before=Decimal(50),
        sent_at=sent,
    )
    return attrs.evolve(made, **changes)


@pytest.mark.parametrize(
    ("changes", "quiet_for", "verdict"),
    [
        ({}, 60.0, Verdict.NOT_APPLIED),
        ({}, 200.0, Verdict.INCONCLUSIVE),
        ({"state": TransferState.SENT}, 60.0, Verdict.INCONCLUSIVE),
        ({"sent_at": None}, 60.0, Verdict.INCONCLUSIVE),
    ],
)
async def test_not_applied_needs_time_to_have_passed(sandbox, changes, quiet_for, verdict):
    """A request may arrive late, and an attempt may be alive for 150 s."""
    async with sandbox.client() as client:
        assume = attrs.evolve(ALL, quiet_for=quiet_for)
        found = await reconcile_transfer(client, entry(**changes), assume)
    assert verdict is found.verdict


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (entry(realm="https://rest.clicksend.com/v3 as ann"), JournalError),
        (entry(state=TransferState.INTENDED), ValueError),
        ("k1", TypeError),
    ],
)
async def test_what_cannot_be_judged_is_refused(sandbox, given, error):
    """Before the account is read: balances of another realm say nothing."""
    async with sandbox.client() as client:
        with pytest.raises(error):
            await reconcile_transfer(client, given, ALL)
    assert () == sandbox.requests


async def two_to_one_client(sandbox, client, journal, *, before_the_other):
    """Note a balance, pay another transfer and lose one that is not applied; give its row."""
    row = Transfer(idempotency_key="k1", client_user_id=2000, amount=5, currency="AUD")
    if before_the_other:
        await journal.intend(row, realm=client.realm)
        await journal.note_balance("k1", Decimal(50))
    await client.transfer_credit(2000, 5, "AUD", idempotency_key="other")
    if not before_the_other:
        await journal.intend(row, realm=client.realm)
        await journal.note_balance("k1", Decimal(55))
    sandbox.fail("lost", applied=False)
    error = await lose(client)
    return await journal.get(error.idempotency_key)


async def test_a_transfer_that_was_sent_before_may_lie_after_the_reading(sandbox, journal):
    """The balance was noted, then another was paid: its 5 AUD are not this one's."""
    async with journal, sandbox.client(journal=journal) as client:
        row = await two_to_one_client(sandbox, client, journal, before_the_other=True)
        found = await reconcile_transfer(client, row, ALL)
    assert [5] == sandbox.transfers_to(2000)
    assert (Verdict.INCONCLUSIVE, False) == (found.verdict, found.assume.exclusive)
    assert "another transfer to this client, 'other'" in found.reasons[0]


async def test_a_reading_of_unknown_time_may_be_older_than_another_transfer(sandbox, journal):
    """Unless its time is told, or it is the one on record."""
    async with journal, sandbox.client(journal=journal) as client:
        row = await two_to_one_client(sandbox, client, journal, before_the_other=False)
        other = await journal.get("other")
        assert other is not None
        lies = [
            await reconcile_transfer(client, row, ALL, before=50),
            await reconcile_transfer(client, row, ALL, before=50, before_at=other.created_at),
        ]
        true = [
            await reconcile_transfer(client, row, ALL),
            await reconcile_transfer(client, row, ALL, before=55),
            await reconcile_transfer(client, row, ALL, before=Decimal(55), before_at=row.sent_at),
        ]
    assert [Verdict.INCONCLUSIVE] * 2 == [found.verdict for found in lies]
    assert "pass before_at=" in str(lies[0])
    assert [Verdict.NOT_APPLIED] * 3 == [found.verdict for found in true]


@pytest.mark.parametrize(
    "reading",
    [
        {"before_at": datetime.now(UTC)},
        {"before": 5, "before_at": datetime.now(UTC).replace(tzinfo=None)},
    ],
)
async def test_a_time_without_a_reading_or_a_zone_is_refused(sandbox, reading):
    """It would say nothing, or any of 24 things."""
    async with sandbox.client() as client:
        with pytest.raises(ValueError, match="before_at"):
            await reconcile_transfer(client, entry(), ALL, **reading)
    assert () == sandbox.requests


async def test_a_reading_from_after_the_transfer_left_is_refused(sandbox):
    """It may have the transfer in it, and then says that nothing came."""
    async with sandbox.client() as client:
        with pytest.raises(ValueError, match="may have left"):
            await reconcile_transfer(client, entry(), ALL, before=55, before_at=datetime.now(UTC))
    assert () == sandbox.requests

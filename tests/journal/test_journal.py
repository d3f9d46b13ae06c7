import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import attrs
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import create_async_engine

from clicksend_reseller import (
    InsufficientCreditError,
    JournalEntry,
    JournalError,
    KeyReusedError,
    Transfer,
    TransferOutcomeUnknownError,
    TransferReceipt,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.journal.sql.schema import table
from support.aging import put_back

INTENDED, SENT, CONFIRMED = TransferState.INTENDED, TransferState.SENT, TransferState.CONFIRMED
REJECTED, UNKNOWN, REFUTED = TransferState.REJECTED, TransferState.UNKNOWN, TransferState.REFUTED

REALM = "http://localhost:8730/v3 as sandbox"


def transfer(key="k1", client_user_id=1001, amount=5, currency="AUD"):
    """Make 5 AUD to client 1001 under the key k1."""
    return Transfer(
        idempotency_key=key, client_user_id=client_user_id, amount=amount, currency=currency
    )


async def pay(client, key="k1", client_user_id=1001):
    """Make that transfer."""
    return await client.transfer_credit(client_user_id, 5, "AUD", idempotency_key=key)


def without_times(entry):
    """Leave out what differs from run to run."""
    return attrs.evolve(
        entry, created_at=None, sent_at=None, settled_at=None, attempt=None, rounds=()
    )


async def everything(iterator):
    """Give all that an iterator gives."""
    return [each async for each in iterator]


async def test_a_transfer_is_recorded_sent_and_confirmed(opened, sandbox):
    """The row has what the answer said, the second call gets the receipt."""
    async with opened() as journal, sandbox.client(journal=journal) as client:
        given = await pay(client)
        again = await pay(client)
        entry = await journal.get("k1")
    assert [5] == sandbox.transfers_to(1001)
    assert attrs.evolve(given, account=None, replayed=True) == again
    assert given.account is not None
    assert entry is not None
    assert entry.attempt
    assert entry.created_at <= entry.sent_at <= entry.settled_at
    assert without_times(entry) == JournalEntry(
        key="k1",
        client_user_id=1001,
        amount=5,
        currency="AUD",
        state=CONFIRMED,
        realm=REALM,
        balance_after=given.account.balance,
        status_code=200,
        response_code="SUCCESS",
    )


async def test_a_lost_answer_stays_unknown_until_a_person_decides(opened, url, sandbox):
    """Nothing is sent again before; a refuted round is renewed, and then it is paid."""
    sandbox.fail("lost")
    async with opened() as journal, sandbox.client(journal=journal) as client:
        for _ in range(2):
            with pytest.raises(TransferOutcomeUnknownError):
                await pay(client)
        assert ["k1"] == [entry.key for entry in await everything(journal.unresolved())]
        await put_back(url)
        resolved = await journal.resolve("k1", applied=False, by="ann", note="asked")
        assert (REFUTED, "ann", "asked") == (resolved.state, resolved.by, resolved.note)
        with pytest.raises(JournalError, match="renew"):
            await pay(client)
        assert 2 == await journal.renew("k1", by="ann", note="not arrived")
        assert isinstance(await pay(client), TransferReceipt)
        entry = await journal.get("k1")
        assert entry is not None
        assert [REFUTED, CONFIRMED] == [each.state for each in entry.rounds]
    assert [5, 5] == sandbox.transfers_to(1001)


async def test_a_refusal_is_given_again_until_it_is_renewed(opened, sandbox):
    """The key keeps its meaning, so that nobody invents new ones."""
    sandbox.fail("error", times=1, status=400, response_code="INSUFFICIENT_CREDIT")
    async with opened() as journal, sandbox.client(journal=journal) as client:
        for _ in range(2):
            with pytest.raises(InsufficientCreditError):
                await pay(client)
        await journal.renew("k1", by="ann", note="credit bought")
        await pay(client)
    assert [5] == sandbox.transfers_to(1001)


async def test_two_renewals_make_one_round(opened):
    """The primary key lets one win, the other is told."""
    async with opened() as one, opened() as two:
        await one.intend(transfer())
        await one.resolve("k1", applied=False, by="ann", note="")
        calls = [each.renew("k1", by="ann", note="") for each in (one, two)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [2] == [result for result in results if not isinstance(result, Exception)]
    assert [JournalError] == [type(result) for result in results if isinstance(result, Exception)]


async def test_one_client_has_one_open_transfer(opened, sandbox):
    """The other key is named and nothing is sent; once it is settled the way is free."""
    sandbox.fail("lost")
    async with opened() as journal, sandbox.client(journal=journal) as client:
        with pytest.raises(TransferOutcomeUnknownError):
            await pay(client, "k0")
        with pytest.raises(UnsettledTransferError, match="'k0'"):
            await pay(client)
        await journal.resolve("k0", applied=True, by="ann", note="seen")
        await pay(client)
    assert [5, 5] == sandbox.transfers_to(1001)


async def test_a_key_of_the_sandbox_never_answers_for_another_account(opened, sandbox):
    """The realm is part of what the key means."""
    async with opened() as journal:
        await journal.intend(transfer(), realm="https://rest.clicksend.com/v3 as ann")
        async with sandbox.client(journal=journal) as client:
            with pytest.raises(KeyReusedError, match="https://rest"):
                await pay(client)
    assert () == sandbox.requests


async def test_a_sent_row_is_judged_after_150_seconds(opened, url):
    """Before that its attempt may be alive; the margin of 10 s is for a busy machine."""
    async with opened() as journal:
        await journal.intend(transfer(), realm=REALM)
        assert await journal.claim("k1", 1, realm=REALM, attempt="a")
        for seconds in (0, 140):
            await put_back(url, seconds)
            with pytest.raises(JournalError, match="may still be under way"):
                await journal.resolve("k1", applied=True, by="ann", note="")
            assert [] == await everything(journal.unresolved())
        await put_back(url, 151)
        assert ["k1"] == [entry.key for entry in await everything(journal.unresolved())]
        entry = await journal.resolve("k1", applied=True, by="ann", note="")
    assert CONFIRMED is entry.state


async def test_an_unknown_row_is_called_not_applied_after_150_seconds(opened, url, sandbox):
    """Before that the bytes may still be delivered; that it was applied may be said at once."""
    sandbox.fail("lost", times=2)
    async with opened() as journal, sandbox.client(journal=journal) as client:
        for key, client_user_id in (("k1", 1001), ("k2", 1003)):
            with pytest.raises(TransferOutcomeUnknownError):
                await pay(client, key, client_user_id)
        with pytest.raises(JournalError, match=r"may still be under way.*150 s"):
            await journal.resolve("k1", applied=False, by="ann", note="")
        entry = await journal.resolve("k2", applied=True, by="ann", note="")
        assert CONFIRMED is entry.state
        await put_back(url, 151, key="k1")
        entry = await journal.resolve("k1", applied=False, by="ann", note="")
    assert REFUTED is entry.state


async def test_a_renewal_loses_against_what_a_person_has_decided_meanwhile(opened):
    """It names the round and the state that it has seen, and nothing is renewed otherwise."""
    async with opened() as journal:
        await journal.intend(transfer(), realm=REALM)
        assert await journal.claim("k1", 1, realm=REALM, attempt="a")
        sent = await journal.get("k1")
        assert await journal.settle("k1", 1, "a", REJECTED, status_code=400)
        rejected = await journal.get("k1")
        with pytest.raises(JournalError, match=r"has changed meanwhile.*look at it again"):
            await journal.renew("k1", by="ann", note="", seen=sent)
        assert 2 == await journal.renew("k1", by="ann", note="", seen=rejected)
        await journal.resolve("k1", applied=False, by="ann", note="shall not be paid")
        with pytest.raises(JournalError, match="was 1, 'rejected', and is 2, 'refuted'"):
            await journal.renew("k1", by="batch", note="", seen=rejected)
        entry = await journal.get("k1")
    assert entry is not None
    assert (2, REFUTED) == (entry.round, entry.state)


@pytest.mark.parametrize("ends", ["sent", "unknown", "held", "renewed"])
async def test_a_withdrawal_loses_against_what_has_become_of_the_round_meanwhile(opened, url, ends):
    """What was intended when it was looked at may have been sent, and is called no refuted one."""
    async with opened() as journal:
        seen = await journal.intend(transfer(), realm=REALM)
        if ends == "held":
            await journal.hold(by="ann", note="a backup was restored")
        elif ends == "renewed":
            await journal.resolve("k1", applied=False, by="ann", note="not today")
            await journal.renew("k1", by="ann", note="today after all")
        else:
            assert await journal.claim("k1", 1, realm=REALM, attempt="a")
            if ends == "unknown":
                assert await journal.settle("k1", 1, "a", UNKNOWN)
            await put_back(url, 151, key="k1")
        before = await journal.get("k1")
        with pytest.raises(JournalError, match="has changed meanwhile"):
            await journal.resolve("k1", applied=False, by="nightly", note="not low", seen=seen)
        assert before == await journal.get("k1")
        await journal.resolve("k1", applied=False, by="ann", note="I have looked", seen=before)


async def test_a_hold_takes_everything_whatever_the_clocks_say(opened, url):
    """Rows of a machine whose clock was ahead were left, and paid; what is left is counted."""
    async with opened() as journal:
        for n, (key, ahead) in enumerate((("old", -3600), ("new", 0), ("ahead", 7200)), 1):
            await journal.intend(transfer(key, n))
            engine = create_async_engine(url)
            moment = datetime.now(UTC) + timedelta(seconds=ahead)
            async with engine.begin() as connection:
                changed = update(table).filter_by(key=key).values(created_at=moment)
                await connection.execute(changed)
            await engine.dispose()
        some = await journal.hold(
            datetime.now(UTC) - timedelta(seconds=1800), by="ann", note="restored"
        )
        assert (2, 1, "2") == (some, some.left, str(some))
        states = {entry.key: entry.state async for entry in journal.entries()}
        assert {"old": UNKNOWN, "new": INTENDED, "ahead": UNKNOWN} == states
        rest = await journal.hold(by="ann", note="restored")
        assert (1, 0) == (rest, rest.left)
        assert 3 == len(await everything(journal.entries(state="unknown")))


async def test_a_sent_row_without_a_time_is_unresolved(opened, url):
    """Nobody knows how old it is, so a person must look."""
    async with opened() as journal:
        await journal.intend(transfer(), realm=REALM)
        assert await journal.claim("k1", 1, realm=REALM, attempt="a")
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(update(table).values(sent_at=None))
        await engine.dispose()
        assert ["k1"] == [entry.key for entry in await everything(journal.unresolved())]


@pytest.mark.parametrize("older_than", [150.0, 0.0])
async def test_a_sent_row_of_a_clock_that_was_ahead_is_unresolved(opened, url, older_than):
    """It was on no list until that time came, while its client could not be paid."""
    async with opened() as journal:
        await journal.intend(transfer(), realm=REALM)
        assert await journal.claim("k1", 1, realm=REALM, attempt="a")
        await put_back(url, -365 * 24 * 3600)
        listed = await everything(journal.unresolved(older_than))
        assert ["k1"] == [entry.key for entry in listed]
        with pytest.raises(JournalError, match="may still be under way"):
            await journal.resolve("k1", applied=False, by="ann", note="its age is not known")


@pytest.mark.parametrize("hours", [-10, 10])
async def test_a_time_of_any_zone_is_the_same_moment(opened, hours):
    """SQLite keeps no offset, so what it is given is turned to UTC first."""
    zone = timezone(timedelta(hours=hours))
    earlier = (datetime.now(UTC) - timedelta(hours=1)).astimezone(zone)
    later = (datetime.now(UTC) + timedelta(hours=1)).astimezone(zone)
    async with opened() as journal:
        await journal.intend(transfer(), realm=REALM)
        assert ["k1"] == [each.key for each in await everything(journal.entries(since=earlier))]
        assert [] == await everything(journal.entries(since=later))
        assert 0 == await journal.hold(earlier, by="ann", note="restored")
        assert 1 == await journal.hold(later, by="ann", note="restored")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_row_that_changed_while_a_person_decided_keeps_its_state(postgres, driver):
    """Two decide at once: the later one is refused, and a confirmed row never becomes refuted.

    On SQLite the whole step holds the one write lock, so nothing can change in between.
    """
    database = postgres.new_database()
    engine = create_async_engine(postgres.url(database, driver=driver))
    async with SQLJournal(engine, create=True) as journal:
        await journal.intend(transfer(), realm=REALM)
        assert await journal.claim("k1", 1, realm=REALM, attempt="a")
        assert await journal.settle("k1", 1, "a", UNKNOWN)
        await put_back(postgres.url(database, driver=driver))
        async with engine.begin() as other:
            await other.execute(update(table).values(state=CONFIRMED.value))
            late = asyncio.ensure_future(
                journal.resolve("k1", applied=False, by="ann", note="not in the dashboard")
            )
            await postgres.until_waiting(database)
        with pytest.raises(JournalError, match="changed meanwhile"):
            await late
        entry = await journal.get("k1")
    await engine.dispose()
    assert entry is not None
    assert CONFIRMED is entry.state


async def test_a_balance_is_noted_until_the_transfer_may_have_left(opened, sandbox):
    """A reading that came later says nothing of the time before, so it is not kept."""
    sandbox.fail("lost")
    async with opened() as journal, sandbox.client(journal=journal) as client:
        assert not await journal.note_balance("k1", Decimal(50))
        await journal.intend(transfer(), realm=client.realm)
        assert await journal.note_balance("k1", Decimal("50.000001"))
        with pytest.raises(TransferOutcomeUnknownError):
            await pay(client)
        assert not await journal.note_balance("k1", Decimal(55))
        entry = await journal.get("k1")
    assert entry is not None
    assert (UNKNOWN, Decimal("50.000001")) == (entry.state, entry.balance_before)


@pytest.mark.parametrize("balance", [50.0, "50", None, Decimal("NaN"), Decimal("Infinity")])
async def test_a_balance_is_an_exact_amount(balance):
    """A float has lost digits before it gets here."""
    with pytest.raises((TypeError, ValueError), match="a balance must be"):
        await SQLJournal("sqlite+aiosqlite:///:memory:").note_balance("k1", balance)

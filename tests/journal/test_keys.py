"""Keys of one text: one payment, also where an earlier version kept another spelling."""

import attrs
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import create_async_engine

from clicksend_reseller import JournalError, Transfer, TransferState
from clicksend_reseller.journal import transfer_many
from clicksend_reseller.journal.sql.schema import table
from support.aging import put_back
from support.command_line import Home, default_journal, make_journal

COMPOSED, TORN = "facture-\u00e9", "facture-e\u0301"
MIXED = COMPOSED + TORN
SENT, CONFIRMED = TransferState.SENT, TransferState.CONFIRMED


def transfer(key, client_user_id=1001):
    """Make 5 AUD to client 1001."""
    return Transfer(idempotency_key=key, client_user_id=client_user_id, amount=5, currency="AUD")


async def as_an_earlier_version(url, key, text):
    """Have a key on record under the text that was given then."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(update(table).filter_by(key=key).values(key=text))
    await engine.dispose()


async def test_every_step_takes_every_spelling(opened, url):
    """Intending, looking, judging and renewing."""
    async with opened() as journal:
        assert COMPOSED == (await journal.intend(transfer(TORN))).key
        assert [COMPOSED] == [each.idempotency_key async for each in journal.pending()]
        entries = await journal.intend_all([transfer(COMPOSED), transfer(TORN)], realm="r")
        assert [COMPOSED, COMPOSED] == [entry.key for entry in entries]
        assert await journal.claim(COMPOSED, 1, realm="r", attempt="a")
        assert not await journal.claim(TORN, 1, realm="r", attempt="b")
        await put_back(url)
        entry = await journal.resolve(TORN, applied=False, by="ann", note="")
        assert COMPOSED == entry.key
        assert 2 == await journal.renew(TORN, by="ann", note="", seen=entry)
        found = [await journal.get(key) for key in (COMPOSED, TORN)]
    assert found[0] == found[1]
    assert found[0] is not None
    assert 2 == len(found[0].rounds)


async def test_a_revision_in_the_other_spelling_is_the_next_round_of_the_same_key(opened, sandbox):
    """As a key of its own its round could be claimed beside those of the first one."""
    async with opened() as journal, sandbox.client(journal=journal) as client:
        await journal.intend(transfer(COMPOSED))
        revised = attrs.evolve(transfer(TORN), amount=7)
        assert 2 == await journal.revise(revised, by="ann", note="")
        entry = await journal.get(COMPOSED)
        assert (COMPOSED, 7, TransferState.INTENDED) == (entry.key, entry.amount, entry.state)
        with pytest.raises(JournalError):
            await journal.renew(COMPOSED, by="ann", note="")
        receipt = await client.transfer_credit(1001, 7, "AUD", idempotency_key=COMPOSED)
        assert (COMPOSED, False) == (receipt.idempotency_key, receipt.replayed)
    assert [7] == sandbox.transfers_to(1001)


@pytest.mark.parametrize("text", [TORN, MIXED])
async def test_what_an_earlier_version_paid_is_not_paid_again(opened, url, sandbox, text):
    """Under the very bytes that it kept; one call, a list, and a queue."""
    async with opened() as journal, sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key=text)
        entry = await journal.get(text)
        assert entry is not None
        await as_an_earlier_version(url, entry.key, text)
        receipt = await client.transfer_credit(1001, 5, "AUD", idempotency_key=text)
        assert (text, True) == (receipt.idempotency_key, receipt.replayed)
        [result] = [each async for each in transfer_many(client, [transfer(text)])]
        assert "already_paid" == result.status.value
        assert text == (await journal.intend(transfer(text))).key
    assert [5] == sandbox.transfers_to(1001)


async def test_nor_under_the_other_spelling(opened, url, sandbox):
    """The library kept the bytes of a service, and then a person paid with the command."""
    async with opened() as journal, sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key=TORN)
        await as_an_earlier_version(url, COMPOSED, TORN)
        assert (await client.transfer_credit(1001, 5, "AUD", idempotency_key=COMPOSED)).replayed
    assert [5] == sandbox.transfers_to(1001)


async def test_of_two_rows_the_one_that_may_have_moved_money_counts(opened, url, sandbox):
    """Both are on record from before; a person still reaches each by its own text."""
    async with opened() as journal, sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key=TORN)
        await as_an_earlier_version(url, COMPOSED, "elsewhere")
        await journal.intend(transfer(COMPOSED), realm=client.realm)
        await as_an_earlier_version(url, "elsewhere", TORN)
        for key in (COMPOSED, TORN):
            assert (await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)).replayed
        states = [(await journal.get(key)).state for key in (COMPOSED, TORN)]
        assert [TransferState.INTENDED, CONFIRMED] == states
        await journal.resolve(COMPOSED, applied=False, by="ann", note="paid as the other one")
        with pytest.raises(JournalError, match="final"):
            await journal.resolve(TORN, applied=False, by="ann", note="")
    assert [5] == sandbox.transfers_to(1001)


async def test_two_spellings_in_one_list_are_one_key(opened, sandbox):
    """Nothing is sent; the list is refused as a whole."""
    async with opened() as journal, sandbox.client(journal=journal) as client:
        with pytest.raises(ValueError, match="comes 2 times"):
            transfer_many(client, [transfer(COMPOSED, 1001), transfer(TORN, 1003)])
    assert () == sandbox.requests


def test_the_command_finds_what_it_paid_in_each_spelling(tmp_path, serving):
    """It shows the same rounds, and pays once."""
    serving.clear_faults()
    home, client = Home(tmp_path, serving.url), serving.new_client()
    make_journal(default_journal(home))
    for key in (TORN, COMPOSED):
        words = ("transfer", client, 5, "AUD", "--key", key, "--yes", "--new-journal")
        assert 0 == home.call(*words).status
    shown = [home.call("journal", "show", key, "-o", "json").out for key in (TORN, COMPOSED)]
    assert shown[0] == shown[1]
    assert 1 == serving.applied_to(client)

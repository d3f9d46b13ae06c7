"""What if the journal itself fails? Nothing is sent without a durable `sent`."""

import asyncio
import contextlib
import signal
import sqlite3
import uuid

import pytest
from sqlalchemy import delete, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from clicksend_reseller import (
    JournalError,
    Outcome,
    ResellerError,
    Transfer,
    TransferOutcomeUnknownError,
    TransferReceipt,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller.journal import SQLJournal, transfer_many
from clicksend_reseller.journal.sql import engine
from clicksend_reseller.journal.sql.database import failure
from clicksend_reseller.journal.sql.schema import metadata, table
from support import postgres as postgres_module
from support.aging import put_back
from support.served_sandbox import make_client

SENT, CONFIRMED, INTENDED = TransferState.SENT, TransferState.CONFIRMED, TransferState.INTENDED


class Failing:
    """Lets the n-th COMMIT on an engine fail, as a full or broken disk does."""

    def __init__(self, engine, failing):
        self.seen = 0
        self._failing = failing
        event.listen(engine.sync_engine, "before_cursor_execute", self)

    def __call__(self, _conn, _cursor, statement, *_):
        if statement == "COMMIT":
            self.seen += 1
            if self.seen in self._failing:
                raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))


async def outcome(client, key, client_user_id):
    """Make the transfer; give the receipt or the error."""
    try:
        return await client.transfer_credit(client_user_id, 5, "AUD", idempotency_key=key)
    except ResellerError as error:
        return error


@pytest.mark.parametrize(
    "case",
    [(1, JournalError, None, 0), (2, JournalError, INTENDED, 0), (3, TransferReceipt, SENT, 1)],
)
async def test_a_commit_that_fails(tmp_path, served, caplog, case):
    """Before the claim is durable nothing is sent; after APPLIED the receipt is given."""
    commit, kind, state, applied = case
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")
    key, client_user_id = uuid.uuid4().hex, served.new_client()
    async with (
        SQLJournal(engine, create=True) as journal,
        served.client(journal=journal) as client,
    ):
        Failing(engine, {commit})
        ended = await outcome(client, key, client_user_id)
        entry = await journal.get(key)
    await engine.dispose()
    assert kind is type(ended)
    assert state is (entry and entry.state)
    assert applied == served.applied_to(client_user_id)
    assert ("could not record it" in caplog.text) == (commit == 3)


async def test_a_full_disk_sends_nothing(tmp_path, served):
    """SQLite's own limit of pages is as good as a full disk: every write says so."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")
    state = {"pages": 2**30}
    event.listen(
        engine.sync_engine,
        "checkout",
        lambda connection, *_: connection.execute(f"PRAGMA max_page_count={state['pages']}"),
    )
    async with (
        SQLJournal(engine, create=True) as journal,
        served.client(journal=journal) as client,
    ):
        filler = [
            Transfer(idempotency_key=f"f{n:0200}", client_user_id=1, amount=1, currency="AUD")
            for n in range(50)
        ]
        await journal.intend_all(filler, realm="elsewhere")
        state["pages"] = 1
        clients = served.new_clients(40)
        ended = [await outcome(client, f"{n:0200}-{uuid.uuid4().hex}", n) for n in clients]
        applied = served.applied()
        for client_user_id, result in zip(clients, ended, strict=True):
            if isinstance(result, JournalError):
                assert 0 == applied[client_user_id]
        durable = {each.client_user_id async for each in journal.entries() if each.sent_at}
    await engine.dispose()
    assert any(isinstance(result, JournalError) and "full" in str(result) for result in ended)
    assert {n for n in clients if applied[n]} <= durable


async def test_a_locked_file_sends_nothing(tmp_path, served, monkeypatch):
    """Another program holds the lock for longer than we wait."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0)
    path, client_user_id = tmp_path / "transfers.db", served.new_client()
    async with (
        SQLJournal(f"sqlite+aiosqlite:///{path}") as journal,
        served.client(journal=journal) as client,
    ):
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert isinstance(await outcome(client, "k1", client_user_id), JournalError)
        assert 0 == served.applied_to(client_user_id)
        holder.execute("ROLLBACK")
        holder.close()
        assert isinstance(await outcome(client, "k1", client_user_id), TransferReceipt)
    assert 1 == served.applied_to(client_user_id)


async def test_a_read_only_file_sends_nothing(tmp_path, served):
    """Nothing can be claimed in it."""
    path, client_user_id = tmp_path / "transfers.db", served.new_client()
    async with SQLJournal(f"sqlite+aiosqlite:///{path}"):
        pass
    url = f"sqlite+aiosqlite:///file:{path}?mode=ro&uri=true"
    async with SQLJournal(url, create=False) as journal, served.client(journal=journal) as client:
        error = await outcome(client, "k1", client_user_id)
    assert isinstance(error, JournalError)
    assert 0 == served.applied_to(client_user_id)


async def test_a_server_that_is_restarted_in_mid_batch(served):
    """Every row ends as the ledger says, or is listed; no row is sent without being on record."""
    clients = served.new_clients(60)
    rows = [
        Transfer(idempotency_key=f"r{n}", client_user_id=n, amount=5, currency="AUD")
        for n in clients
    ]
    with postgres_module.running() as server:
        async with (
            SQLJournal(server.url(server.new_database())) as journal,
            served.client(journal=journal) as client,
        ):
            seen = 0
            async for _ in transfer_many(client, rows, max_unknown=10**6):
                seen += 1
                if seen == 15:
                    await asyncio.to_thread(server.restart, how=signal.SIGQUIT)
            for _ in range(2):
                async for _ in transfer_many(client, rows, renew_rejected=True, max_unknown=10**6):
                    pass
            newest = {each.client_user_id: each.state async for each in journal.entries()}
    applied = served.applied()
    assert 1 >= max(applied[n] for n in clients)
    assert set(clients) == set(newest)
    assert {CONFIRMED, SENT, TransferState.UNKNOWN} >= set(newest.values())
    assert all(applied[n] == 1 for n in clients if newest[n] is CONFIRMED)


async def test_a_decision_that_came_first_stands_and_the_answer_is_kept(opened, url, caplog):
    """Both words are in the log; the state is the person's, the answer is in the note."""
    async with opened() as journal:
        transfer = Transfer(idempotency_key="k1", client_user_id=1, amount=5, currency="AUD")
        await journal.intend(transfer, realm="r")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        assert await journal.settle("k1", 1, "a", TransferState.UNKNOWN)
        await put_back(url)
        await journal.resolve("k1", applied=False, by="ann", note="not seen")
        assert not await journal.settle("k1", 1, "a", CONFIRMED, status_code=200)
        entry = await journal.get("k1")
    assert entry is not None
    assert (TransferState.REFUTED, "ann") == (entry.state, entry.by)
    late = "the answer came after the decision and says 'confirmed' (status_code 200)"
    assert f"not seen; {late}" == entry.note
    words = "was resolved as 'refuted' by 'ann', and its answer says 'confirmed'"
    assert [f"the transfer of 5 AUD to client 1 with key 'k1' {words}"] == caplog.messages


async def test_odd_words_of_the_api_are_kept_as_far_as_they_can_be(opened):
    """A NUL or half a character in a message must not leave the row `sent`."""
    async with opened() as journal:
        transfer = Transfer(idempotency_key="k1", client_user_id=1, amount=5, currency="AUD")
        await journal.intend(transfer, realm="r")
        await journal.claim("k1", 1, realm="r", attempt="a")
        odd = "no\0 \ud800 way" + "x" * 10_000
        assert await journal.settle("k1", 1, "a", TransferState.REJECTED, response_msg=odd)
        entry = await journal.get("k1")
    assert entry is not None
    assert entry.response_msg
    assert entry.response_msg.startswith("no� ? way")
    assert 2000 == len(entry.response_msg)


@pytest.mark.parametrize("joins", ["connection", "session"])
async def test_an_outbox_row_shares_the_fate_of_the_transaction(url, served, joins):
    """Rolled back it leaves nothing to pay; committed it is paid once."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    clients = served.new_clients(2)
    kept, dropped = (
        Transfer(idempotency_key=uuid.uuid4().hex, client_user_id=n, amount=5, currency="AUD")
        for n in clients
    )
    make = engine.connect if joins == "connection" else lambda: AsyncSession(engine)
    async with SQLJournal(engine) as journal, served.client(journal=journal) as client:
        for transfer, end in ((kept, "commit"), (dropped, "rollback")):
            async with make() as own:
                await journal.intend(transfer, connection=own)
                await getattr(own, end)()
        for _ in range(2):
            async for _ in transfer_many(client, journal.pending()):
                pass
        assert None is await journal.get(dropped.idempotency_key)
    await engine.dispose()
    applied = served.applied()
    assert [1, 0] == [applied[n] for n in clients]


async def test_what_a_backup_calls_intended_is_held(opened, served):
    """Nothing of it is sent before a person has looked; a later row is not touched."""
    key, client_user_id = uuid.uuid4().hex, served.new_client()
    row = Transfer(idempotency_key=key, client_user_id=client_user_id, amount=5, currency="AUD")
    async with opened() as journal, served.client(journal=journal) as client:
        await journal.intend(row)
        held = await journal.hold(by="ann", note="restored")
        assert (1, 0) == (held, held.left)
        error = await outcome(client, key, client_user_id)
        assert isinstance(error, TransferOutcomeUnknownError)
        [held] = [entry async for entry in journal.unresolved()]
        assert (key, "ann", "restored") == (held.key, held.by, held.note)
        assert held.created_at
        assert held.settled_at
        assert held.created_at < held.settled_at
        await journal.resolve(key, applied=False, by="ann", note="not in the dashboard")
        await journal.renew(key, by="ann", note="pay it")
        assert isinstance(await outcome(client, key, client_user_id), TransferReceipt)
    assert 1 == served.applied_to(client_user_id)


@pytest.mark.parametrize(
    ("event_", "intends"), [("UPDATE", True), ("INSERT", False)], ids=["claim", "intend"]
)
async def test_a_step_that_is_refused_is_told_as_what_it_is(tmp_path, served, event_, intends):
    """In the database's words, without SQL, values and links; no other transfer is open."""
    path, client_user_id = tmp_path / "transfers.db", served.new_client()
    async with (
        SQLJournal(f"sqlite+aiosqlite:///{path}") as journal,
        served.client(journal=journal) as client,
    ):
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute(
                f"CREATE TRIGGER refuses BEFORE {event_} ON clicksend_transfer "
                "BEGIN SELECT RAISE(ABORT, 'not today'); END"
            )
        error = await outcome(client, "k1", client_user_id)
        entry = await journal.get("k1")
    assert JournalError is type(error)
    assert error.message == "the journal failed (IntegrityError: not today)"
    assert (entry is not None) == intends
    assert 0 == served.applied_to(client_user_id)


async def test_a_transfer_that_was_open_until_just_now_was_in_the_way(opened, served):
    """It has ended before it could be named; nothing is wrong with the journal."""
    first, second = served.new_client(), "k2"
    async with opened() as journal:
        for key in ("k1", second):
            row = Transfer(idempotency_key=key, client_user_id=first, amount=5, currency="AUD")
            await journal.intend(row, realm="r")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        look = journal._look

        async def late(question):
            await journal.settle("k1", 1, "a", CONFIRMED)
            return await look(question)

        journal._look = late
        with pytest.raises(UnsettledTransferError, match="was open just now: try again"):
            await journal.claim(second, 1, realm="r", attempt="b")


def test_a_failure_of_the_library_s_own_has_no_link():
    """A pool that is used up, for example."""
    error = failure(PoolTimeoutError("no connection is free", code="3o7r"))
    assert error.message == "the journal failed (TimeoutError: no connection is free)"


async def test_a_hold_does_not_reach_what_the_copy_does_not_know(opened, served):
    """A row that it never had, and one that it calls rejected, are paid by the same call again."""
    lost, refused = served.new_clients(2)
    async with opened() as journal:
        row = Transfer(idempotency_key="k1", client_user_id=refused, amount=5, currency="AUD")
        await journal.intend(row, realm="r")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        assert await journal.settle("k1", 1, "a", TransferState.REJECTED)
        assert 0 == await journal.hold(by="ann", note="restored")
        assert 2 == await journal.renew("k1", by="ann", note="and paid again")
        row = Transfer(idempotency_key="k2", client_user_id=lost, amount=5, currency="AUD")
        entry = await journal.intend(row, realm="r")
    assert INTENDED is entry.state
    words = " ".join((SQLJournal.hold.__doc__ or "").split())
    assert "Run no list from after the backup again, and renew nothing" in words


async def test_blanks_and_capitals_make_another_key(opened):
    """Only the spelling of one text does not, as the reference says."""
    keys = ["facture-\u00e9", "inv-7", "inv-7 ", " inv-7", "INV-7"]
    rows = [
        Transfer(idempotency_key=key, client_user_id=n, amount=5, currency="AUD")
        for n, key in enumerate(keys, 1)
    ]
    async with opened() as journal:
        entries = await journal.intend_all(rows, realm="r")
    assert keys == [entry.key for entry in entries]
    assert [1, 2, 3, 4, 5] == [entry.client_user_id for entry in entries]


async def test_a_process_notices_that_an_older_copy_has_taken_over(opened, url, served):
    """It paid again, without a word, what it had paid itself."""
    client = served.new_client()
    async with opened() as journal, make_client(served.url, journal=journal) as api:
        await api.transfer_credit(client, 5, "AUD", idempotency_key="k1")
        await api.transfer_credit(client, 5, "AUD", idempotency_key="k2")
        await forget(url, "k2")
        for key in ("k2", "k3"):
            with pytest.raises(JournalError, match=r"has forgotten .* 'k2' was sent") as raised:
                await api.transfer_credit(client, 5, "AUD", idempotency_key=key)
            assert (Outcome.NOT_SENT, False) == (raised.value.outcome, raised.value.needs_renewal)
        assert (await api.transfer_credit(client, 5, "AUD", idempotency_key="k1")).replayed
        assert 2 == await journal.hold(by="ann", note="an older copy")
    assert 2 == served.applied_to(client)


async def forget(url, key):
    """Let a database be as it was before a transfer."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(delete(table).where(table.c.key == key))
    await engine.dispose()

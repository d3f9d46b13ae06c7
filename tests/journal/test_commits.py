"""What if a COMMIT on PostgreSQL is cut? The doubt costs a transfer at most, never a second one."""

import asyncio
import contextlib
import uuid

import pytest

from clicksend_reseller import (
    JournalError,
    Transfer,
    TransferOutcomeUnknownError,
    TransferState,
)
from clicksend_reseller.journal import SQLJournal
from support.postgres_proxy import Proxy
from support.waiting import until

INTENDED, SENT, CONFIRMED = TransferState.INTENDED, TransferState.SENT, TransferState.CONFIRMED
REJECTED = TransferState.REJECTED

# A trigger that runs within COMMIT, so that a backend can be found there and ended.
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(10); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT OR UPDATE ON clicksend_transfer
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = '{state}')
EXECUTE FUNCTION dawdle();
"""
KILL_IN_COMMIT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE query ILIKE 'COMMIT%' AND wait_event = 'PgSleep' AND datname = '{database}'
"""


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request):
    """Use each driver in turn."""
    return request.param


class Stepwise:
    """Passes everything on, and arms something just before one step."""

    def __init__(self, journal, step, arm):
        self._journal = journal
        self._step = step
        self._arm = arm

    async def intend(self, transfer, *, realm):
        self._at("intend")
        return await self._journal.intend(transfer, realm=realm)

    async def claim(self, key, round, *, realm, attempt):  # noqa: A002 - the protocol's
        self._at("claim")
        return await self._journal.claim(key, round, realm=realm, attempt=attempt)

    async def settle(self, key, round, attempt, state, **details):  # noqa: A002 - the protocol's
        self._at("settle")
        return await self._journal.settle(key, round, attempt, state, **details)

    def _at(self, step):
        if step == self._step:
            self._step = ""
            self._arm()


async def outcome_of(client, key, client_user_id):
    """Make the transfer; say how it ended."""
    try:
        receipt = await client.transfer_credit(client_user_id, 5, "AUD", idempotency_key=key)
    except (JournalError, TransferOutcomeUnknownError) as error:
        return type(error).__name__
    return "replayed" if receipt.replayed else "paid"


async def state_of(journal, key):
    """Read the state of a key; None where it is not on record."""
    entry = await journal.get(key)
    return entry and entry.state


@pytest.mark.parametrize(
    "case",
    [
        ("intend", "before", "JournalError", None, "paid", 1),
        ("intend", "after", "JournalError", INTENDED, "paid", 1),
        ("claim", "before", "JournalError", INTENDED, "paid", 1),
        ("claim", "after", "JournalError", REJECTED, "JournalError", 0),
        ("settle", "before", "paid", CONFIRMED, "replayed", 1),
        ("settle", "after", "paid", CONFIRMED, "replayed", 1),
    ],
)
async def test_a_connection_cut_in_a_commit(postgres, served, through, driver, case):
    """A claim in doubt sends nothing and is taken back; a settlement is tried again."""
    step, how, first, state, then, applied = case
    database, key, client_user_id = postgres.new_database(), uuid.uuid4().hex, served.new_client()
    async with through, SQLJournal(postgres.url(database, driver=driver)) as sound:
        url = f"postgresql+{driver}://tests@127.0.0.1:{through.port}/{database}"
        async with SQLJournal(url) as journal:

            def arm():
                through.cut = how

            async with served.client(journal=Stepwise(journal, step, arm)) as client:
                assert first == await outcome_of(client, key, client_user_id)
                assert 1 == through.cuts
                assert state is await state_of(sound, key)
                assert served.applied_to(client_user_id) == (1 if first == "paid" else 0)
                assert then == await outcome_of(client, key, client_user_id)
    assert applied == served.applied_to(client_user_id)


@pytest.mark.parametrize(
    "case",
    [
        ("intended", "JournalError", None, "paid"),
        ("sent", "JournalError", INTENDED, "paid"),
        ("confirmed", "paid", CONFIRMED, "replayed"),
    ],
)
async def test_a_backend_ended_within_its_commit(postgres, served, driver, case):
    """What the server has not committed was never claimed, and nothing was sent for it."""
    word, first, state, then = case
    database, key, client_user_id = postgres.new_database(), uuid.uuid4().hex, served.new_client()
    async with SQLJournal(postgres.url(database, driver=driver)) as journal:
        postgres.execute(DAWDLE.format(state=word), database=database)
        async with served.client(journal=journal) as client:
            call = asyncio.create_task(outcome_of(client, key, client_user_id))
            await until(lambda: postgres.execute(KILL_IN_COMMIT.format(database=database)))
            with contextlib.suppress(asyncio.TimeoutError):
                postgres.execute("DROP FUNCTION dawdle CASCADE", database=database)
            assert first == await call
            assert state is await state_of(journal, key)
            assert then == await outcome_of(client, key, client_user_id)
    assert 1 == served.applied_to(client_user_id)


def test_the_proxy_passes_on_what_it_does_not_cut(postgres):
    """The tests above are about the cut, not about the proxy."""

    async def read():
        async with Proxy(postgres.port) as proxy:
            url = f"postgresql+asyncpg://tests@127.0.0.1:{proxy.port}/{postgres.new_database()}"
            async with SQLJournal(url) as journal:
                return await journal.get("k1"), proxy.cuts

    assert (None, 0) == asyncio.run(read())


async def test_a_settlement_whose_commit_was_cut_is_repeated_and_is_no_error(
    postgres, through, driver, caplog
):
    """It had been written: the second try finds its own words, and nobody has to look."""
    database = postgres.new_database()
    row = Transfer(idempotency_key="k1", client_user_id=1, amount=5, currency="AUD")
    async with through:
        url = postgres.url(database, driver=driver).replace(str(postgres.port), str(through.port))
        async with SQLJournal(url) as journal:
            await journal.intend(row, realm="r")
            assert await journal.claim("k1", 1, realm="r", attempt="a")
            through.cut = "after"
            assert await journal.settle("k1", 1, "a", CONFIRMED, status_code=200)
            entry = await journal.get("k1")
    assert 1 == through.cuts
    assert entry is not None
    assert (CONFIRMED, None) == (entry.state, entry.note)
    ours = [each for each in caplog.records if each.name.startswith("clicksend_reseller")]
    assert [] == [each.getMessage() for each in ours if each.levelname == "ERROR"]

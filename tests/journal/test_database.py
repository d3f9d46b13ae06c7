import asyncio
import contextlib
import gc
import sqlite3
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import await_only

from clicksend_reseller import ConfigurationError, JournalError, Transfer, TransferState
from clicksend_reseller.journal import SQLJournal, metadata
from clicksend_reseller.journal.sql.schema import table
from support.heavy import rounds
from support.waiting import until


def transfer(key="k1", client_user_id=1):
    """Make 5 AUD to client 1."""
    return Transfer(idempotency_key=key, client_user_id=client_user_id, amount=5, currency="AUD")


def asked_at_each_claim(engine, question):
    """Ask the connection something just before each claim; give the answers."""
    return asked_at_each(engine, "UPDATE", question, containing="attempt=")


def asked_at_each(engine, begins, question, *, containing=""):
    """Ask the connection something just before each statement of a kind; give the answers."""
    answers: list[object] = []

    def ask(connection, _cursor, statement, *_):
        if statement.startswith(begins) and containing in statement:
            answers.append(connection.exec_driver_sql(question).scalar())

    event.listen(engine.sync_engine, "before_cursor_execute", ask)
    return answers


async def claim_each(journal, number=4):
    """Claim several keys at once, so that several connections are used."""
    keys = [f"k{n}" for n in range(number)]
    await journal.intend_all([transfer(key, n) for n, key in enumerate(keys, 1)], realm="r")
    claims = [journal.claim(key, 1, realm="r", attempt="a") for key in keys]
    assert [True] * number == await asyncio.gather(*claims)


# -- durable


async def test_sqlite_is_in_wal_and_every_claim_is_synchronous_full(tmp_path):
    """With NORMAL a power loss can undo the last commit, and then a key is sent twice."""
    path = tmp_path / "transfers.db"
    async with SQLJournal(f"sqlite+aiosqlite:///{path}") as journal:
        answers = asked_at_each_claim(journal._engine, "PRAGMA synchronous")
        waits = asked_at_each_claim(journal._engine, "PRAGMA busy_timeout")
        await claim_each(journal)
    assert ([2] * 4, [30_000] * 4) == (answers, waits)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert ("wal",) == database.execute("PRAGMA journal_mode").fetchone()


@pytest.mark.parametrize(("mode", "expected"), [("wal", 2), ("delete", 3)])
async def test_connections_of_a_given_engine_are_made_safe_too(tmp_path, mode, expected):
    """Whatever they were set to; without WAL only EXTRA makes the commit itself durable."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")

    def careless(connection, _):
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(engine.sync_engine, "connect", careless)
    async with SQLJournal(engine, create=True) as journal:
        answers = asked_at_each_claim(engine, "PRAGMA synchronous")
        await claim_each(journal)
    await engine.dispose()
    assert [expected] * 4 == answers


@pytest.mark.parametrize(
    ("configured", "claimed"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")]
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_postgresql_commits_a_claim_durably_whatever_is_configured(
    postgres, driver, configured, claimed
):
    """And what was meant to be more than durable stays so."""
    database = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {database} SET synchronous_commit = {configured}")
    postgres.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = serializable")
    async with SQLJournal(postgres.url(database, driver=driver)) as journal:
        answers = asked_at_each_claim(journal._engine, "SHOW synchronous_commit")
        levels = asked_at_each_claim(journal._engine, "SHOW transaction_isolation")
        await claim_each(journal)
    assert [claimed] * 4 == answers
    assert ["read committed"] * 4 == levels


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_postgresql_records_a_list_durably_whatever_is_configured(postgres, driver):
    """What a person has seen on record must be there after a power cut."""
    database = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    async with SQLJournal(postgres.url(database, driver=driver)) as journal:
        answers = asked_at_each(journal._engine, "INSERT", "SHOW synchronous_commit")
        await journal.intend_all([transfer(f"k{n}", n) for n in range(1, 4)], realm="r")
        await journal.intend(transfer("queued", 9))
    assert {"on"} == set(answers)
    assert 2 <= len(answers)


async def test_an_engine_that_is_serializable_is_read_committed_here(postgres_url):
    """A serialization failure would be one more way to fail, and the UPDATE needs none of it."""
    engine = create_async_engine(postgres_url, isolation_level="SERIALIZABLE")
    async with SQLJournal(engine, create=True) as journal:
        levels = asked_at_each_claim(engine, "SHOW transaction_isolation")
        await claim_each(journal)
    async with engine.connect() as connection:
        level = (await connection.exec_driver_sql("SHOW transaction_isolation")).scalar_one()
    await engine.dispose()
    assert (["read committed"] * 4, "serializable") == (levels, level)


# -- the table


def test_many_processes_may_make_the_table_at_once(url, crew):
    """The first start of several workers."""
    started = [crew.start("open_journal", url=url) for _ in range(3)]
    assert [True] * 3 == [each.wait() for each in started]


# Whoever makes the table waits at the end of it, not yet committed, until the test lets go.
HELD_WHILE_MAKING = """
CREATE FUNCTION hold_up() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_lock(1); PERFORM pg_advisory_unlock(1); END $$;
CREATE EVENT TRIGGER hold_up ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
EXECUTE FUNCTION hold_up();
"""


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_two_make_the_table_one_after_the_other(postgres, driver):
    """IF NOT EXISTS fails where another one is just making it and has not committed."""
    database = postgres.new_database()
    postgres.execute(HELD_WHILE_MAKING, database=database)
    url = postgres.url(database, driver=driver)
    engine = create_async_engine(url)
    one, two = SQLJournal(url), SQLJournal(url)
    async with engine.connect() as holder:
        await holder.exec_driver_sql("SELECT pg_advisory_lock(1)")
        both = asyncio.gather(one.get("k1"), two.get("k1"))
        await postgres.until_waiting(database, 2)
        await holder.exec_driver_sql("SELECT pg_advisory_unlock(1)")
        assert [None, None] == list(await both)
    for each in (one, two):
        await each.aclose()
    await engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_connection_that_the_server_has_ended_is_not_lent(postgres, driver):
    """After a restart or a fail-over the first transfer goes through, and not only the second."""
    database = postgres.new_database()
    async with SQLJournal(postgres.url(database, driver=driver)) as journal:
        await journal.intend(transfer(), realm="r")
        await postgres.end_sessions(database)
        assert await journal.claim("k1", 1, realm="r", attempt="a")


async def test_alembic_s_metadata_makes_the_same_table(url):
    """A journal on an engine is content with what create_all has made."""
    engine = create_async_engine(url)
    with pytest.raises(JournalError, match="there is no table clicksend_transfer"):
        async with SQLJournal(engine):
            pass
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    async with SQLJournal(engine) as journal:
        await claim_each(journal)
    await engine.dispose()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("attempt VARCHAR(255), ", "", "no column 'attempt'"),
        ('PRIMARY KEY ("key", round)', 'PRIMARY KEY ("key")', "the primary key"),
        ("UNIQUE (open_client)", "CHECK (1 = 1)", "'open_client' of clicksend_transfer is not"),
    ],
)
async def test_a_table_that_lacks_something_is_named(tmp_path, old, new, said):
    """Without it a promise would be an empty one; the docs page is named too."""
    path = tmp_path / "transfers.db"
    async with SQLJournal(f"sqlite+aiosqlite:///{path}"):
        pass
    connection = sqlite3.connect(path)
    [made] = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = ?", (table.name,)
    ).fetchone()
    flat = " ".join(made.split())
    assert old in flat
    connection.execute(f"DROP TABLE {table.name}")
    connection.execute(flat.replace(old, new))
    connection.close()
    with pytest.raises(JournalError, match=said) as raised:
        async with SQLJournal(f"sqlite+aiosqlite:///{path}", create=False):
            pass
    assert "docs/reference/journal.md" in str(raised.value)


# -- whole


async def test_a_cancelled_step_runs_to_its_end(opened):
    """Cut in two it left a SQLite file locked for minutes."""
    async with opened() as journal:
        for n in range(20):
            step = asyncio.create_task(journal.intend(transfer(f"k{n}", n + 1), realm="r"))
            for _ in range(n):
                await asyncio.sleep(0)
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
        await until(lambda: not journal._database._steps)
        entry = await journal.intend(transfer("after", 99), realm="r")
    assert TransferState.INTENDED is entry.state


async def test_steps_of_one_connection_take_turns():
    """An engine with one connection for all would mix their transactions."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with SQLJournal(engine, create=True) as journal:
        await claim_each(journal, 20)
    await engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("pool", [StaticPool, type("Ours", (StaticPool,), {})])
async def test_one_connection_for_all_is_refused_on_postgresql(postgres, driver, pool):
    """One step's transaction swallowed another's claim; others may use the engine besides us."""
    url = postgres.url(postgres.new_database(), driver=driver)
    engine = create_async_engine(url, poolclass=pool)
    with pytest.raises(ConfigurationError, match=r"one connection for all.*usual pool"):
        SQLJournal(engine, create=True)
    await engine.dispose()


async def test_a_reader_of_the_one_connection_never_sees_half_a_step():
    """It would read what is then rolled back: a transfer on record that is not."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    at_commit, may_fail = asyncio.Event(), asyncio.Event()

    def fail_late(_connection, _cursor, statement, *_):
        if statement == "COMMIT":
            at_commit.set()
            await_only(may_fail.wait())
            raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))

    async with SQLJournal(engine, create=True) as journal:
        event.listen(engine.sync_engine, "before_cursor_execute", fail_late)
        writing = asyncio.ensure_future(journal.intend(transfer(), realm="r"))
        await at_commit.wait()
        reading = asyncio.ensure_future(journal.get("k1"))
        await asyncio.wait({reading}, timeout=0.2)
        may_fail.set()
        with pytest.raises(JournalError):
            await writing
        assert await reading is None
    await engine.dispose()


async def test_closing_waits_for_a_step_that_its_caller_has_left(tmp_path):
    """It is whole and on record when the journal is closed, and the program may end."""
    path = tmp_path / "transfers.db"
    journal = SQLJournal(f"sqlite+aiosqlite:///{path}")
    assert await journal.get("k1") is None
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("BEGIN IMMEDIATE")
        step = asyncio.ensure_future(journal.intend(transfer(), realm="r"))
        await until(lambda: journal._database._steps)
        await asyncio.sleep(0.05)  # the caller waits for the lock, and has had enough
        step.cancel()
        asyncio.get_running_loop().call_later(0.2, database.rollback)
        await journal.aclose()
        found = database.execute("SELECT key FROM clicksend_transfer").fetchall()
    assert [("k1",)] == found


def test_a_journal_belongs_to_one_event_loop(tmp_path):
    """On another one it says so, before anything is recorded."""
    journal = SQLJournal(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")
    with asyncio.Runner() as runner:
        runner.run(journal.get("k1"))
        with asyncio.Runner() as other:
            for step in (journal.get("k1"), journal.aclose()):
                with pytest.raises(JournalError, match="event loop"):
                    other.run(step)
        runner.run(journal.aclose())
        with pytest.raises(JournalError, match="closed"):
            runner.run(journal.get("k1"))


async def test_a_given_engine_is_left_open(tmp_path):
    """It belongs to whoever made it."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")
    async with SQLJournal(engine, create=True):
        pass
    async with engine.connect() as connection:
        assert 1 == (await connection.exec_driver_sql("SELECT 1")).scalar_one()
    await engine.dispose()


def test_a_program_that_forgets_to_close_still_ends(tmp_path):
    """The driver's thread must not keep it."""
    code = (
        "import asyncio\n"
        "from clicksend_reseller.journal import SQLJournal\n"
        f"journal = SQLJournal('sqlite+aiosqlite:///{tmp_path}/t.db')\n"
        "asyncio.run(journal.get('k1'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert 0 == done.returncode


# -- reading


@pytest.mark.heavy
async def test_long_lists_are_read_in_bounded_memory(tmp_path):
    """In chunks, none of which holds a transaction open while the reader works."""
    number = rounds(6_000, 100_000)
    path = tmp_path / "transfers.db"
    async with SQLJournal(f"sqlite+aiosqlite:///{path}") as journal:
        connection = sqlite3.connect(path)
        with connection:
            connection.executemany(
                "INSERT INTO clicksend_transfer (key, round, queued, client_user_id, amount, "
                "currency, state, created_at) VALUES (?, 1, 1, ?, 5, 'AUD', 'intended', ?)",
                (
                    (f"k{n}", n, f"2026-01-01 00:00:{n % 60:02}.000000")
                    for n in range(1, number + 1)
                ),
            )
        connection.close()
        gc.collect()
        tracemalloc.start()
        seen = 0
        async for _ in journal.pending():
            seen += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert number == seen
    assert peak < 2_000_000  # 1.24 million in chunks; one list of 6,000 entries takes 2.36 million


async def test_lists_are_filtered_and_oldest_first(opened):
    """By state, client and time; rows of one moment come in the order of their keys."""
    async with opened() as journal:
        await journal.intend_all([transfer("b", 1), transfer("a", 2)], realm="r")
        middle = datetime.now(UTC)
        await journal.intend_all([transfer("c", 1)], realm="r")
        await journal.claim("c", 1, realm="r", attempt="x")

        async def keys(**wanted):
            return [entry.key async for entry in journal.entries(**wanted)]

        assert {"a", "b"} == set((await keys())[:2])
        assert "c" == (await keys())[2]
        assert ["b", "c"] == await keys(client_user_id=1)
        assert ["c"] == await keys(since=middle)
        assert ["c"] == await keys(state="sent")
        assert ["c"] == await keys(state=TransferState.SENT, client_user_id=1, since=middle)
        with pytest.raises(ValueError, match="time zone"):
            await keys(since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
        with pytest.raises(ValueError, match="paid"):
            await keys(state="paid")


# -- opening


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("mysql+aiomysql://u:secret@h/d", "SQLite or PostgreSQL, not 'mysql'"),
        ("postgresql+nope://u:secret@h/d", "postgresql+asyncpg or psycopg"),
        ("secret", "this is no database URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url, said):
    """With what to write instead."""
    with pytest.raises(ConfigurationError) as raised:
        SQLJournal(url)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_password_of_a_url_is_never_shown():
    """Neither by repr."""
    journal = SQLJournal("postgresql+asyncpg://u:hunter22@localhost/d")
    assert "SQLJournal('postgresql+asyncpg://u:***@localhost/d')" == repr(journal)


def test_an_engine_is_asynchronous():
    """Anything else is refused at once."""
    with pytest.raises(TypeError, match="a database URL or an AsyncEngine"):
        SQLJournal(create_async_engine("sqlite+aiosqlite://").sync_engine)  # type: ignore[arg-type]


async def test_a_server_that_is_not_there_is_a_journal_error():
    """With the driver's word."""
    journal = SQLJournal("postgresql+asyncpg://tests@127.0.0.1:1/none")
    with pytest.raises(JournalError, match="the journal failed"):
        await journal.get("k1")
    await journal.aclose()


async def test_alembic_finds_nothing_to_migrate(opened, url):
    """What a journal makes and what `metadata` says agree, so no revision comes by itself."""
    async with opened():
        pass
    engine = create_async_engine(url)

    def compare(connection):
        context = MigrationContext.configure(connection)
        return compare_metadata(context, metadata)

    async with engine.connect() as connection:
        assert [] == await connection.run_sync(compare)
    await engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_schema_that_comes_first_later_gets_no_second_table(postgres, sandbox, driver):
    """An empty one would hide what was sent, and each key would be paid again."""
    database = postgres.new_database()
    url = postgres.url(database, driver=driver)
    replayed = []
    for _ in range(2):
        async with SQLJournal(url) as journal, sandbox.client(journal=journal) as client:
            receipt = await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
        replayed.append(receipt.replayed)
        postgres.execute('CREATE SCHEMA IF NOT EXISTS "first"', database=database)
        postgres.execute(
            f'ALTER DATABASE {database} SET search_path = "first", public', database=database
        )
    assert ([False, True], [5]) == (replayed, sandbox.transfers_to(1001))


# -- the URL


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql+asyncpg://u:secret@h/db", "postgresql+asyncpg://u:***@h/db"),
        ("postgresql+asyncpg://h/db?user=u&password=secret", "postgresql+asyncpg://h/db"),
        ("postgresql+psycopg://u@h/db?passfile=secret", "postgresql+psycopg://u@h/db"),
    ],
)
def test_a_journal_shows_no_password(url, text):
    """Wherever in the URL it stands."""
    assert f"SQLJournal({text!r})" == repr(SQLJournal(url))


@pytest.mark.parametrize(
    "password", ["half@other:most", "half@other", "half@other/most", "half@ot?er"]
)
def test_a_password_that_is_not_escaped_is_not_shown(password):
    """A part of it is taken for the host or the port, and those would be shown."""
    with pytest.raises(ConfigurationError, match=r"this is no database URL.*%40") as raised:
        SQLJournal(f"postgresql+asyncpg://u:{password}@h/db")
    told = f"{raised.value} {raised.value.__cause__}"
    assert [] == [part for part in ("half", "other", "ot?er", "most") if part in told]
    assert raised.value.__context__ is None or raised.value.__suppress_context__


# -- an engine that is not fit


@pytest.mark.parametrize("mode", ["MEMORY", "OFF"])
async def test_a_file_without_a_journal_on_the_disk_is_refused(tmp_path, mode):
    """A crash in the middle of a commit breaks it, and with it all that was sent."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")
    event.listen(
        engine.sync_engine, "connect", lambda own, _: own.execute(f"PRAGMA journal_mode={mode}")
    )
    with pytest.raises(JournalError, match=f"journal_mode={mode}"):
        async with SQLJournal(engine, create=True):
            pass
    await engine.dispose()


async def test_an_engine_that_begins_by_itself_is_named(tmp_path):
    """SQLAlchemy's recipe for SQLite; each step would fail, safely and without a reason."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/transfers.db")
    event.listen(
        engine.sync_engine, "connect", lambda own, _: setattr(own, "isolation_level", None)
    )
    event.listen(engine.sync_engine, "begin", lambda own: own.exec_driver_sql("BEGIN"))
    with pytest.raises(JournalError, match="a listener that begins transactions by itself"):
        async with SQLJournal(engine, create=True):
            pass
    await engine.dispose()

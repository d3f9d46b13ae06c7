"""One file has one name: under two, each with a WAL of its own, a key was paid twice."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from clicksend_reseller import JournalError, Outcome, Transfer, TransferState
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.journal.sql.sqlite_file import fault_of_file
from support.command_line import Home
from support.programs import missing, program
from support.served_sandbox import make_client


def of_url(path):
    """Open a journal by its URL."""
    return SQLJournal(f"sqlite+aiosqlite:///{path}")


def of_engine(path):
    """Open one on an engine of somebody's own."""
    return SQLJournal(create_async_engine(f"sqlite+aiosqlite:///{path}"), create=True)


OPENERS = pytest.mark.parametrize("opened", [of_url, of_engine])


def transfer(key):
    """Name a transfer."""
    return Transfer(idempotency_key=key, client_user_id=1001, amount=5, currency="AUD")


async def pay(journal, sandbox):
    """Pay 5 AUD to client 1001 under the key k1."""
    try:
        async with journal, sandbox.client(journal=journal) as client:
            await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
    finally:
        await journal._engine.dispose()


@OPENERS
async def test_a_file_with_two_names_pays_nothing(tmp_path, sandbox, opened):
    """Under either name, and the error says what to do; with one name left it is paid once."""
    one, other = tmp_path / "j.db", tmp_path / "other" / "j.db"
    other.parent.mkdir()
    await pay(opened(one), sandbox)
    os.link(one, other)
    for name in (one, other):
        with pytest.raises(JournalError, match=r"2 names \(hard links\).*mount the folder"):
            await pay(opened(name), sandbox)
    one.unlink()
    await pay(opened(other), sandbox)
    assert [5] == sandbox.transfers_to(1001)


@OPENERS
async def test_an_empty_file_with_two_names_is_refused_before_anything_is_made(
    tmp_path, sandbox, opened
):
    """Made by hand, linked, and then taken for a journal by two."""
    one, other = tmp_path / "j.db", tmp_path / "k.db"
    one.touch()
    os.link(one, other)
    for name in (one, other):
        with pytest.raises(JournalError, match="2 names"):
            await pay(opened(name), sandbox)
    assert (b"", (), []) == (one.read_bytes(), sandbox.requests, [*tmp_path.glob("*-wal")])


async def test_a_link_to_what_lies_beside_is_refused_too(tmp_path):
    """The write-ahead log holds what was sent."""
    path = tmp_path / "j.db"
    async with of_url(path) as journal:
        await journal.get("k1")
        os.link(f"{path}-wal", tmp_path / "copy")
        with pytest.raises(JournalError, match=r"j\.db-wal' has 2 names"):
            async with of_url(path):
                pass


async def test_each_connection_looks_again(tmp_path):
    """A link may be made while the program runs; an engine may make a connection for each step."""
    path = tmp_path / "j.db"
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)
    async with SQLJournal(engine, create=True) as journal:
        await journal.get("k1")
        os.link(path, tmp_path / "k.db")
        with pytest.raises(JournalError, match="2 names"):
            await journal.get("k1")


@pytest.mark.parametrize("where", ["file", "folder"])
async def test_a_symbolic_link_is_the_same_name(tmp_path, sandbox, where):
    """SQLite follows it, and finds the same WAL."""
    (tmp_path / "real").mkdir()
    path, link = tmp_path / "real" / "j.db", tmp_path / "link.db"
    if where == "file":
        link.symlink_to(path)
    else:
        (tmp_path / "way").symlink_to(path.parent)
        link = tmp_path / "way" / "j.db"
    for name in (path, link):
        await pay(of_url(name), sandbox)
    assert [5] == sandbox.transfers_to(1001)
    assert "" == fault_of_file(str(link))


async def test_what_is_in_memory_has_no_name():
    """It cannot have two."""
    for path in ("", "/:memory:"):
        async with SQLJournal(f"sqlite+aiosqlite://{path}") as journal:
            assert None is await journal.get("k1")


# -- moved while it is open


def rename(path):
    """Give the file another name, as who makes room for a new one."""
    path.rename(path.with_name("old.db"))


def delete(path):
    """Take the file away."""
    path.unlink()


def link(path):
    """Give the file a second name, as some backups do."""
    os.link(path, path.with_name("k.db"))


def replace(path):
    """Put another file in its place, as a backup that is restored."""
    rename(path)
    path.touch()


@pytest.mark.parametrize("move", [rename, delete, link, replace])
async def test_nothing_is_paid_from_a_file_that_goes_by_its_name_no_more(tmp_path, sandbox, move):
    """Whoever opens that name, or the new one, would see nothing of it and pay again."""
    path = tmp_path / "j.db"
    async with of_url(path) as journal, sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
        move(path)
        with pytest.raises(JournalError, match=r"j\.db' (has been moved|has 2 names)"):
            await client.transfer_credit(1001, 5, "AUD", idempotency_key="k2")
        with pytest.raises(JournalError, match=r"j\.db' (has been moved|has 2 names)"):
            await journal.intend(transfer("k3"))
    assert [5] == sandbox.transfers_to(1001)


def restore(path):
    """Put a backup from before the first transfer in its place."""
    rename(path)
    with sqlite3.connect(path.with_name("old.db")) as old, sqlite3.connect(path) as new:
        old.backup(new)
        new.execute("DELETE FROM clicksend_transfer")
    old.close()
    new.close()


@pytest.mark.parametrize("pool", [NullPool, AsyncAdaptedQueuePool])
async def test_a_connection_made_later_leads_to_the_same_file(tmp_path, sandbox, pool):
    """A pool makes another one when it needs it, or for each step: it knows the name alone."""
    path = tmp_path / "j.db"
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=pool)
    journal = SQLJournal(engine, create=True)
    async with journal, sandbox.client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
        async with engine.connect():  # so that the journal cannot have this one
            restore(path)
            with pytest.raises(JournalError, match=r"j\.db' has been moved"):
                await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
            with pytest.raises(JournalError, match=r"j\.db' has been moved"):
                await journal.get("k1")  # it would say that nothing is on record
    await engine.dispose()
    assert [5] == sandbox.transfers_to(1001)


async def test_what_has_left_is_settled_in_a_file_that_was_moved(tmp_path, sandbox):
    """What is known is written down where the claim was, whatever the file is called."""
    path = tmp_path / "j.db"
    async with of_url(path) as journal:
        await journal.intend(transfer("k1"), realm="r")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        rename(path)
        assert await journal.settle("k1", 1, "a", TransferState.CONFIRMED)


# -- its write-ahead log is lost, and the file is where it was


def delete_beside(path, crew):
    """Take away what looks like rubbish."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()


def delete_index(path, crew):
    """Take away the index of the log: others make one, and take no notice of our locks."""
    path.with_name(f"{path.name}-shm").unlink()


def copy(path, crew):
    """Copy the files in this process, which ends its locks, and look at them in another one."""
    for suffix in ("", "-wal", "-shm"):  # SQLite 3.53 relies on its locks on the last one
        shutil.copy(f"{path}{suffix}", path.with_name(f"copy.db{suffix}"))
    assert crew.run("open_journal", url=f"sqlite+aiosqlite:///{path}")
    assert not path.with_name(f"{path.name}-wal").exists()


@pytest.mark.parametrize("lose", [delete_beside, delete_index, copy])
@pytest.mark.parametrize("pool", [None, AsyncAdaptedQueuePool])
async def test_nothing_is_paid_into_a_log_that_nobody_else_finds(
    quick_path, crew, served, lose, pool
):
    """Another process paid the same key again."""
    path, client = quick_path / "j.db", served.new_client()
    url = f"sqlite+aiosqlite:///{path}"
    async with of_url(path):
        pass  # an engine of somebody's own makes no WAL
    engine = create_async_engine(url, poolclass=pool) if pool else None
    journal = SQLJournal(engine or url)
    async with journal, make_client(served.url, journal=journal) as api:
        await api.transfer_credit(client, 5, "AUD", idempotency_key="k1")
        lose(path, crew)
        with pytest.raises(JournalError, match=r"j\.db-(wal|shm)' has been moved") as raised:
            await api.transfer_credit(client, 5, "AUD", idempotency_key="k2")
        assert raised.value.outcome is Outcome.NOT_SENT
        call = {"url": url, "base_url": served.url, "key": "k2", "client_user_id": client}
        assert "paid" == crew.run("transfer", **call)
    if engine:
        await engine.dispose()
    assert 2 == served.applied_to(client)


async def test_a_copy_in_this_process_does_not_undo_what_others_record(quick_path, crew, served):
    """What had left is settled in no log that nobody finds: it would be written over their rows."""
    path = quick_path / "j.db"
    url = f"sqlite+aiosqlite:///{path}"
    async with of_url(path) as journal:
        await journal.intend(transfer("k1"), realm="r")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        copy(path, crew)
        client = served.new_client()
        call = {"url": url, "base_url": served.url, "key": "k2", "client_user_id": client}
        assert "paid" == crew.run("transfer", **call)
        with pytest.raises(JournalError, match=r"j\.db-wal' has been moved"):
            await journal.settle("k1", 1, "a", TransferState.CONFIRMED)
    assert "replayed" == crew.run("transfer", **call)
    async with of_url(path) as journal:
        assert ["k1"] == [entry.key async for entry in journal.unresolved(older_than=0.0)]


async def test_a_log_that_comes_and_goes_between_connections_is_no_other(quick_path, sandbox):
    """Whoever closes the last connection removes it, and the next one makes another."""
    path = quick_path / "j.db"
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)
    async with of_url(path):
        pass
    journal = SQLJournal(engine)
    async with journal, sandbox.client(journal=journal) as client:
        for key in ("k1", "k2"):
            await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)
    assert [5, 5] == sandbox.transfers_to(1001)


async def test_a_pool_that_has_lost_its_last_connection_goes_on(quick_path, sandbox):
    """As when a step was cut off. A disk, unlike memory, may number the new files like the old."""
    async with of_url(quick_path / "j.db") as journal, sandbox.client(journal=journal) as client:
        for key in ("k1", "k2"):
            await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)
            async with journal._engine.connect() as connection:
                await connection.invalidate()
    assert [5, 5] == sandbox.transfers_to(1001)


async def test_a_connection_that_is_made_after_a_loss_pays_nothing_either(quick_path, crew, served):
    """It finds the new log, while its process still has the old log's index."""
    path, client = quick_path / "j.db", served.new_client()
    async with of_url(path) as journal, make_client(served.url, journal=journal) as api:
        await api.transfer_credit(client, 5, "AUD", idempotency_key="k1")
        copy(path, crew)
        async with journal._engine.connect():  # so that the journal cannot have this one
            with pytest.raises(JournalError, match=r"j\.db-wal' has been moved"):
                await api.transfer_credit(client, 5, "AUD", idempotency_key="k2")
    assert 1 == served.applied_to(client)


@pytest.mark.parametrize("link", ["file", "folder"])
async def test_nothing_is_paid_when_the_link_leads_elsewhere(quick_path, crew, served, link):
    """As after the next release of a program: whoever follows it now pays into another journal."""
    old, new, way = (quick_path / name for name in ("old", "new", "way"))
    old.mkdir()
    new.mkdir()
    inside = "j.db" if link == "file" else ""
    way.symlink_to(old / inside)
    url = f"sqlite+aiosqlite:///{way if link == 'file' else way / 'j.db'}"
    client = served.new_client()
    call = {"url": url, "base_url": served.url, "key": "k1", "client_user_id": client}
    async with SQLJournal(url) as journal, make_client(served.url, journal=journal) as api:
        way.unlink()
        way.symlink_to(new / inside)
        assert "paid" == crew.run("transfer", **call)
        with pytest.raises(JournalError, match="has been moved, deleted or replaced"):
            await api.transfer_credit(client, 5, "AUD", idempotency_key="k1")
    assert 1 == served.applied_to(client)


# -- mounted


SEEN = """
import asyncio, json, sys
from sqlalchemy.ext.asyncio import create_async_engine
from clicksend_reseller import JournalError, Outcome, Transfer, TransferState
from clicksend_reseller.journal import SQLJournal

async def look(journal):
    try:
        async with journal:
            return "opened"
    except JournalError as error:
        return str(error)

async def main():
    seen = []
    for path in sys.argv[1:]:
        url = f"sqlite+aiosqlite:///{path}"
        seen.append(await look(SQLJournal(url)))
        engine = create_async_engine(url)
        seen.append(await look(SQLJournal(engine, create=True)))
        await engine.dispose()
    print(json.dumps(seen))

asyncio.run(main())
"""


def mounting(mounted, *command):
    """Run a command where pairs of paths are mounted, in a mount table that ends with it."""
    unshare = program("unshare")
    ways = ([unshare, "--mount"], [unshare, "--map-root-user", "--mount"])
    way = next(
        (way for way in ways if not subprocess.run([*way, "true"], check=False).returncode), None
    )
    if way is None:
        pytest.fail(missing("a private mount table (unshare --mount)"))
    script = "".join('mount --bind "$1" "$2" && shift 2 && ' for _ in mounted) + 'exec "$@"'
    words = [str(path) for pair in mounted for path in pair]
    return subprocess.run(
        [*way, "sh", "-c", script, "sh", *words, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def files(tmp_path):
    """Give a file, another path to mount it at, and a link to that; their names have blanks."""
    real, place, link = (tmp_path / name for name in ("a b.db", "c \\d ü.db", "link.db"))
    real.touch()
    place.touch()
    link.symlink_to(place)
    return real, place, link


def test_a_file_that_is_mounted_by_itself_is_refused(files):
    """By its name and through a symbolic link; the file that is behind it is not."""
    real, place, link = files
    done = mounting([(real, place)], sys.executable, "-c", SEEN, place, link, real)
    assert 0 == done.returncode, done.stderr
    *refused, one, other = json.loads(done.stdout)
    assert ["opened", "opened"] == [one, other]
    assert 4 == len(refused)
    for said in refused:
        assert "is itself a mount point" in said
        assert "mount the folder, not the file" in said


def test_a_folder_that_is_mounted_is_what_we_ask_for(tmp_path):
    """The WAL is mounted with it."""
    real, place = tmp_path / "real", tmp_path / "place"
    real.mkdir()
    place.mkdir()
    done = mounting([(real, place)], sys.executable, "-c", SEEN, place / "j.db", real / "j.db")
    assert ["opened"] * 4 == json.loads(done.stdout), done.stderr


def test_the_command_says_so_too(files, tmp_path):
    """Whoever mounts a single file into a container mostly runs a command there."""
    real, place, _ = files
    home = Home(tmp_path / "home")
    command = [
        sys.executable,
        "-m",
        "clicksend_reseller.cli",
        "journal",
        "list",
        "--journal",
        place,
    ]
    done = mounting([(real, place)], "env", *(f"{k}={v}" for k, v in home.env.items()), *command)
    assert 1 == done.returncode
    assert "mount the folder, not the file" in " ".join(done.stderr.split())


def test_the_command_refuses_two_names(tmp_path):
    """It says which file, and what to do."""
    home = Home(tmp_path)
    file = tmp_path / "j.db"
    file.touch()
    os.link(file, tmp_path / "k.db")
    run = home.call("journal", "list", "--journal", file)
    assert 1 == run.status
    assert "mount the folder" in " ".join(run.err.split())


def test_a_system_without_a_mount_table_has_no_such_mounts(tmp_path):
    """Nothing is taken for one."""
    file = tmp_path / "j.db"
    file.touch()
    assert "" == fault_of_file(str(file), tmp_path / "none")
    mounts = tmp_path / "mountinfo"
    escaped = str(file).replace("j", "\\152")
    mounts.write_text(f"36 35 98:0 /j.db {escaped} rw - ext4 /dev/sda rw\n")
    assert "mount point" in fault_of_file(str(file), mounts)

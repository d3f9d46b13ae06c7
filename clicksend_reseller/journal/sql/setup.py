"""The creation of the table, and the check that it has what the promises depend on."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex, CreateTable

from clicksend_reseller import JournalError
from clicksend_reseller.journal.sql.engine import BUSY_SECONDS, Opened, pragmas
from clicksend_reseller.journal.sql.schema import COLUMNS, table

_PAGE = "docs/reference/journal.md, The table"
# Any number will do, as long as nobody else takes it: the table's name in ASCII, cut to 63 bits.
_CREATING = text("SELECT pg_advisory_xact_lock(7164510420196451188)")


async def prepare(opened: Opened, *, create: bool) -> str:
    """Create the table if asked to, and check it.

    Returns:
        The value of SQLite's `synchronous` with which a commit is durable.

    Raises:
        JournalError: there is no table, or something of it is missing.
    """
    synchronous = "FULL"
    async with opened.engine.connect() as connection:
        if opened.is_sqlite:
            synchronous = await _prepare_sqlite(connection, opened)
        if create:
            await _create(connection, is_sqlite=opened.is_sqlite)
        await connection.run_sync(_check)
        if opened.is_sqlite:
            opened.file.remember_beside(connection)
    return synchronous


async def _prepare_sqlite(connection: AsyncConnection, opened: Opened) -> str:
    if not opened.is_ours:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await _check_begins(connection)
        for pragma in pragmas("FULL"):
            await connection.exec_driver_sql(pragma)
    await opened.file.check_connection(connection)
    mode = await _mode(connection)
    if opened.is_ours and mode not in {"wal", "memory"}:
        mode = await _switch_to_wal(connection)
        if mode != "wal":
            raise JournalError(f"this SQLite file cannot be switched to WAL, it is {mode!r}")
    if mode == "off" or (mode == "memory" and await _is_a_file(connection)):
        raise JournalError(
            f"this SQLite connection has journal_mode={mode.upper()}, so a crash can break the "
            "file: leave it at DELETE, or use WAL"
        )
    # Without WAL, FULL leaves the commit itself to the folder's next sync; EXTRA does not.
    return "FULL" if mode == "wal" else "EXTRA"


async def _check_begins(connection: AsyncConnection) -> None:
    """Refuse an engine that follows SQLAlchemy's recipe: BEGIN on each `begin` event."""
    await _mode(connection)  # anything that would set the listeners off
    raw = await connection.get_raw_connection()
    if getattr(raw.driver_connection, "in_transaction", False):
        raise JournalError(
            "this engine has a listener that begins transactions by itself, and on SQLite the "
            "journal must begin its own: give it another engine for the same file, or the URL"
        )


async def _is_a_file(connection: AsyncConnection) -> bool:
    databases = await connection.exec_driver_sql("PRAGMA database_list")
    return any(row.name == "main" and row.file for row in databases)


async def _mode(connection: AsyncConnection) -> str:
    return str((await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one())


async def _switch_to_wal(connection: AsyncConnection) -> str:
    """Switch, even while others open the same new file: then SQLite does not wait by itself."""
    for _ in range(10 * BUSY_SECONDS):
        try:
            await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError as exc:
            if "locked" not in str(exc.orig):
                raise
            await asyncio.sleep(0.1)
        else:
            break
    return await _mode(connection)


async def _create(connection: AsyncConnection, *, is_sqlite: bool) -> None:
    if is_sqlite:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
        await _create_all(connection)
        await connection.exec_driver_sql("COMMIT")
        return
    async with connection.begin():
        # IF NOT EXISTS fails when two do it at once.
        await connection.execute(_CREATING)
        await _create_all(connection)


async def _create_all(connection: AsyncConnection) -> None:
    # IF NOT EXISTS looks at the first schema of the search_path only. A second table there would
    # hide the first, with all that was sent.
    if await connection.run_sync(lambda sync: inspect(sync).has_table(table.name)):
        return
    await connection.execute(CreateTable(table, if_not_exists=True))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        await connection.execute(CreateIndex(index, if_not_exists=True))


def _check(connection: Connection) -> None:
    inspector = inspect(connection)
    if not inspector.has_table(table.name):
        raise JournalError(
            f"there is no table {table.name}: make it with your migrations, from "
            f"clicksend_reseller.journal.metadata, or pass create=True; see {_PAGE}"
        )
    found = {column["name"] for column in inspector.get_columns(table.name)}
    if missing := [name for name in COLUMNS if name not in found]:
        raise JournalError(
            f"the table {table.name} has no column {', '.join(map(repr, missing))}: "
            f"migrate it; see {_PAGE}"
        )
    primary = inspector.get_pk_constraint(table.name)["constrained_columns"]
    if set(primary) != {"key", "round"}:
        raise JournalError(
            f"the primary key of {table.name} is {primary!r} and not key and round, so two "
            f"could win one round: migrate it; see {_PAGE}"
        )
    if not _is_unique(inspector, "open_client"):
        raise JournalError(
            f"the column 'open_client' of {table.name} is not unique, so two transfers to one "
            f"client could be open: migrate it; see {_PAGE}"
        )


def _is_unique(inspector: Inspector, column: str) -> bool:
    constraints = inspector.get_unique_constraints(table.name)
    indexes = [index for index in inspector.get_indexes(table.name) if index["unique"]]
    return [column] in [found["column_names"] for found in (*constraints, *indexes)]

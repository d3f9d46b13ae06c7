"""Rows of a journal that are made older than they are, instead of a wait."""

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import create_async_engine

from clicksend_reseller.journal.sql.schema import table


async def put_back(url, seconds=151, **where):
    """Let rows of a database have been sent so many seconds ago."""
    engine = create_async_engine(url)
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    async with engine.begin() as connection:
        await connection.execute(update(table).filter_by(**where).values(sent_at=moment))
    await engine.dispose()


def put_back_at(home, seconds=151):
    """Let all rows of the journals of somebody's home have been sent so many seconds ago."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    for file in home.folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                f"UPDATE {table.name} SET sent_at = ? WHERE sent_at IS NOT NULL",  # noqa: S608 - ours
                (f"{moment:%Y-%m-%d %H:%M:%S.%f}",),
            )
        connection.close()

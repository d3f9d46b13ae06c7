"""Reads of the journal: one key, or a walk over many rounds. Nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Row, Select

from clicksend_reseller import JournalEntry, Transfer, TransferState
from clicksend_reseller._wire.keys import spellings
from clicksend_reseller._wire.limits import RESOLVABLE_AFTER
from clicksend_reseller.journal.sql import queries, transactions
from clicksend_reseller.journal.sql.database import Database
from clicksend_reseller.journal.sql.schema import newest_with_rounds, to_entry
from clicksend_reseller.journal.validation import check_moment

CHUNK = 500


class Records:
    """The part of a journal that only reads.

    Args:
        database: runs each query.
        dialect: of its engine.
    """

    def __init__(self, database: Database, dialect: Dialect) -> None:
        self._database = database
        self._dialect = dialect

    async def get(self, key: str) -> JournalEntry | None:
        """Give the newest round of a key; its `rounds` are the history.

        An accent typed in another way is the same key; a row that is on record under the very
        text that is given comes first.

        Raises:
            JournalError: the journal failed.
        """
        rows = await self._look(queries.rounds_of_all(spellings(key)))
        return newest_with_rounds(transactions.rounds_that_count(rows, key))

    async def pending(self) -> AsyncIterator[Transfer]:
        """Walk over what was put in by `intend()` and not yet sent, oldest first.

        Raises:
            JournalError: the journal failed.
        """
        async for entry in self._walk(queries.is_pending):
            yield Transfer(
                idempotency_key=entry.key,
                client_user_id=entry.client_user_id,
                amount=entry.amount,
                currency=entry.currency,
            )

    async def unresolved(self, older_than: float = RESOLVABLE_AFTER) -> AsyncIterator[JournalEntry]:
        """Walk over what a person must judge: unknown, or sent and never settled.

        Args:
            older_than: seconds; what was sent later may still be under way. What was sent at a
                time that is still to come is given too: a clock was ahead then, or has been put
                back since.

        Raises:
            JournalError: the journal failed.
        """
        async for entry in self._walk(lambda: queries.is_unresolved(self._dialect, older_than)):
            yield entry

    async def entries(
        self,
        *,
        state: TransferState | str | None = None,
        client_user_id: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[JournalEntry]:
        """Walk over all rounds, oldest first.

        Args:
            state: only those in it.
            client_user_id: only those to this client.
            since: only those recorded then or later; with a time zone.

        Raises:
            JournalError: the journal failed.
            ValueError: no such state, or a time without a zone.
        """
        wanted = None if state is None else TransferState(state)
        if since is not None:
            check_moment("since", since)
        condition = queries.matching(state=wanted, client_user_id=client_user_id, since=since)
        async for entry in self._walk(lambda: condition):
            yield entry

    async def _walk(
        self, condition: Callable[[], ColumnElement[bool]]
    ) -> AsyncGenerator[JournalEntry, None]:
        """Read in chunks, each in its own transaction: none waits for the reader."""
        where, after = condition(), None
        while True:
            rows = await self._look(queries.page(where, after, CHUNK))
            for row in rows:
                yield to_entry(row)
            if len(rows) < CHUNK:
                return
            after = (rows[-1].created_at, rows[-1].key, rows[-1].round)

    async def _look(self, question: Select[Any]) -> Sequence[Row[Any]]:
        return await self._database.read(partial(transactions.read, question=question))

"""The journal in a SQL database: SQLite by default, or PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Self

from sqlalchemy import URL
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from clicksend_reseller import (
    JournalEntry,
    JournalError,
    Transfer,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller.journal.sql import queries, transactions
from clicksend_reseller.journal.sql.database import Database
from clicksend_reseller.journal.sql.decisions import Decisions
from clicksend_reseller.journal.sql.engine import open_engine, shown
from clicksend_reseller.journal.sql.texts import escaped, is_about_text, storable
from clicksend_reseller.journal.states import sources
from clicksend_reseller.journal.validation import check_balance, check_transfer

__all__ = ["SQLJournal"]

_logger = logging.getLogger("clicksend_reseller.journal")

CHUNK = 500
# Waits before a settlement is tried again, where a server was restarted.
PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0)


class SQLJournal(Decisions):
    """Records transfers, so that each key is sent at most once for each round.

    Make one for a process and an event loop, and give it to the client::

        async with SQLJournal("sqlite+aiosqlite:///transfers.db") as journal:
            async with AsyncResellerClient(journal=journal) as client:
                await client.transfer_credit(1001, 5, "AUD", idempotency_key="invoice-7")

    Args:
        engine: a database URL, or an AsyncEngine, which is never disposed of. SQLite with
            aiosqlite, or PostgreSQL with asyncpg or psycopg.
        create: make the table at first use or on entering; by default for a URL and not for
            an engine.
        one_open_per_client: refuse a transfer to a client while another one to it is sent or
            unknown; then a balance can tell what became of it.

    Raises:
        ConfigurationError: the URL cannot be used, or the engine has one connection for all.
        ImportError: the driver is not installed.
        TypeError: neither a URL nor an AsyncEngine.
    """

    def __init__(
        self,
        engine: str | URL | AsyncEngine,
        *,
        create: bool | None = None,
        one_open_per_client: bool = True,
    ) -> None:
        opened = open_engine(engine)
        database = Database(opened, create=opened.is_ours if create is None else create)
        super().__init__(database, opened.engine.dialect)
        self._engine = opened.engine
        self._one_open = one_open_per_client
        self._patience = () if opened.is_sqlite else PATIENCE
        self._last: queries.Claim | None = None

    # --- recording

    async def intend(
        self,
        transfer: Transfer,
        *,
        connection: AsyncConnection | AsyncSession | None = None,
        realm: str | None = None,
    ) -> JournalEntry:
        """Record a transfer, or give the newest round that is on record for its key.

        Without a realm it is put in the queue: `pending()` gives it to whoever pays.

        Args:
            transfer: with its key.
            connection: joins that transaction, and neither commits nor rolls it back; what
                the database says then is raised as it is. The table must be there.
            realm: given by the client, which records what it is about to send itself.

        Raises:
            KeyReusedError: the key is on record for other values.
            JournalError: the journal failed.
            ValueError: the transfer could never be sent.
        """
        if realm is not None and connection is None:
            # A look needs no lock, and for a key that is known it is all.
            return await self._database.read_or_write(
                partial(transactions.newest_entry, key=transfer.idempotency_key),
                partial(transactions.record_one, transfer=transfer, realm=realm),
            )
        check_transfer(transfer)
        if connection is not None:
            return await transactions.enqueue(await _connection_of(connection), transfer)
        return await self._database.write(partial(transactions.enqueue, transfer=transfer))

    async def intend_all(self, transfers: Iterable[Transfer], *, realm: str) -> list[JournalEntry]:
        """Record transfers that a program is about to send itself, in chunks.

        Returns:
            The newest round of each key, in the order given, whatever its values and realm.

        Raises:
            JournalError: the journal failed; chunks before it are recorded, nothing was sent.
        """
        found: list[JournalEntry] = []
        for chunk in _chunks(transfers):
            found += await self._database.write(
                partial(transactions.record, transfers=chunk, realm=realm)
            )
        return found

    async def note_balance(self, key: str, balance: Decimal) -> bool:
        """Keep the client's balance with a transfer that is about to be sent, to judge it later.

        Read the account after `intend` and before sending; `reconcile_transfer` compares with it.

        Returns:
            True; False where the round is not intended any more, so that the reading may be late.

        Raises:
            JournalError: the journal failed.
            ValueError: the balance is not finite.
        """
        check_balance(balance)
        return await self._database.write(
            partial(transactions.note_balance, key=key, balance=balance)
        )

    # --- what the client asks

    async def claim(self, key: str, round: int, *, realm: str, attempt: str) -> bool:  # noqa: A002 - the protocol's
        """Turn `intended` into `sent`, durably before returning; False if someone else has.

        Raises:
            UnsettledTransferError: another transfer to this client is open.
            JournalError: the claim failed, or nobody knows whether it did: send nothing. Or an
                older copy of the database has taken its place.
        """
        last = self._last
        statement = queries.claim(
            self._dialect,
            key,
            round,
            realm=realm,
            attempt=attempt,
            one_open=self._one_open,
            last=last,
        )
        try:
            won = await self._database.write(partial(transactions.changes_one, statement=statement))
        except JournalError as error:
            if isinstance(error.__cause__, IntegrityError):
                # The UPDATE itself was refused, so nothing is in doubt.
                await self._refuse_a_second(key, round, realm, str(error.__cause__.orig))
            raise
        if won:
            self._last = key, round, attempt
        elif last is not None:
            await self._refuse_an_older_copy(last)
        return won

    async def settle(
        self,
        key: str,
        round: int,  # noqa: A002 - the protocol's
        attempt: str,
        state: TransferState,
        *,
        balance_after: Decimal | None = None,
        status_code: int | None = None,
        response_code: str | None = None,
        response_msg: str | None = None,
    ) -> bool:
        """Record what became of the attempt that claimed a round; False if it was not open.

        A round that a person has resolved meanwhile keeps its state; the answer is put in its
        note, and both words in the log.

        Raises:
            SQLAlchemyError: it could not be recorded; the round stays `sent`.
            ValueError: no attempt ends in that state.
        """
        if not sources("settle", state) | sources("withdraw", state):
            raise ValueError(f"no attempt ends as {str(state)!r}")

        settlement = transactions.Settlement(
            key=key,
            round=round,
            attempt=attempt,
            state=state,
            answer={
                "balance_after": balance_after,
                "status_code": status_code,
                "response_code": response_code,
                "response_msg": response_msg,
            },
        )
        try:
            return await self._settle(settlement.spelled(storable))
        except Exception as exc:
            if not is_about_text(exc):
                raise
        return await self._settle(settlement.spelled(escaped))

    # --- the journal itself

    async def aclose(self) -> None:
        """Wait for steps under way; dispose of the engine if it was made from a URL.

        Raises:
            JournalError: on another event loop than the journal's.
        """
        await self._database.aclose()

    async def __aenter__(self) -> Self:
        try:
            await self._database.ready()
        except BaseException:
            await self.aclose()  # nobody else will: a context that is not entered is not left
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"SQLJournal({shown(self._engine.url)!r})"

    # --- inside

    async def _refuse_an_older_copy(self, last: queries.Claim) -> None:
        if not await self._look(queries.find_claim(last)):
            raise JournalError(
                f"the database has forgotten that the transfer with key {last[0]!r} was sent: an "
                "older copy has taken its place; stop all clients, and hold what it calls intended",
                permanent=True,
            )

    async def _refuse_a_second(self, key: str, number: int, realm: str, said: str) -> None:
        """Name the open transfer that kept a round from being claimed, if it was one."""
        question = queries.in_the_way(key, number, realm=realm)
        rows = await self._look(question)
        if rows:
            fact = f"the transfer with key {rows[0].key!r} to the same client is open"
            advice = "it must be settled or resolved first"
        elif "open_client" in said:
            fact, advice = "another transfer to the same client was open just now", "try again"
        else:
            return
        raise UnsettledTransferError(f"{fact}: {advice}", permanent=True) from None

    # --- on the way to the database

    async def _settle(self, settlement: transactions.Settlement) -> bool:
        for seconds in self._patience:
            try:
                return await self._database.settle(settlement.write)
            except JournalError:
                raise
            except Exception as exc:
                if is_about_text(exc):
                    raise
                _logger.info("%r is not settled yet (%s), another try follows", settlement.key, exc)
                settlement.is_repeated = True
                await asyncio.sleep(seconds)
        return await self._database.settle(settlement.write)


async def _connection_of(given: AsyncConnection | AsyncSession) -> AsyncConnection:
    return await given.connection() if isinstance(given, AsyncSession) else given


def _chunks(transfers: Iterable[Transfer]) -> Iterable[list[Transfer]]:
    remaining = iter(transfers)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk

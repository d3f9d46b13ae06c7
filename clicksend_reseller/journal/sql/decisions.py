"""The decisions of a person about a transfer on record. Nothing is ever sent by them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from clicksend_reseller import JournalEntry, JournalError, Transfer, TransferState
from clicksend_reseller.journal.sql import transactions
from clicksend_reseller.journal.sql.reading import Records
from clicksend_reseller.journal.sql.revising import revise
from clicksend_reseller.journal.sql.texts import Spell, escaped, is_about_text, storable
from clicksend_reseller.journal.sql.transactions import Held
from clicksend_reseller.journal.validation import (
    check_moment,
    check_signature,
    check_transfer,
)

T = TypeVar("T")


class Decisions(Records):
    """The part of a journal by which a person decides."""

    async def renew(self, key: str, *, by: str, note: str, seen: JournalEntry | None = None) -> int:
        """Open another round of a key that was refused or refuted; one of several callers wins.

        Args:
            key: keeps its meaning; earlier rounds stay on record.
            by: who decides.
            note: why.
            seen: the entry that this is decided upon; where the newest round is another one, or
                in another state, somebody has decided meanwhile, and nothing is renewed.

        Returns:
            The number of the new round, which `transfer_credit` then sends.

        Raises:
            JournalError: its newest round is anything else, not what was seen, or somebody else
                has renewed it.
        """
        check_signature(by, note)
        return await self._write_decision(
            lambda connection, encode: transactions.renew(
                connection, key, encode(by), encode(note), seen
            )
        )

    async def resolve(
        self,
        key: str,
        applied: bool,  # noqa: FBT001 - a verdict reads as one
        *,
        by: str,
        note: str,
        seen: JournalEntry | None = None,
    ) -> JournalEntry:
        """Write down what a person found out about a transfer. Nothing is sent.

        Args:
            key: its newest round must be unknown, or sent more than 150 s ago; one that is
                intended can be withdrawn with `applied=False`. What is unknown is called not
                applied after these 150 s only, since it may still be on its way.
            applied: whether the credit arrived.
            by: who says so.
            note: how it was found out.
            seen: the entry that this is decided upon; where the newest round is another one, or
                in another state, nothing is written. A program that withdraws what is intended
                needs it: the round may have been sent meanwhile.

        Returns:
            The round, now confirmed or refuted.

        Raises:
            JournalError: its state is final, its attempt may be alive, it was never sent, or it
                is not what was seen.
        """
        check_signature(by, note)
        if not isinstance(applied, bool):
            raise TypeError(f"applied must be True or False, not {applied!r}")
        state = TransferState.CONFIRMED if applied else TransferState.REFUTED
        return await self._write_decision(
            lambda connection, encode: transactions.resolve(
                connection, key, state, encode(by), encode(note), seen=seen
            )
        )

    async def revise(self, transfer: Transfer, *, by: str, note: str) -> int:
        """Give a key that was never sent another amount: its round is withdrawn, the next begins.

        Args:
            transfer: the key on record, its client, and the values that hold from now on.
            by: who decides.
            note: why.

        Returns:
            The number of the new round, which `transfer_credit` then sends.

        Raises:
            JournalError: its newest round is not intended, or somebody else was quicker.
            KeyReusedError: it is on record for another client.
            ValueError: the transfer could never be sent.
        """
        check_transfer(transfer)
        check_signature(by, note)
        return await self._write_decision(
            lambda connection, encode: revise(connection, transfer, encode(by), encode(note))
        )

    async def hold(self, before: datetime | None = None, *, by: str, note: str) -> Held:
        """Stop everything that is intended: it becomes unknown, for a person to judge.

        Call it after restoring a backup or failing over to a replica that lagged, before any
        client runs: what the restored backup calls intended may have been sent since.

        It is not enough. Rows that the copy never had, and rejected ones that were renewed and
        paid since, cannot be held. Run no list from after the backup again, and renew nothing,
        before you have compared with the ClickSend dashboard.

        Args:
            before: only what was recorded earlier, with a time zone; by default everything. A
                round is left only if it was recorded between then and now by the database's
                clock: a time that is still to come was written by a clock that was wrong.
            by: who decides.
            note: why.

        Returns:
            How many rounds were stopped, an int; its `left` is how many are intended still.

        Raises:
            JournalError: the journal failed.
        """
        if before is not None:
            check_moment("before", before)
        check_signature(by, note)
        return await self._write_decision(
            lambda connection, encode: transactions.hold(
                connection, before, encode(by), encode(note)
            )
        )

    async def _write_decision(
        self, work: Callable[[AsyncConnection, Spell], Coroutine[Any, Any, T]]
    ) -> T:
        """Write a person's decision; where its texts do not fit the encoding, with them escaped."""
        try:
            return await self._database.write(lambda connection: work(connection, storable))
        except JournalError as error:
            if not is_about_text(error):
                raise
        return await self._database.write(lambda connection: work(connection, escaped))

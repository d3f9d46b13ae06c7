"""The revision of a round that was never sent: its amount rests on a balance that has changed."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from clicksend_reseller import JournalError, KeyReusedError, Transfer, TransferState
from clicksend_reseller.journal.sql import queries, transactions


async def revise(connection: AsyncConnection, transfer: Transfer, by: str, note: str) -> int:
    """Withdraw the newest round and open the next one with other values, in one transaction.

    A worker that has read the old round finds it refuted, so it sends neither the old amount nor
    the new one.

    Raises:
        JournalError: the newest round is not intended, or somebody else was quicker.
        KeyReusedError: it is for another client.
    """
    row = await transactions.newest(connection, transfer.idempotency_key)
    key = row.key
    if row.state != TransferState.INTENDED.value:
        raise JournalError(
            f"{key!r} is {row.state!r}, and only what is intended and was never sent is revised",
            permanent=True,
        )
    if row.client_user_id != transfer.client_user_id:
        raise KeyReusedError(
            f"the key {key!r} is on record for client {row.client_user_id}, not "
            f"{transfer.client_user_id}: use another key for another transfer",
            permanent=True,
        )
    withdrawn = queries.resolve(connection.dialect, row, TransferState.REFUTED, by=by, note=note)
    if not await transactions.changes_one(connection, withdrawn):
        raise JournalError(f"{key!r} has changed meanwhile: look at it again")
    number = int(row.round) + 1
    # Under the spelling on record: another one would be a key of its own.
    values = queries.values_of(transfer, key)
    try:
        await connection.execute(
            queries.insert_round(connection.dialect, row, number, by=by, note=note, values=values)
        )
    except IntegrityError as exc:
        raise JournalError(f"someone else has just opened round {number} of {key!r}") from exc
    return number

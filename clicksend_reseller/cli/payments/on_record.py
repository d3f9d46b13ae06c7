"""The journal's answers for the rows that are wanted; only read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clicksend_reseller import JournalEntry, Transfer, TransferState
from clicksend_reseller._wire.keys import normalized

if TYPE_CHECKING:
    from clicksend_reseller.journal import SQLJournal  # a database library

OPEN = frozenset({TransferState.SENT, TransferState.UNKNOWN})
MAY_HAVE_MOVED = OPEN | {TransferState.CONFIRMED}

_FEW = 500  # keys that are asked for one by one; more, and the whole journal is read once
_A_DAY = timedelta(hours=24)


async def entries_of(
    journal: SQLJournal | None, keys: Collection[str]
) -> Mapping[str, JournalEntry]:
    """Give the newest round of each key that is on record; None is a journal without any."""
    if journal is None:
        return {}
    if len(keys) <= _FEW:
        found = {key: await journal.get(key) for key in keys}
        return {key: entry for key, entry in found.items() if entry is not None}
    entries = await entries_where(journal, lambda entry: normalized(entry.key) in keys)
    return {normalized(key): entry for key, entry in entries.items()}


async def entries_where(
    journal: SQLJournal | None, wanted: Callable[[JournalEntry], bool]
) -> Mapping[str, JournalEntry]:
    """Read the journal once; give the newest round of each key that is wanted."""
    newest: dict[str, JournalEntry] = {}
    if journal is None:
        return newest
    async for entry in journal.entries():
        if wanted(entry) and (entry.key not in newest or newest[entry.key].round < entry.round):
            newest[entry.key] = entry
    return newest


async def twins(
    journal: SQLJournal | None, transfers: Collection[Transfer], realm: str
) -> list[JournalEntry]:
    """Find what was sent in the last day, the same to the same clients, under other keys."""
    if journal is None:
        return []
    keys = {transfer.idempotency_key for transfer in transfers}
    wanted = {(each.client_user_id, each.amount, each.currency) for each in transfers}
    return [
        entry
        async for entry in journal.entries(since=datetime.now(UTC) - _A_DAY)
        if (entry.client_user_id, entry.amount, entry.currency) in wanted
        and entry.key not in keys
        and entry.state in MAY_HAVE_MOVED
        and entry.realm == realm
    ]


def transfer_of(entry: JournalEntry) -> Transfer:
    """Give the transfer that a round is about."""
    return Transfer(
        idempotency_key=entry.key,
        client_user_id=entry.client_user_id,
        amount=entry.amount,
        currency=entry.currency,
    )


def is_for(entry: JournalEntry, transfer: Transfer, realm: str) -> bool:
    """Tell whether a key is on record for this very transfer."""
    on_record = (entry.client_user_id, entry.amount, entry.currency)
    wanted = (transfer.client_user_id, transfer.amount, transfer.currency)
    return on_record == wanted and entry.realm in {None, realm}

"""What does the journal say of the rows that are wanted? Read only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clicksend_reseller import JournalEntry, Transfer, TransferState
from clicksend_reseller._wire.keys import normalized

if TYPE_CHECKING:
    from clicksend_reseller.journal import SQLJournal  # a database library

__all__ = ["MAY_HAVE_MOVED", "OPEN", "entries_of", "is_for", "open_clients", "twins"]

OPEN = frozenset({TransferState.SENT, TransferState.UNKNOWN})
MAY_HAVE_MOVED = OPEN | {TransferState.CONFIRMED}

_FEW = 500  # keys that are asked for one by one; more, and the whole journal is read once
_A_DAY = timedelta(hours=24)


async def entries_of(journal: SQLJournal, keys: Collection[str]) -> Mapping[str, JournalEntry]:
    """Give the newest round of each key that is on record."""
    if len(keys) <= _FEW:
        found = {key: await journal.get(key) for key in keys}
        return {key: entry for key, entry in found.items() if entry is not None}
    entries = await entries_where(journal, lambda entry: normalized(entry.key) in keys)
    return {normalized(key): entry for key, entry in entries.items()}


async def entries_where(
    journal: SQLJournal, wanted: Callable[[JournalEntry], bool]
) -> Mapping[str, JournalEntry]:
    """Read the journal once; give the newest round of each key that is wanted."""
    newest: dict[str, JournalEntry] = {}
    async for entry in journal.entries():
        if wanted(entry) and (entry.key not in newest or newest[entry.key].round < entry.round):
            newest[entry.key] = entry
    return newest


async def open_clients(journal: SQLJournal, realm: str) -> Mapping[int, str]:
    """Give the clients that a transfer is open for, and its key."""
    return {
        entry.client_user_id: entry.key
        async for entry in journal.unresolved(older_than=0.0)
        if entry.realm in {None, realm}
    }


async def twins(
    journal: SQLJournal, transfers: Collection[Transfer], realm: str
) -> list[JournalEntry]:
    """Find what was sent in the last day, the same to the same clients, under other keys."""
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


def is_for(entry: JournalEntry, transfer: Transfer, realm: str) -> bool:
    """Tell whether a key is on record for this very transfer."""
    on_record = (entry.client_user_id, entry.amount, entry.currency)
    wanted = (transfer.client_user_id, transfer.amount, transfer.currency)
    return on_record == wanted and entry.realm in {None, realm}

"""What each step does inside its transaction: a function for each, on an open connection."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import attrs
from sqlalchemy import CursorResult, Row, Select, Update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from clicksend_reseller import (
    JournalEntry,
    JournalError,
    KeyReusedError,
    Transfer,
    TransferState,
)
from clicksend_reseller._wire.keys import normalized, spellings
from clicksend_reseller._wire.limits import RESOLVABLE_AFTER
from clicksend_reseller.journal.sql import queries
from clicksend_reseller.journal.sql.schema import to_entry
from clicksend_reseller.journal.sql.texts import Spell
from clicksend_reseller.journal.states import OPEN, sources

__all__ = [
    "Held",
    "Settlement",
    "changes_one",
    "enqueue",
    "hold",
    "newest_entry",
    "note_balance",
    "read",
    "record",
    "record_one",
    "renew",
    "resolve",
    "rounds_that_count",
]

_logger = logging.getLogger("clicksend_reseller.journal")

LONGEST_TEXT = 2000
_TEXTS = ("response_code", "response_msg")
_MOVED = frozenset({TransferState.CONFIRMED, *OPEN})


async def read(own: AsyncConnection, question: Select[Any]) -> Sequence[Row[Any]]:
    """Give all rows."""
    result: CursorResult[Any] = await own.execute(question)
    return result.all()


async def changes_one(own: AsyncConnection, statement: Update) -> bool:
    """Change one row; False where its condition found none."""
    return (await own.execute(statement)).rowcount == 1


async def record(
    own: AsyncConnection, transfers: Sequence[Transfer], *, realm: str | None, queued: bool = False
) -> list[JournalEntry]:
    """Record what is new, and give the newest round of each."""
    keys = await _keys_of(own, [transfer.idempotency_key for transfer in transfers])
    insert = queries.insert_first_rounds(own.dialect, realm=realm, queued=queued)
    await own.execute(insert, list(map(queries.values_of, transfers, keys)))
    rows = await read(own, queries.rounds_of_all(set(keys)))
    newest = {row.key: row for row in rows}
    return [to_entry(newest[key]) for key in keys]


async def record_one(
    own: AsyncConnection, transfer: Transfer, *, realm: str | None, queued: bool = False
) -> JournalEntry:
    """Record a transfer if it is new, and give its newest round."""
    [entry] = await record(own, [transfer], realm=realm, queued=queued)
    return entry


async def newest_entry(own: AsyncConnection, key: str) -> JournalEntry | None:
    """Give the newest round of a key, None where it is not on record."""
    rows = await read(own, queries.rounds_of_all(spellings(key)))
    rounds = rounds_that_count(rows, key, moved_first=True)
    return to_entry(rounds[-1]) if rounds else None


async def _keys_of(own: AsyncConnection, given: Sequence[str]) -> Sequence[str]:
    """Give the spelling of each key that is on record, or the one that it is recorded under."""
    several = {each for key in given if not key.isascii() for each in spellings(key)}
    if not several:
        return given  # a key in ASCII has one spelling
    rows = await read(own, queries.rounds_of_all(several))
    found = [rounds_that_count(rows, key, moved_first=True) for key in given]
    return [
        rounds[-1].key if rounds else normalized(key)
        for key, rounds in zip(given, found, strict=True)
    ]


def rounds_that_count(
    rows: Sequence[Row[Any]], key: str, *, moved_first: bool = False
) -> list[Row[Any]]:
    """Choose the rounds of one spelling of a key, oldest first.

    Args:
        rows: all rounds of all its spellings, oldest first.
        key: as it was given; a person means this very spelling, where it is on record.
        moved_first: rather one under which money may have moved: it is not paid again.
    """
    rounds: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        rounds[row.key].append(row)
    found = [rounds[each] for each in spellings(key) if each in rounds]
    if moved_first:
        found.sort(key=lambda rounds: rounds[-1].state not in _MOVED)
    return found[0] if found else []


async def note_balance(own: AsyncConnection, key: str, balance: Decimal) -> bool:
    """Keep a balance with a round that is intended."""
    [on_record] = await _keys_of(own, [key])
    return await changes_one(own, queries.note_balance(on_record, balance))


async def enqueue(own: AsyncConnection, transfer: Transfer) -> JournalEntry:
    """Record for somebody else to pay, even what a direct call has recorded and not sent.

    Raises:
        KeyReusedError: the key is on record for other values.
    """
    entry = await record_one(own, transfer, realm=None, queued=True)
    on_record = (entry.client_user_id, entry.amount, entry.currency)
    if on_record != (transfer.client_user_id, transfer.amount, transfer.currency):
        raise _reused(entry, transfer)
    if not entry.queued and await changes_one(own, queries.queue(entry.key)):
        entry = await record_one(own, transfer, realm=None, queued=True)
    return entry


async def renew(
    own: AsyncConnection, key: str, by: str, note: str, seen: JournalEntry | None
) -> int:
    """Insert the next round.

    Raises:
        JournalError: the newest one is not refused, not what was seen, or somebody else was
            quicker.
    """
    row = await _newest_as_seen(own, key, seen)
    if row.state not in sources("renew"):
        raise JournalError(
            f"the newest round of {key!r} is {row.state!r}, and only one that was rejected "
            "or refuted is renewed",
            permanent=True,
        )
    number = int(row.round) + 1
    try:
        await own.execute(queries.insert_round(own.dialect, row, number, by=by, note=note))
    except IntegrityError as exc:
        raise JournalError(
            f"someone else has just opened round {number} of {key!r}", permanent=True
        ) from exc
    return number


async def resolve(
    own: AsyncConnection,
    key: str,
    state: TransferState,
    by: str,
    note: str,
    *,
    seen: JournalEntry | None,
) -> JournalEntry:
    """Write a person's decision into the newest round.

    Raises:
        JournalError: it is final, may be under way, was never sent, or is not what was seen.
    """
    row = await _newest_as_seen(own, key, seen)
    if row.state not in sources("resolve", state):
        raise JournalError(_why_not(row), permanent=True)
    if row.state == TransferState.SENT.value or state is TransferState.REFUTED:
        await _check_age(own, row)  # what was never sent has no age
    if not await changes_one(own, queries.resolve(own.dialect, row, state, by=by, note=note)):
        raise JournalError(f"{key!r} has changed meanwhile: look at it again")
    return to_entry(await newest(own, key))


class Held(int):
    """How many rounds a hold has stopped, as an int.

    Attributes:
        left: how many are intended still.
    """

    left: int

    def __new__(cls, held: int, *, left: int) -> Self:
        """Keep both numbers."""
        number = super().__new__(cls, held)
        number.left = left
        return number


async def hold(own: AsyncConnection, before: datetime | None, by: str, note: str) -> Held:
    """Stop what is intended, and count what is left."""
    statement = queries.hold(own.dialect, before, by=by, note=note)
    held = (await own.execute(statement)).rowcount
    [answer] = await read(own, queries.count_intended())
    return Held(held, left=answer[0])


@attrs.define(kw_only=True)
class Settlement:
    """The end of an attempt, on its way into the table.

    Attributes:
        key: of the transfer.
        round: its number.
        attempt: the one that claimed it.
        state: what became of it.
        answer: what the API said.
        is_repeated: an earlier try may have written it: the answer to its commit was lost.
    """

    key: str
    round: int
    attempt: str
    state: TransferState
    answer: Mapping[str, Any]
    is_repeated: bool = False

    def spelled(self, spell: Spell) -> Self:
        """Give the same with the answer's texts shortened, and in a form that a database takes."""
        answer = dict(self.answer)
        for name in _TEXTS:
            if answer[name]:
                answer[name] = spell(answer[name][:LONGEST_TEXT])
        return attrs.evolve(self, answer=answer)

    async def write(self, own: AsyncConnection) -> bool:
        """Write it, or keep it beside the decision that came before it."""
        statement = queries.settle(
            own.dialect,
            self.key,
            self.round,
            attempt=self.attempt,
            state=self.state,
            answer=self.answer,
        )
        if await changes_one(own, statement):
            return True
        rows = await read(own, queries.rounds_of(self.key))
        row = next((row for row in rows if row.round == self.round), None)
        if row is None or row.attempt != self.attempt:
            return False
        if self.is_repeated and row.state == self.state.value:
            return True
        await self._keep(own, row)
        return False

    async def _keep(self, own: AsyncConnection, row: Row[Any]) -> None:
        _logger.error(
            "the transfer of %d %s to client %d with key %r was resolved as %r by %r, "
            "and its answer says %r",
            *(row.amount, row.currency, row.client_user_id),
            *(row.key, row.state, row.by, self.state.value),
            extra={
                "clicksend_operation": "transfer_credit",
                "clicksend_client_user_id": row.client_user_id,
                "clicksend_amount": row.amount,
                "clicksend_currency": row.currency,
                "clicksend_idempotency_key": row.key,
            },
        )
        said = ", ".join(f"{name} {value}" for name, value in self.answer.items() if value)
        words = f"the answer came after the decision and says {self.state.value!r} ({said})"
        await own.execute(queries.annotate(row.key, row.round, row.attempt, words))


async def newest(own: AsyncConnection, key: str) -> Row[Any]:
    rows = rounds_that_count(await read(own, queries.rounds_of_all(spellings(key))), key)
    if not rows:
        raise JournalError(f"no transfer with key {key!r} is on record", permanent=True)
    return rows[-1]


async def _newest_as_seen(own: AsyncConnection, key: str, seen: JournalEntry | None) -> Row[Any]:
    """Give the newest round, if nobody has changed it since it was looked at."""
    row = await newest(own, key)
    if seen is not None and (row.round, row.state) != (seen.round, seen.state):
        raise JournalError(
            f"{key!r} has changed meanwhile: its newest round was {seen.round}, "
            f"{str(seen.state)!r}, and is {row.round}, {row.state!r}: look at it again",
            permanent=True,
        )
    return row


async def _check_age(own: AsyncConnection, row: Row[Any]) -> None:
    [answer] = await read(own, queries.is_younger(own.dialect, row, RESOLVABLE_AFTER))
    if answer[0]:
        raise JournalError(
            f"the attempt of {row.key!r} may still be under way: it can be judged "
            f"{RESOLVABLE_AFTER:g} s after it was sent, at {row.sent_at:%H:%M:%S} UTC"
        )


def _why_not(row: Row[Any]) -> str:
    if row.state == TransferState.INTENDED.value:
        return (
            f"{row.key!r} is intended, so it was never sent and cannot have been applied; "
            "applied=False withdraws it"
        )
    return f"{row.key!r} is {row.state!r}, which is final"


def _reused(entry: JournalEntry, transfer: Transfer) -> KeyReusedError:
    return KeyReusedError(
        f"the key {entry.key!r} is on record for {entry.amount} {entry.currency} to client "
        f"{entry.client_user_id}, not for {transfer.amount} {transfer.currency} to client "
        f"{transfer.client_user_id}: use another key for another transfer",
        permanent=True,
    )

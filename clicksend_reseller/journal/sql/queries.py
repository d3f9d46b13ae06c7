"""The SQL statements of a journal; its safety rests on the conditions in their WHEREs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    FromClause,
    Insert,
    Row,
    Select,
    Update,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import DateTime, String

from clicksend_reseller import Transfer, TransferState
from clicksend_reseller.journal.sql.schema import UTCDateTime, table
from clicksend_reseller.journal.states import FINAL, sources

# Key, round and attempt.
Claim: TypeAlias = tuple[str, int, str]

c: ReadOnlyColumnCollection[str, Column[Any]] = table.columns


def now(dialect: Dialect) -> Any:  # noqa: ANN401 - a datetime or an SQL expression
    """Give this moment by the one clock that all users of the table share."""
    if dialect.name == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True))
    return datetime.now(UTC)


# --- recording


def insert_first_rounds(dialect: Dialect, *, realm: str | None, queued: bool) -> Insert:
    """Insert the first rounds of transfers; a key that is on record is left as it is."""
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(
        round=1,
        realm=realm,
        queued=queued,
        state=TransferState.INTENDED.value,
        created_at=now(dialect),
    )
    return statement.on_conflict_do_nothing(index_elements=[c.key, c.round])


def values_of(transfer: Transfer, key: str) -> dict[str, Any]:
    """Give the values of one row to insert, under one spelling of its key."""
    return {
        "key": key,
        "client_user_id": transfer.client_user_id,
        "amount": transfer.amount,
        "currency": transfer.currency,
    }


def queue(key: str) -> Update:
    """Put a round that was recorded by a direct call in the queue."""
    intended = c.state == TransferState.INTENDED.value
    return update(table).where(c.key == key, intended, ~c.queued).values(queued=True)


def note_balance(key: str, balance: Decimal) -> Update:
    """Keep a client's balance with a round that was not sent."""
    intended = c.state == TransferState.INTENDED.value
    return update(table).where(c.key == key, intended).values(balance_before=balance)


def insert_round(
    dialect: Dialect,
    row: Row[Any],
    number: int,
    *,
    by: str,
    note: str,
    values: Mapping[str, Any] | None = None,
) -> Insert:
    """Insert the next round of a key; the primary key lets one caller win."""
    statement = table.insert().values(
        key=row.key,
        round=number,
        realm=row.realm,
        queued=row.queued,
        client_user_id=row.client_user_id,
        amount=row.amount,
        currency=row.currency,
        state=TransferState.INTENDED.value,
        created_at=now(dialect),
        by=by,
        note=note,
    )
    return statement.values(**values) if values else statement


# --- sending


def claim(
    dialect: Dialect,
    key: str,
    number: int,
    *,
    realm: str,
    attempt: str,
    one_open: bool,
    last: Claim | None = None,
) -> Update:
    """Turn `intended` into `sent`, which changes a row for one caller only.

    Args:
        dialect: of the database.
        key: of the transfer.
        number: of its round.
        realm: where it is sent.
        attempt: that sends it.
        one_open: no other transfer to its client may be open.
        last: an earlier claim, without which the database is an older copy and nothing is sent.
    """
    client = literal(f"{realm}#") + cast(c.client_user_id, String)
    earlier = [] if last is None else [exists(find_claim(last, table.alias()))]
    return (
        update(table)
        .where(
            c.key == key,
            c.round == number,
            _in(sources("claim")),
            or_(c.realm.is_(None), c.realm == realm),
            *earlier,
        )
        .values(
            state=TransferState.SENT.value,
            attempt=attempt,
            sent_at=now(dialect),
            realm=realm,
            open_client=client if one_open else None,
        )
    )


def find_claim(claim: Claim, rows: FromClause = table) -> Select[Any]:
    """Find a claim on record: nothing takes it back, whatever became of it."""
    key, number, attempt = claim
    mine = and_(rows.c.key == key, rows.c.round == number, rows.c.attempt == attempt)
    return select(rows.c.key).where(mine)


def in_the_way(key: str, number: int, *, realm: str) -> Select[Any]:
    """Find the key whose open transfer keeps a round from being claimed."""
    mine = select(c.client_user_id).where(c.key == key, c.round == number).scalar_subquery()
    client = literal(f"{realm}#") + cast(mine, String)
    return select(c.key).where(c.open_client == client)


def settle(
    dialect: Dialect,
    key: str,
    number: int,
    *,
    attempt: str,
    state: TransferState,
    answer: Mapping[str, Any],
) -> Update:
    """Record the end of the attempt that claimed a round, or withdraw one that none did."""
    mine = and_(_in(sources("settle", state)), c.attempt == attempt)
    unclaimed = _in(sources("withdraw", state))
    return (
        update(table)
        .where(c.key == key, c.round == number, or_(mine, unclaimed))
        .values(settled_at=now(dialect), **_with_state(state), **answer)
    )


def annotate(key: str, number: int, attempt: str, text: str) -> Update:
    """Add to the note an answer that came after a person had decided."""
    note = case((func.coalesce(c.note, "") == "", text), else_=c.note + f"; {text}")
    return (
        update(table).where(c.key == key, c.round == number, c.attempt == attempt).values(note=note)
    )


# --- a person's decisions


def resolve(
    dialect: Dialect,
    row: Row[Any],
    state: TransferState,
    *,
    by: str,
    note: str,
) -> Update:
    """Write down what a person found, unless the row has changed since it was read."""
    return (
        update(table)
        .where(c.key == row.key, c.round == row.round, c.state == row.state)
        .values(settled_at=now(dialect), by=by, note=note, **_with_state(state))
    )


def hold(dialect: Dialect, before: datetime | None, *, by: str, note: str) -> Update:
    """Stop what is intended: after a restored backup nobody knows what was sent."""
    wanted: ColumnElement[bool] = literal(value=True)
    if before is not None:
        # A row from the future was written by a clock that was ahead, and may be as old as any.
        wanted = or_(c.created_at < before, c.created_at > now(dialect))
    return (
        update(table)
        .where(_in(sources("hold")), wanted)
        .values(state=TransferState.UNKNOWN.value, settled_at=now(dialect), by=by, note=note)
    )


def count_intended() -> Select[Any]:
    """Ask how many rounds may still be sent."""
    return select(func.count()).select_from(table).where(_in(sources("claim")))


# --- reading


def rounds_of(key: str) -> Select[Any]:
    """All rounds of a key, oldest first."""
    return select(table).where(c.key == key).order_by(c.round)


def rounds_of_all(keys: Collection[str]) -> Select[Any]:
    """All rounds of several keys, oldest first."""
    return select(table).where(c.key.in_(keys)).order_by(c.key, c.round)


def is_younger(dialect: Dialect, row: Row[Any], seconds: float) -> Select[Any]:
    """Ask whether a round was sent less than so many seconds ago."""
    limit = now(dialect) - timedelta(seconds=seconds)
    young = and_(c.sent_at.is_not(None), c.sent_at > limit)
    return select(young).where(c.key == row.key, c.round == row.round)


def page(condition: ColumnElement[bool], after: Sequence[Any] | None, size: int) -> Select[Any]:
    """Some rows that meet a condition, oldest first, after the last one that was read."""
    order = (c.created_at, c.key, c.round)
    statement = select(table).where(condition).order_by(*order).limit(size)
    if after is None:
        return statement
    created, key, number = after
    position = tuple_(literal(created, UTCDateTime), literal(key), literal(number))
    return statement.where(tuple_(*order) > position)


def is_pending() -> ColumnElement[bool]:
    """Intended, and queued for any worker."""
    return and_(_in(sources("claim")), c.queued)


def is_unresolved(dialect: Dialect, older_than: float) -> ColumnElement[bool]:
    """Unknown, or sent so long ago that no attempt can be alive, or nobody knows when.

    A time that is still to come was written by a clock that was ahead.
    """
    limit = now(dialect) - timedelta(seconds=older_than)
    old = or_(c.sent_at.is_(None), c.sent_at <= limit, c.sent_at > now(dialect))
    forgotten = and_(c.state == TransferState.SENT.value, old)
    return or_(c.state == TransferState.UNKNOWN.value, forgotten)


def matching(
    *, state: TransferState | None, client_user_id: int | None, since: datetime | None
) -> ColumnElement[bool]:
    """The condition of a filter; None is no filter."""
    wanted: list[ColumnElement[bool]] = [literal(value=True)]
    if state is not None:
        wanted.append(c.state == state.value)
    if client_user_id is not None:
        wanted.append(c.client_user_id == client_user_id)
    if since is not None:
        wanted.append(c.created_at >= since)
    return and_(*wanted)


@cache
def _in(states: frozenset[TransferState]) -> ColumnElement[bool]:
    return c.state.in_(sorted(state.value for state in states))


def _with_state(state: TransferState) -> dict[str, Any]:
    released = {"open_client": None} if state in FINAL else {}
    return {"state": state.value, **released}

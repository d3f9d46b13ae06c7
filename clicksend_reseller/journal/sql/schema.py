"""The journal's one table, and how its rows become entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import attrs
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from clicksend_reseller import JournalEntry, TransferState


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no offset, so it is put back on reading."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give an aware value."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """Money as text, since SQLite's numbers are floats."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Write all digits."""
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Read all digits."""
        return None if value is None else Decimal(value)


_STATES = frozenset(state.value for state in TransferState)
_WORDS = ", ".join(f"'{state.value}'" for state in TransferState)

metadata: MetaData = MetaData()

table: Table = Table(
    "clicksend_transfer",
    metadata,
    Column("key", String(255), nullable=False),
    Column("round", Integer, nullable=False, server_default=text("1")),
    Column("realm", Text),
    Column("queued", Boolean, nullable=False, server_default=false()),
    Column("client_user_id", Integer, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(9), nullable=False),
    Column("attempt", String(255)),
    # Realm and client: set by the claim only, cleared when the round becomes final.
    Column("open_client", Text),
    Column("balance_before", ExactDecimal),
    Column("balance_after", ExactDecimal),
    Column("status_code", Integer),
    Column("response_code", Text),
    Column("response_msg", Text),
    Column("created_at", UTCDateTime, nullable=False),
    Column("sent_at", UTCDateTime),
    Column("settled_at", UTCDateTime),
    Column("by", Text),
    Column("note", Text),
    PrimaryKeyConstraint("key", "round", name="clicksend_transfer_pkey"),
    UniqueConstraint("open_client", name="clicksend_transfer_open_client_key"),
    CheckConstraint(f"state IN ({_WORDS})", name="clicksend_transfer_state_check"),
    Index("clicksend_transfer_state", "state", "sent_at"),
    Index("clicksend_transfer_created", "created_at", "key", "round"),
    Index("clicksend_transfer_client", "client_user_id", "created_at"),
)

COLUMNS = tuple(column.name for column in table.columns)

# A field of the entry that is no column is made of several rows.
_FIELDS = tuple(field.name for field in attrs.fields(JournalEntry) if field.name in COLUMNS)
_values_of = attrgetter(*_FIELDS)


def to_entry(row: Row[Any]) -> JournalEntry:
    """Make an entry of a row; an unknown state stays a string, and the client refuses it."""
    values: dict[str, Any] = dict(zip(_FIELDS, _values_of(row), strict=True))
    if values["state"] in _STATES:
        values["state"] = TransferState(values["state"])
    return JournalEntry(**values)


def newest_with_rounds(rows: Sequence[Row[Any]]) -> JournalEntry | None:
    """Make the entry of a key from all its rows, oldest round first."""
    if not rows:
        return None
    rounds = tuple(to_entry(row) for row in rows)
    return attrs.evolve(rounds[-1], rounds=rounds)

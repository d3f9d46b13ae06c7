"""The columns of rows: models as flat records, money as a string, no secret anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from clicksend_reseller import Account, JournalEntry, TransferState
from clicksend_reseller.cli.output.formats import Record, Value

if TYPE_CHECKING:
    from clicksend_reseller.journal import Reconciliation

_NESTED = frozenset({"currency", "subaccount", "extra"})
_PLAIN = tuple(field.name for field in attrs.fields(Account) if field.name not in _NESTED)

USUAL_ACCOUNT_COLUMNS = (
    "user_id",
    "username",
    "balance",
    "currency",
    "active",
    "banned",
    "account_name",
)
ACCOUNT_COLUMNS = (*_PLAIN[:3], "currency", *_PLAIN[3:])


ENTRY_COLUMNS = tuple(field.name for field in attrs.fields(JournalEntry) if field.name != "rounds")
USUAL_ENTRY_COLUMNS = (
    "key",
    "round",
    "state",
    "client_user_id",
    "amount",
    "currency",
    "sent_at",
    "response_msg",
    "note",
)
RECONCILED_COLUMNS = (
    "key",
    "verdict",
    "client_user_id",
    "amount",
    "currency",
    "before",
    "after",
    "sent_at",
    "read_at",
    "reasons",
)


def entry_record(entry: JournalEntry) -> Record:
    """Give the columns of one round; an unknown one is not settled."""
    record = {name: _flat(getattr(entry, name)) for name in ENTRY_COLUMNS}
    is_unknown = entry.state is TransferState.UNKNOWN
    return record | {"settled_at": ""} if is_unknown else record


def reconciled_record(found: Reconciliation) -> Record:
    """Give the columns of a verdict."""
    return {
        "key": found.idempotency_key,
        "verdict": found.verdict.value,
        "client_user_id": found.client_user_id,
        "amount": found.amount,
        "currency": found.currency,
        "before": money(found.before),
        "after": money(found.after),
        "sent_at": _flat(found.sent_at),
        "read_at": _flat(found.read_at),
        "reasons": "; ".join(found.reasons),
    }


# Older accounts lack it (D), and a hundred nulls at the top keep a reader from typing a flag.
EXPORTED_ACCOUNT_COLUMNS = tuple(name for name in ACCOUNT_COLUMNS if name != "old_dashboard")

_AMOUNTS = frozenset(field.name for field in attrs.fields(Account) if "Decimal" in str(field.type))
_TEXTS = _AMOUNTS | {
    "currency",
    *(field.name for field in attrs.fields(Account) if "str" in str(field.type)),
}


def account_record(account: Account) -> Record:
    """Give an account's columns; the subaccount, which holds a key, is none of them."""
    record: dict[str, Value] = {name: _flat(getattr(account, name)) for name in _PLAIN}
    record["currency"] = account.currency_code
    return record


def exported_record(account: Account) -> Record:
    """Give an account's columns for a reader that takes each column's type from its first rows.

    A text or an amount that is missing is empty, and an amount has a decimal point, so that no
    later row is of another type.
    """
    record = account_record(account)
    return {
        name: _typed(name, value) if name in _TEXTS else value for name, value in record.items()
    }


def _typed(name: str, value: Value) -> Value:
    if value is None:
        return ""
    is_whole = name in _AMOUNTS and isinstance(value, str) and "." not in value
    return f"{value}.0" if is_whole else value


def moment(when: datetime | None) -> str:
    """Give a time in UTC to the second."""
    return "" if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(value: Decimal | None) -> str | None:
    """Give money as it came, never through a float."""
    return None if value is None else format(value, "f")


def _flat(value: str | int | Decimal | datetime | None) -> Value:
    match value:
        case Decimal():
            return money(value)
        case datetime():
            return moment(value)
        case TransferState():
            return value.value
        case _:
            return value

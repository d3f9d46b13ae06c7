"""Which columns does a row have? Models as flat records: money as a string, no secret anywhere."""

from __future__ import annotations

from decimal import Decimal

import attrs

from clicksend_reseller import Account
from clicksend_reseller.cli.formats import Record, Value

__all__ = ["ACCOUNT_COLUMNS", "USUAL_ACCOUNT_COLUMNS", "account_record", "money"]

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


def account_record(account: Account) -> Record:
    """Give an account's columns; the subaccount, which holds a key, is none of them."""
    record: dict[str, Value] = {name: _flat(getattr(account, name)) for name in _PLAIN}
    record["currency"] = account.currency_code
    return record


def money(value: Decimal | None) -> str | None:
    """Give money as it came, never through a float."""
    return None if value is None else format(value, "f")


def _flat(value: str | int | Decimal | None) -> Value:
    return money(value) if isinstance(value, Decimal) else value

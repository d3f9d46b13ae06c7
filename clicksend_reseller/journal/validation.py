"""Validation of transfers before they are recorded: a worker pays them without another look."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from clicksend_reseller import Transfer
from clicksend_reseller._wire.keys import fault_of_key
from clicksend_reseller._wire.limits import CURRENCY, MAX_INT, is_positive


def check_transfer(transfer: object) -> None:
    """Refuse a transfer that could never be sent.

    Raises:
        TypeError: it is no Transfer.
        ValueError: a value makes no sense.
    """
    if not isinstance(transfer, Transfer):
        raise TypeError(f"a transfer must be a Transfer, not {transfer!r:.80}")
    if fault := fault_of(transfer):
        raise ValueError(fault)


def fault_of(transfer: Transfer) -> str:
    """Say what is wrong with a transfer; empty where nothing is."""
    currency: object = transfer.currency
    if fault := fault_of_key(transfer.idempotency_key):
        return f"idempotency_key {fault}"
    if not is_positive(transfer.client_user_id):
        return f"client_user_id must be from 1 to {MAX_INT}, not {transfer.client_user_id!r}"
    if not is_positive(transfer.amount):
        return f"amount must be from 1 to {MAX_INT} whole units, not {transfer.amount!r}"
    if not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
        return f'currency must be three capital letters such as "AUD", not {currency!r}'
    return ""


def check_signature(by: object, note: object) -> None:
    """Refuse a decision without a name."""
    if not isinstance(by, str) or not isinstance(note, str):
        raise TypeError(f"by and note must be str, not {by!r} and {note!r:.80}")
    if not by.strip():
        raise ValueError("by must say who decides, not be empty")


def check_balance(balance: object) -> None:
    """Refuse what is no exact amount of money."""
    if not isinstance(balance, Decimal):
        raise TypeError(f"a balance must be a Decimal, not {balance!r}")
    if not balance.is_finite():
        raise ValueError(f"a balance must be finite, not {balance!r}")


def check_moment(name: str, moment: object) -> None:
    """Refuse a time without a time zone."""
    if not isinstance(moment, datetime):
        raise TypeError(f"{name} must be a datetime, not {moment!r}")
    if moment.tzinfo is None:
        raise ValueError(f"{name} must have a time zone, such as datetime.now(UTC)")

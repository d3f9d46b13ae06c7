"""Accounts as the wire has them, and their parsing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import attrs

from clicksend_reseller._wire.limits import MAX_INT, is_positive
from clicksend_reseller.sandbox.service.money import money

# Short name: sign of the unit, sign of the hundredth, long name.
_CURRENCIES = {
    "AUD": ("$", "c", "Australian Dollars"),
    "CAD": ("$", "¢", "Canadian Dollars"),
    "EUR": ("€", "c", "Euros"),
    "GBP": ("£", "p", "British Pounds"),
    "NZD": ("$", "c", "New Zealand Dollars"),
    "SGD": ("$", "c", "Singapore Dollars"),
    "USD": ("$", "¢", "US Dollars"),
}

_EVERY_ROW: Mapping[str, Any] = {
    "active": 1,
    "banned": 0,
    "reply_to": "originalemail",
    "delivery_to": None,
    "user_first_name": "Ann",
    "user_last_name": "Example",
    "account": 0,
    "country": "AU",
    "auto_recharge": 0,
    "auto_recharge_amount": "20.00",
    "low_credit_amount": "0.00",
    "setting_unicode_sms": 0,
    "setting_email_sms_subject": 0,
    "setting_fix_sender_id": 0,
    "setting_sms_message_char_limit": 6,
}
_NEW: Mapping[str, Any] = {
    "old_dashboard": 0,
    "balance_commission": "0.000000",
    "timezone": "Australia/Melbourne",
}
_OLD: Mapping[str, Any] = {"setting_beta": 0, "unsubscribe_mail": 0}

_PHONES = ("user_phone", "account_billing_mobile")


@attrs.frozen(kw_only=True)
class Client:
    """One client of the reseller.

    Attributes:
        currency: what the balance is counted in, whatever ``_currency`` shows.
        row: the other fields, as they leave.
    """

    user_id: int
    balance: Decimal
    currency: str
    row: Mapping[str, Any] = attrs.field(repr=False)


def read_client(fields: Mapping[str, Any], *, next_id: int, currency: str = "AUD") -> Client:
    """Make a client from any of the wire's fields and ``currency``; the rest is filled in.

    Args:
        fields: what is known of the account.
        next_id: the ``user_id`` of a client that brings none.
        currency: that of a client that names none.

    Raises:
        ValueError: an impossible id, balance or currency.
    """
    given = dict(fields)
    user_id = _user_id(given.pop("user_id", next_id))
    code = given.pop("currency", None) or _code(given.get("_currency")) or currency
    if not isinstance(code, str):
        raise ValueError(f"account {user_id}: a currency is a string, not {code!r}")  # noqa: TRY004 - as the others
    try:
        balance = money(given.pop("balance", 0))
    except (TypeError, ValueError) as exc:
        raise ValueError(f"account {user_id}: {exc}") from exc
    row = {**_filled_in(user_id, code, is_old="setting_beta" in given), **given}
    return Client(user_id=user_id, balance=balance, currency=code, row=row)


def account_json(client: Client, balance: Decimal) -> dict[str, Any]:
    """Give the account object as the wire has it."""
    return {"user_id": client.user_id, "balance": str(balance), **client.row}


def in_old_style(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give the row as accounts of earlier years have it."""
    return {name: value for name, value in row.items() if name not in _NEW} | dict(_OLD)


def with_int_phones(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give the row with its phone numbers as numbers."""
    return dict(row) | {name: _as_int(row[name]) for name in _PHONES if name in row}


def _as_int(phone: object) -> object:
    digits = str(phone).removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdigit() else phone


def _filled_in(user_id: int, currency: str, *, is_old: bool) -> dict[str, Any]:
    email, phone = f"owner{user_id}@client.test", f"+6120000{user_id % 10_000:04}"
    return {
        "username": f"client{user_id}",
        "user_email": email,
        "user_phone": phone,
        "account_name": f"Client {user_id}",
        "account_billing_email": email,
        "account_billing_mobile": phone,
        "default_country_sms": "AU",
        **_EVERY_ROW,
        **(_OLD if is_old else _NEW),
        "_currency": currency_object(currency),
        "_subaccount": _subaccount(user_id, email),
    }


def currency_object(code: str) -> dict[str, Any]:
    """Give the ``_currency`` of an account."""
    unit, hundredth, name = _CURRENCIES.get(code, ("", "", code))
    return {
        "currency_name_short": code,
        "currency_prefix_d": unit,
        "currency_prefix_c": hundredth,
        "currency_name_long": name,
    }


_RIGHTS: Mapping[str, Any] = {
    **dict.fromkeys(
        (f"access_{name}" for name in ("users", "billing", "reporting", "settings", "sms", "mms")),
        1,
    ),
    **dict.fromkeys(
        (f"access_{name}" for name in ("contacts", "email", "voice", "fax", "post", "reseller")),
        0,
    ),
}


def _subaccount(user_id: int, email: str) -> dict[str, Any]:
    return {
        "subaccount_id": user_id + 10_000,
        "api_username": f"client{user_id}",
        "email": email,
        "phone_number": f"+6120001{user_id % 10_000:04}",
        "first_name": "Ann",
        "last_name": "Example",
        "api_key": f"00000000-0000-0000-0000-{user_id:012}",
        **_RIGHTS,
        "notes": None,
        "share_campaigns": 0,
    }


def _user_id(value: object) -> int:
    if is_positive(value):
        return value
    raise ValueError(f"user_id must be an int from 1 to {MAX_INT}, not {value!r}")


def _code(currency: object) -> object:
    content = as_object(currency)
    return content.get("currency_name_short") if content else None


def as_object(content: object) -> dict[str, Any] | None:
    """Give what came out of JSON if it is an object; None for anything else."""
    # The cast is for the type checkers: keys of a JSON object are strings.
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None

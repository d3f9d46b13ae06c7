"""Validation of request bodies, field by field."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import attrs

from clicksend_reseller import AccountFields
from clicksend_reseller._wire.limits import is_positive
from clicksend_reseller.sandbox.service.accounts import as_object
from clicksend_reseller.sandbox.service.messages import RefusalError, bad_fields
from clicksend_reseller.sandbox.service.money import money

if TYPE_CHECKING:
    from collections.abc import Container

FIELDS = tuple(field.name for field in attrs.fields(AccountFields))

# Country: calling code and trunk prefix, for the few that the tests of a reseller name.
_CALLING_CODES = {"AU": ("61", "0"), "US": ("1", "1"), "GB": ("44", "0"), "NZ": ("64", "0")}


@attrs.frozen(kw_only=True)
class TransferForm:
    """A transfer as it was asked for; ``amount`` is the wire's ``balance``."""

    client_user_id: int
    amount: Decimal
    currency: str


def read_json(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else."""
    try:
        content: Any = json.loads(body, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError):
        return None
    return as_object(content)


def account_form(body: bytes, rule: Literal["none", "strong"]) -> dict[str, str]:
    """Read the eight fields of an account, all of them required.

    Raises:
        RefusalError: with a message for each field that is missing or impossible.
    """
    given = read_json(body) or {}
    errors = {
        name: f"{_label(name)} field is required." for name in FIELDS if _is_blank(given, name)
    }
    if "country" not in errors and not _is_country(given["country"]):
        errors["country"] = "Country must be a two-letter code."
    if rule == "strong" and "password" not in errors and _is_weak(given["password"]):
        errors |= {"password": "It needs 8 characters with a letter and a digit."}
    if errors:
        raise RefusalError(bad_fields(errors))
    return {name: given[name] for name in FIELDS}


def transfer_form(
    body: bytes, *, currencies: Container[str], negative_amounts: bool
) -> TransferForm:
    """Read the three fields of a transfer.

    Raises:
        RefusalError: with a message for each field that is missing or impossible.
    """
    given = read_json(body) or {}
    client_user_id, amount = client_id_in(given), _amount(given.get("balance"))
    currency = given.get("currency")
    errors: dict[str, str] = {}
    if client_user_id is None:
        errors["client_user_id"] = "Client user id must be a positive integer."
    if not amount or (amount < 0 and not negative_amounts):
        errors["balance"] = "Balance must be a number other than zero, and is the amount to move."
    if not isinstance(currency, str) or currency not in currencies:
        errors["currency"] = "Currency is not supported."
    if client_user_id is None or amount is None or errors:
        raise RefusalError(bad_fields(errors))
    return TransferForm(client_user_id=client_user_id, amount=amount, currency=str(currency))


def client_id_in(given: dict[str, Any] | None) -> int | None:
    """Give the client that a transfer's body names, if it does."""
    value = (given or {}).get("client_user_id")
    return value if is_positive(value) else None


def international_phone(phone: str, country: str) -> str:
    """Write a national number with its country's calling code, as a creation does (D)."""
    digits = "".join(sign for sign in phone if sign in "0123456789")
    if phone.startswith("+") or country not in _CALLING_CODES:
        return phone
    code, trunk = _CALLING_CODES[country]
    return f"+{code}{digits.removeprefix(trunk)}"


def _amount(value: object) -> Decimal | None:
    # JSON numbers only: whether the API takes a number in quotes is unknown.
    if isinstance(value, str):
        return None
    try:
        return money(value)
    except (TypeError, ValueError):
        return None


def _label(name: str) -> str:
    return name.removeprefix("user_").replace("_", " ").capitalize()


def _is_blank(given: dict[str, Any], name: str) -> bool:
    value = given.get(name)
    return not isinstance(value, str) or not value.strip()


def _is_country(text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()


def _is_weak(password: str) -> bool:
    kinds = (any(map(str.isalpha, password)), any(map(str.isdigit, password)))
    return len(password) < 8 or not all(kinds)

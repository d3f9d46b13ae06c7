"""What do the API's JSON objects look like, as JSON Schema?

The properties are taken from the rows that the sandbox gives. What a row cannot show, such as
what else a field may hold, stands in the tables here, with how sure it is: D documented, L seen
live, G a guess.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clicksend_reseller.sandbox.service.accounts import MAX_ID, in_old_style, read_client, show
from clicksend_reseller.sandbox.service.forms import FIELDS
from clicksend_reseller.sandbox.service.money import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema = dict[str, Any]

_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_FLAG: Schema = {"type": "integer", "enum": [0, 1]}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_PHONE: Schema = {
    "type": ["string", "integer", "null"],
    "description": "A string with a plus; a number in examples of the documentation page (D).",
}
# A server in PHP writes an empty object as an empty list.
_EMPTY: tuple[Schema, ...] = (
    {"type": "null"},
    {"type": "array", "maxItems": 0, "description": "Means an empty object (G)."},
    {"type": "object", "maxProperties": 0},
)

_ACCOUNT: Mapping[str, Schema] = {
    "user_id": {
        **_ID,
        "description": "The `client_user_id` of the calls: two names for one number (D).",
    },
    "balance": {"description": "In the account's currency; it may be below zero (G)."},
    "active": _FLAG,
    "banned": _FLAG,
    "user_phone": _PHONE,
    "account_billing_mobile": _PHONE,
    "account_name": {"type": ["string", "null"]},
    "delivery_to": {"type": ["string", "null"]},
    "auto_recharge": _FLAG,
    "setting_unicode_sms": _FLAG,
    "setting_email_sms_subject": _FLAG,
    "old_dashboard": _FLAG,
    "setting_fix_sender_id": {"description": "An id, not a flag (D)."},
    "setting_beta": {"description": "On rows of earlier years (D)."},
    "unsubscribe_mail": {"description": "On rows of earlier years (D)."},
    "_currency": {"anyOf": [{"$ref": "#/components/schemas/Currency"}, *_EMPTY]},
    "_subaccount": {"anyOf": [{"$ref": "#/components/schemas/Subaccount"}, *_EMPTY]},
}

_SUBACCOUNT: Mapping[str, Schema] = {
    "phone_number": _PHONE,
    "api_key": {"description": "A live secret: with it one acts as the client (D)."},
    "notes": {"type": ["string", "null"]},
}

_FIELDS: Mapping[str, Schema] = {
    "password": {
        "format": "password",
        "description": "No answer gives it back, and every update sets it again (D).",
    },
    "country": {"pattern": "^[A-Z]{2}$", "description": "ISO 3166-1 alpha-2 (D)."},
}

_EXAMPLE = {
    "username": "ada",
    "password": "engine-1843",
    "user_email": "ada@client.test",
    "user_phone": "0411111111",
    "user_first_name": "Ada",
    "user_last_name": "Byron",
    "account_name": "Engines",
    "country": "AU",
}


def schemas(currencies: Iterable[str]) -> dict[str, Schema]:
    """Give the objects by name.

    Args:
        currencies: those that a transfer can be made in.
    """
    row = _row()
    return {
        "Account": _object(
            {name: _told(name, row[name], _ACCOUNT) for name in row},
            required=("user_id", "username", "balance", "active", "banned"),
        ),
        "AccountFields": {
            **_object({name: _field(name) for name in FIELDS}, required=FIELDS),
            "examples": [_EXAMPLE],
        },
        "Currency": _object({name: _type_of(row["_currency"][name]) for name in row["_currency"]}),
        "FieldErrors": {
            "type": "object",
            "additionalProperties": {"type": ["string", "array"]},
            "description": "A message for each field (D), or a list of them (G).",
        },
        "Page": _page(),
        "Subaccount": _object(
            {
                name: _told(name, row["_subaccount"][name], _SUBACCOUNT)
                for name in row["_subaccount"]
            }
        ),
        "Transfer": _transfer(sorted(currencies)),
    }


def enveloped(data: Schema, *, status: int | None, code: Schema) -> Schema:
    """Wrap data as every documented answer does.

    Args:
        data: what stands inside.
        status: the one that stands inside once more; None for any.
        code: of the ``response_code``.
    """
    return _object(
        {
            "http_code": {"type": "integer"} if status is None else {"const": status},
            "response_code": code,
            "response_msg": {"type": "string", "description": "Prose: never branch on it."},
            "data": data,
        },
        required=("http_code", "response_code", "response_msg", "data"),
    )


def _row() -> dict[str, Any]:
    row = show(read_client({}, next_id=1), money(0))
    return row | in_old_style(row)


def _object(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    needed: Schema = {"required": [*required]} if required else {}
    return {"type": "object", **needed, "properties": dict(properties)}


def _told(name: str, value: object, known: Mapping[str, Schema]) -> Schema:
    told = known.get(name, {})
    return told if {"type", "anyOf"} & told.keys() else {**_type_of(value), **told}


def _type_of(value: object) -> Schema:
    match value:
        case str() if _DECIMAL.fullmatch(value):
            # One of the documented examples has a number (D).
            return {"type": ["string", "number"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
        case str():
            return {"type": "string"}
        case _:
            return {"type": "integer"}


def _field(name: str) -> Schema:
    return {"type": "string", "minLength": 1, **_FIELDS.get(name, {})}


def _page() -> Schema:
    url: Schema = {
        "type": ["string", "null"],
        "description": "Never follow it: it has been seen on another host, and without the limit.",
    }
    account: Schema = {"$ref": "#/components/schemas/Account"}
    return _object(
        {
            "total": _COUNT,
            "per_page": {**_COUNT, "description": "The limit as the server took it."},
            "current_page": {**_COUNT, "minimum": 1},
            "last_page": {**_COUNT, "description": "0 where the list is empty (L)."},
            "next_page_url": url,
            "prev_page_url": url,
            "from": {"type": ["integer", "null"]},
            "to": {"type": ["integer", "null"]},
            "data": {"type": "array", "items": account},
        },
        required=("total", "per_page", "current_page", "last_page", "data"),
    )


def _transfer(currencies: list[str]) -> Schema:
    return {
        **_object(
            {
                "client_user_id": _ID,
                "balance": {
                    "type": "number",
                    "not": {"const": 0},
                    "description": (
                        "The amount to move, not a balance. Whole numbers are certain (D), "
                        "decimals and taking back by a negative one are guesses (G)."
                    ),
                },
                "currency": {
                    "enum": currencies,
                    "description": "It need not be the client's own (D).",
                },
            },
            required=("client_user_id", "balance", "currency"),
        ),
        "examples": [{"client_user_id": 1001, "balance": 12, "currency": currencies[0]}],
    }

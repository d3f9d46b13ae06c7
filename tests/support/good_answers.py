"""What does the API answer when nothing is wrong? The documented envelope and account object.

Nothing is remembered here: the same request gets the same answer every time.
"""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

Write = tuple[str | int, ...]
"""What a request writes: ("transfer", client, amount), ("create", username), ("update", id)."""

ACCOUNT: dict[str, Any] = {
    "user_id": 60,
    "username": "acme",
    "user_email": "owner@acme.test",
    "active": 1,
    "banned": 0,
    "balance": "170.728701",
    "user_phone": "+61200000971",
    "reply_to": "originalemail",
    "delivery_to": None,
    "user_first_name": "Ann",
    "user_last_name": "Example",
    "account": 0,
    "account_name": "Acme",
    "account_billing_email": "owner@acme.test",
    "account_billing_mobile": "+61200000898",
    "country": "AU",
    "default_country_sms": "AU",
    "auto_recharge": 0,
    "auto_recharge_amount": "20.00",
    "low_credit_amount": "1.50",
    "setting_unicode_sms": 0,
    "setting_email_sms_subject": 0,
    "setting_fix_sender_id": 0,
    "setting_sms_message_char_limit": 140,
    "old_dashboard": 0,
    "balance_commission": "0.299954",
    "timezone": "Australia/Melbourne",
    "_currency": {
        "currency_name_short": "AUD",
        "currency_prefix_d": "$",
        "currency_prefix_c": "c",
        "currency_name_long": "Australian Dollars",
    },
    "_subaccount": {
        "subaccount_id": 70,
        "api_username": "acme_api",
        "email": "acme_api@example.test",
        "phone_number": "+61200000070",
        "first_name": "Ann",
        "last_name": "Example",
        "api_key": "00000000-0000-0000-0000-000000000070",
        "access_users": 1,
        "access_billing": 1,
        "access_reporting": 1,
        "access_contacts": 0,
        "access_settings": 1,
        "access_sms": 1,
        "access_email": 0,
        "access_voice": 0,
        "access_fax": 0,
        "access_post": 0,
        "access_reseller": 0,
    },
}

_ROUTES = (
    ("PUT", re.compile(r"/v3/reseller/transfer-credit$"), "transfer_credit"),
    ("GET", re.compile(r"/v3/reseller/accounts/[0-9]+$"), "get_account"),
    ("PUT", re.compile(r"/v3/reseller/accounts/[0-9]+$"), "update_account"),
    ("GET", re.compile(r"/v3/reseller/accounts$"), "list_accounts"),
    ("POST", re.compile(r"/v3/reseller/accounts$"), "create_account"),
    ("GET", re.compile(r"/v3/account$"), "get_own_account"),
)


def operation_of(method: str, target: str) -> str | None:
    """Name the operation that a request line asks for; None for a wrong route."""
    path = target.partition("?")[0]
    for verb, route, operation in _ROUTES:
        if verb == method and route.search(path):
            return operation
    return None


def write_of(operation: str | None, target: str, body: bytes) -> Write | None:
    """Name what the request would change; None for reads and for bodies that say nothing."""
    reader = _WRITES.get(operation or "")
    try:
        return reader(target, json.loads(body)) if reader else None
    except (ValueError, KeyError, TypeError):
        return None


def good_answer(operation: str | None, target: str, body: bytes, accounts: int) -> bytes:
    """Answer as the documentation does, for a reseller with this many accounts."""
    data = _DATA.get(operation or "")
    if data is None:
        return answer(404, envelope(404, "NOT_FOUND", "Invalid endpoint. Please try again.", None))
    try:
        filled = data(target, body, accounts)
    except (ValueError, KeyError, TypeError):
        return answer(400, envelope(400, "BAD_REQUEST", "Invalid input.", None))
    return answer(200, envelope(200, "SUCCESS", "Here are your data.", filled))


def envelope(http_code: object, response_code: object, response_msg: str, data: object) -> bytes:
    """Wrap data as every answer of the API is wrapped."""
    return json.dumps(
        {
            "http_code": http_code,
            "response_code": response_code,
            "response_msg": response_msg,
            "data": data,
        }
    ).encode()


def answer(
    status: int,
    body: bytes = b"",
    *headers: tuple[str, str],
    content_type: str = "application/json",
) -> bytes:
    """Put a head with the right Content-Length before the body."""
    fields = [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers]
    lines = [f"HTTP/1.1 {status} {status}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _own(target: str, body: bytes, accounts: int) -> object:
    return ACCOUNT | {"user_id": 1, "username": "reseller"}


def _one(target: str, body: bytes, accounts: int) -> object:
    return ACCOUNT | {"user_id": int(target.rpartition("/")[2])}


def _created(target: str, body: bytes, accounts: int) -> object:
    return ACCOUNT | {"user_id": 117, "username": json.loads(body)["username"]}


def _credited(target: str, body: bytes, accounts: int) -> object:
    return ACCOUNT | {"user_id": json.loads(body)["client_user_id"]}


def _page(target: str, body: bytes, accounts: int) -> object:
    query = parse_qs(urlsplit(target).query)
    page, limit = int(query.get("page", ["1"])[0]), int(query.get("limit", ["15"])[0])
    first = (page - 1) * limit
    ids = range(1, accounts + 1)[first : first + limit]
    rows = [ACCOUNT | {"user_id": each, "username": f"client{each}"} for each in ids]
    last_page = -(-accounts // limit)
    return {
        "total": accounts,
        "per_page": limit,
        "current_page": page,
        "last_page": last_page,
        "next_page_url": f"/?page={page + 1}" if page < last_page else None,
        "prev_page_url": f"/?page={page - 1}" if page > 1 else None,
        "from": first + 1 if rows else None,
        "to": first + len(rows) if rows else None,
        "data": rows,
    }


_DATA: dict[str, Callable[[str, bytes, int], object]] = {
    "list_accounts": _page,
    "get_account": _one,
    "update_account": _one,
    "create_account": _created,
    "transfer_credit": _credited,
    "get_own_account": _own,
}

_WRITES: dict[str, Callable[[str, Any], Write]] = {
    "transfer_credit": lambda _, body: ("transfer", body["client_user_id"], body["balance"]),
    "create_account": lambda _, body: ("create", body["username"]),
    "update_account": lambda target, _: ("update", int(target.rpartition("/")[2])),
}

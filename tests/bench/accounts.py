"""What does the API answer? Made-up accounts of the shape and the size of real ones.

An account has 35 keys: the 27 documented ones, 6 that the SDK does not know, `_currency` of 6 and
`_subaccount` of 26. Types drift from one account to the next as they do on the wire: phones are
strings, numbers or null, and a tenth of the accounts has `{}` or null in place of an object.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

PER_PAGE = 100

_FLAGS = (
    *("access_users", "access_billing", "access_reporting", "access_contacts"),
    *("access_settings", "access_sms", "access_email", "access_voice", "access_fax"),
    *("access_post", "access_reseller", "access_mms", "access_smpp", "access_global_sending"),
    *("hide_pricing", "share_campaigns", "is_main"),
)


def account(number: int) -> dict[str, Any]:
    """Make an account whose texts no other one has; numbers count from 0."""
    name, mail = f"client-{number:06d}", f"owner-{number:06d}@client.test"
    return {
        "user_id": 10_000 + number,
        "username": name,
        "user_email": mail,
        "active": 1,
        "banned": int(number % 50 == 7),
        "balance": f"{number * 37 % 9_000_000 / 7:.6f}",
        "user_phone": (f"+6140{number:07d}", 61_400_000_000 + number, None)[number % 3],
        "reply_to": "originalemail",
        "delivery_to": f"delivery-{number:06d}",
        "user_first_name": f"Ann {number}",
        "user_last_name": f"Example {number}",
        "account": number % 2,
        "account_name": f"The Example Company {number}",
        "account_billing_email": f"billing-{number:06d}@client.test",
        "account_billing_mobile": f"+6141{number:07d}",
        "country": ("AU", "US", "GB", "NZ")[number % 4],
        "default_country_sms": ("AU", "US", "GB", "NZ")[number % 4],
        "auto_recharge": 0,
        "auto_recharge_amount": "20.00",
        "low_credit_amount": "0.00",
        "setting_unicode_sms": 0,
        "setting_email_sms_subject": 0,
        "setting_fix_sender_id": 0,
        "setting_sms_message_char_limit": 8,
        "old_dashboard": 0,
        "balance_commission": f"{number * 13 % 700 / 7:.6f}",
        "timezone": ("Australia/Melbourne", "America/New_York", "Europe/London")[number % 3],
        "setting_beta": 0,
        "unsubscribe_mail": 1,
        "private_uploads": 0,
        "onboarding_step": number % 9,
        "created_by": f"reseller-{number % 5}",
        "date_added": 1_600_000_000 + number,
        "_currency": {} if number % 20 == 3 else _currency(),
        "_subaccount": None if number % 20 == 13 else _subaccount(number, name),
    }


def account_answer(number: int) -> bytes:
    """Make the answer to `GET /reseller/accounts/…`."""
    return b'{"http_code":200,"response_code":"SUCCESS","response_msg":"","data":%b}' % (
        json.dumps(account(number)).encode()
    )


def rows(page: int) -> bytes:
    """Make the accounts of a page, counted from 1, without the brackets round them."""
    first = (page - 1) * PER_PAGE
    return b",".join(json.dumps(account(first + n)).encode() for n in range(PER_PAGE))


def page_answer(page: int, pages: int, its_rows: bytes) -> bytes:
    """Make the answer to `GET /reseller/accounts`, a list of so many pages."""
    return (
        b'{"http_code":200,"response_code":"SUCCESS","response_msg":"","data":{"total":%d,'
        b'"per_page":%d,"current_page":%d,"last_page":%d,"next_page_url":null,"data":[%b]}}'
        % (pages * PER_PAGE, PER_PAGE, page, pages, its_rows)
    )


def _currency() -> dict[str, Any]:
    return {
        "currency_name_short": "AUD",
        "currency_prefix_d": "$",
        "currency_prefix_c": "c",
        "currency_name_long": "Australian Dollars",
        "min_recharge_amount": "20.00",
        "max_recharge_amount": "50000.00",
    }


def _subaccount(number: int, name: str) -> dict[str, Any]:
    return {
        "subaccount_id": 500_000 + number,
        "api_username": f"{name}-api",
        "email": f"api-{number:06d}@client.test",
        "phone_number": f"+6142{number:07d}",
        "first_name": f"Ann {number}",
        "last_name": f"Example {number}",
        "api_key": str(uuid.UUID(int=number * 2**80 + 1)).upper(),
        **{flag: (number + n) % 3 // 2 for n, flag in enumerate(_FLAGS)},
        "notes": None,
        "sign_up_type": "full",
    }

"""How would pydantic read a page with the tolerance that the SDK has?

Written to be as quick as pydantic can be. All that a good page needs happens in its core: what
stands for nothing is looked at after validation, since a validator before it would take the JSON
out of that core. Only where a field cannot be read is the page taken apart in Python: the field
becomes None, and its value stays among the unknown ones.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Money = Annotated[Decimal, Field(max_digits=20, decimal_places=8)]


class Tolerant(BaseModel):
    """Keeps unknown keys, and takes numbers for texts."""

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)


def _nothing_if_empty(value: Model | None) -> Model | None:
    return value if value is not None and value.model_fields_set else None


class Currency(Tolerant):
    """As `clicksend_reseller.Currency`."""

    currency_name_short: str | None = None
    currency_name_long: str | None = None
    currency_prefix_d: str | None = None
    currency_prefix_c: str | None = None
    min_recharge_amount: Money | None = None
    max_recharge_amount: Money | None = None


class Subaccount(Tolerant):
    """As `clicksend_reseller.Subaccount`."""

    subaccount_id: int | None = None
    api_username: str | None = None
    email: str | None = None
    phone_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    api_key: SecretStr | None = None
    access_users: bool | None = None
    access_billing: bool | None = None
    access_reporting: bool | None = None
    access_contacts: bool | None = None
    access_settings: bool | None = None
    access_sms: bool | None = None
    access_email: bool | None = None
    access_voice: bool | None = None
    access_fax: bool | None = None
    access_post: bool | None = None
    access_reseller: bool | None = None
    access_mms: bool | None = None
    access_smpp: bool | None = None
    access_global_sending: bool | None = None
    hide_pricing: bool | None = None
    share_campaigns: bool | None = None
    is_main: bool | None = None
    notes: str | None = None
    sign_up_type: str | None = None


class Account(Tolerant):
    """As `clicksend_reseller.Account`."""

    user_id: int
    username: str
    balance: Money
    active: bool
    banned: bool
    user_email: str | None = None
    user_phone: str | None = None
    reply_to: str | None = None
    delivery_to: str | None = None
    user_first_name: str | None = None
    user_last_name: str | None = None
    account: int | None = None
    account_name: str | None = None
    account_billing_email: str | None = None
    account_billing_mobile: str | None = None
    country: str | None = None
    default_country_sms: str | None = None
    auto_recharge: bool | None = None
    auto_recharge_amount: Money | None = None
    low_credit_amount: Money | None = None
    setting_unicode_sms: bool | None = None
    setting_email_sms_subject: bool | None = None
    setting_fix_sender_id: int | None = None
    setting_sms_message_char_limit: int | None = None
    old_dashboard: bool | None = None
    balance_commission: Money | None = None
    timezone: str | None = None
    currency: Annotated[Currency | None, AfterValidator(_nothing_if_empty)] = Field(
        default=None, alias="_currency"
    )
    subaccount: Annotated[Subaccount | None, AfterValidator(_nothing_if_empty)] = Field(
        default=None, alias="_subaccount"
    )


class Page(Tolerant):
    """As `clicksend_reseller.AccountPage`."""

    data: list[Account]
    total: int | None = None
    per_page: int | None = None
    current_page: int | None = None
    last_page: int | None = None


class Answer(Tolerant):
    """The envelope."""

    http_code: int
    response_code: str
    response_msg: str
    data: Page


def read_page(content: bytes) -> Page:
    """Read an answer's page."""
    try:
        return Answer.model_validate_json(content).data
    except ValidationError as error:
        return _read_oddly(content, error).data


def _read_oddly(content: bytes, error: ValidationError) -> Answer:
    answer = json.loads(content, parse_float=Decimal)
    for fault in error.errors():
        *way, field = fault["loc"]
        place: Any = answer
        for step in way:
            place = place[step]
        place[f"{field} as it came"] = place.pop(field)
    return Answer.model_validate(answer)

"""The models, plain data: accounts, the money moved, and what is known of it.

Models are frozen and know nothing of JSON or HTTP. The letters in the attribute lists say how
sure a statement about the wire is: D documented by ClickSend, L reported from live calls, G a
guess that the client is ready for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Self, TypedDict, Unpack

import attrs

from clicksend_reseller._model import Counted, Model
from clicksend_reseller._secret import Secret, to_secret

__all__ = [
    "Account",
    "AccountFields",
    "AccountPage",
    "CallEvent",
    "Currency",
    "Outcome",
    "RateLimit",
    "Secret",
    "Subaccount",
    "Transfer",
    "TransferReceipt",
]


class Outcome(StrEnum):
    """What is known about the effect of a call.

    Attributes:
        NOT_SENT: proven: nothing that could be applied left this machine.
        REJECTED: the API said no; nothing was changed.
        UNKNOWN: it may or may not have been applied.
        APPLIED: it was applied.
    """

    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    APPLIED = "applied"


@attrs.frozen(kw_only=True, repr=False, weakref_slot=False)
class Currency(Model):
    """A currency as ClickSend shows it.

    Attributes:
        currency_name_short: the code, such as "AUD" (D).
        currency_name_long: the name, such as "Australian Dollars" (D).
        currency_prefix_d: the sign of the unit, such as "$" (D).
        currency_prefix_c: the sign of the hundredth, such as "c" (D).
        min_recharge_amount: present on some rows only (D).
        max_recharge_amount: present on some rows only (D).
        extra: fields that this version does not know, as they came. Not to be changed: accounts
            whose currencies are equal share one object.
    """

    currency_name_short: str | None = None
    currency_name_long: str | None = None
    currency_prefix_d: str | None = None
    currency_prefix_c: str | None = None
    min_recharge_amount: Decimal | None = None
    max_recharge_amount: Decimal | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], hash=False)


@attrs.frozen(kw_only=True, repr=False, weakref_slot=False)
class Subaccount(Model):
    """The first subaccount of a client, with the client's full credentials in every answer (D).

    Attributes:
        api_key: a live secret of the client's; masked wherever it is printed.
        phone_number: once also called `mobile` on the wire (D); that one stays in `extra`.
        extra: fields that this version does not know, as they came.
    """

    subaccount_id: int | None = None
    api_username: str | None = None
    email: str | None = None
    phone_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    api_key: Secret | None = None
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
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], hash=False)


@attrs.frozen(kw_only=True, repr=False, weakref_slot=False)
class Account(Model):
    """A client account, or the reseller's own.

    A field that could not be read is None, and what came for it is in `extra`.

    Attributes:
        user_id: the id that calls take as `client_user_id`: the wire's two names for one number.
        balance: in `currency`; may be negative (G). It moves by itself, because clients spend.
        user_phone: a string; the wire sends ints too (D).
        account_name: null on some rows (D).
        setting_fix_sender_id: an id, not a flag (D); 2147483647 where it overflowed.
        currency: None where the wire sends null, {} or [].
        subaccount: holds the client's `api_key` as a Secret.
        extra: fields that this version does not know, as they came.
    """

    user_id: int
    username: str
    balance: Decimal
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
    auto_recharge_amount: Decimal | None = None
    low_credit_amount: Decimal | None = None
    setting_unicode_sms: bool | None = None
    setting_email_sms_subject: bool | None = None
    setting_fix_sender_id: int | None = None
    setting_sms_message_char_limit: int | None = None
    old_dashboard: bool | None = None
    balance_commission: Decimal | None = None
    timezone: str | None = None
    currency: Currency | None = None
    subaccount: Subaccount | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], hash=False)

    @property
    def currency_code(self) -> str | None:
        """The short name of the currency, such as "AUD", None where it is not known."""
        return None if self.currency is None else self.currency.currency_name_short


class AccountChanges(TypedDict, total=False):
    """The keywords of `AccountFields.from_account`."""

    username: str
    user_email: str
    user_phone: str
    user_first_name: str
    user_last_name: str
    account_name: str
    country: str


@attrs.frozen(kw_only=True, repr=False)
class AccountFields(Model):
    """Every update sets the client's password again: the API knows no partial update (D).

    The eight fields of create and update, all required.

    Attributes:
        password: never returned by any answer, so it cannot be read back (D).
        user_phone: create turns it into international form, update echoes it raw (D).
        country: two letters, ISO 3166-1 alpha-2 (D).
    """

    username: str
    password: Secret = attrs.field(converter=to_secret)
    user_email: str
    user_phone: str
    user_first_name: str
    user_last_name: str
    account_name: str
    country: str

    @classmethod
    def from_account(
        cls, account: Account, *, password: str | Secret, **changes: Unpack[AccountChanges]
    ) -> Self:
        """Take the fields of an account that was read, with some of them changed.

        Args:
            account: where the fields come from.
            password: the client's password from now on; a literal replacement.
            changes: fields to send instead of the account's.

        Raises:
            ValueError: the account lacks a field that the API requires; pass it as a change.
            TypeError: a change is not one of the fields.
        """
        password = to_secret(password)  # a traceback with locals would show it plain
        names = [field.name for field in attrs.fields(cls) if field.name != "password"]
        if unknown := sorted(set(changes) - set(names)):
            raise TypeError(f"no such field of an account: {', '.join(unknown)}")
        values: dict[str, Any] = {name: getattr(account, name) for name in names}
        values.update(changes)
        if missing := [name for name, value in values.items() if value is None]:
            raise ValueError(f"the account has no {', '.join(missing)}: pass it as a change")
        return cls(password=password, **values)


@attrs.frozen(kw_only=True, repr=False)
class AccountPage(Model):
    """One page of the account list; iterate over it to get the accounts.

    Attributes:
        per_page: what the server made of `limit`; it may be less than asked for (D).
        current_page: counted from 1.
        last_page: 0 when the list is empty (L). Not to be trusted beyond that.
        total: the server's word, not a count.
    """

    accounts: tuple[Account, ...]
    total: int | None = None
    per_page: int | None = None
    current_page: int | None = None
    last_page: int | None = None

    def __iter__(self) -> Iterator[Account]:
        return iter(self.accounts)

    def __len__(self) -> int:
        return len(self.accounts)

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Count the accounts; a person looks at one of them."""
        yield "accounts", Counted(len(self.accounts))
        yield from ((name, value) for name, value in super().__rich_repr__() if name != "accounts")


@attrs.frozen(kw_only=True, repr=False)
class Transfer(Model):
    """A transfer that somebody wants made once.

    Attributes:
        idempotency_key: the caller's own name for it, such as an invoice number.
        client_user_id: the `user_id` of the client's account.
        amount: whole units of `currency` to move; the wire calls it `balance`.
        currency: three capital letters; need not be the client's own (D).
    """

    idempotency_key: str
    client_user_id: int
    amount: int
    currency: str


@attrs.frozen(kw_only=True, repr=False)
class TransferReceipt(Model):
    """Credit was moved.

    Attributes:
        account: the client after the transfer; None where the answer said success but its
            account could not be read, or where the receipt comes from a journal.
        idempotency_key: the journal's key; None without a journal.
        replayed: True where a journal answered and nothing was sent this time.
    """

    client_user_id: int
    amount: int
    currency: str
    account: Account | None = None
    idempotency_key: str | None = None
    replayed: bool = False

    @property
    def balance_after(self) -> Decimal | None:
        """The client's balance after the transfer, in its own currency.

        None without an account, or where the answer was about another one.
        """
        if self.account is None or self.account.user_id != self.client_user_id:
            return None
        return self.account.balance


@attrs.frozen(kw_only=True, repr=False)
class RateLimit(Model):
    """What the last answer's headers said of the limit (L).

    Attributes:
        limit: calls allowed in a window, which looks like a fixed clock minute.
        remaining: calls left in it; limits look to be per endpoint.
        resets_in: seconds, counted from `received_at`.
        received_at: when the answer came, in UTC.
    """

    limit: int | None
    remaining: int | None
    resets_in: float | None
    received_at: datetime


@attrs.frozen(kw_only=True)
class CallEvent:
    """One step of one call, for logs, metrics and traces: no ids, amounts or bodies.

    Attributes:
        call_id: the same for all events of one call, unique in the process.
        kind: `started`; `attempt` when one has ended; `waiting` before the next; `finished`.
        operation: the name of the client's method.
        host: of the base URL.
        port: of the base URL.
        attempt: counted from 1; 0 before the first.
        status_code: of this attempt's answer, where there was one.
        outcome: of the attempt or of the call; None while open and for a read that succeeded.
        seconds: how long the attempt or the call took, or how long will be waited.
    """

    call_id: int
    kind: Literal["started", "attempt", "waiting", "finished"]
    operation: str
    host: str = ""
    port: int | None = None
    attempt: int = 0
    status_code: int | None = None
    outcome: Outcome | None = None
    seconds: float = 0.0

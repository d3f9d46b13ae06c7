"""The API's endpoints, each as one frozen value that is checked before it is made.

Source: the Reseller page and the Account page of ClickSend's API documentation, v3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

import attrs

from clicksend_reseller._secret import Secret, to_secret
from clicksend_reseller._wire.limits import CURRENCY, MAX_INT, whole_number
from clicksend_reseller.models import Account, AccountFields, AccountPage, TransferReceipt

T = TypeVar("T")

# NUL, which ends a string in C, and lone surrogates, which UTF-8 cannot encode.
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


class Repeat(StrEnum):
    """Whether an operation may be sent again after an attempt that may have been applied.

    Each endpoint has its own, never derived from the HTTP verb: update and transfer are both a
    PUT, and only one of them may be repeated.

    Attributes:
        FREELY: it changes nothing.
        SAME_MEANING: it changes something, but twice is the same as once.
        AFTER_REFUSAL: never, except that the API's own "too many calls" is believed.
        NEVER: never; and after "too many calls" only where the caller has opted in.
    """

    FREELY = "freely"
    SAME_MEANING = "same meaning"
    AFTER_REFUSAL = "after refusal"
    NEVER = "never"


@attrs.frozen(kw_only=True)
class Operation(Generic[T]):
    """One request to be made.

    Attributes:
        name: the client's method.
        query: numbers only, so that it needs no quoting.
        body: in this package's names; None where nothing is sent.
        returns: the model that the answer becomes.
        repeat: whether it may be sent again.
        user_id: of the account that the answer must be about; None where that is not known.
        fresh: its answer must come on a connection that has not been used before.
        writes: it changes something on the server.
    """

    name: str
    method: str
    path: str
    returns: type[T]
    repeat: Repeat
    query: Mapping[str, int] = attrs.field(factory=dict[str, int])
    body: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    user_id: int | None = None
    fresh: bool = False
    writes: bool = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(lambda self: self.repeat is not Repeat.FREELY, takes_self=True),
    )

    def secrets(self) -> tuple[str, ...]:
        """Give the values in its body that no error may show."""
        values = (self.body or {}).values()
        return tuple(value.get_secret_value() for value in values if isinstance(value, Secret))


@attrs.frozen(kw_only=True)
class Endpoint(Generic[T]):
    """What all requests to one endpoint have in common, see `Operation`.

    Attributes:
        route: the path, with the names of what differs in it.
    """

    name: str
    method: str
    route: str
    returns: type[T]
    repeat: Repeat

    def at(self, client_user_id: int | None = None, **rest: Any) -> Operation[T]:  # noqa: ANN401 - the fields of Operation
        """Make the operation for one account, or for none."""
        path = self.route
        if client_user_id is not None:
            # Only ever a plain int: "../transfer-credit" would be normalised into another route.
            path = path.format(client_user_id=f"{client_user_id:d}")
        return Operation(
            name=self.name,
            method=self.method,
            path=path,
            returns=self.returns,
            repeat=self.repeat,
            user_id=client_user_id,
            **rest,
        )


_LIST_ACCOUNTS = Endpoint(
    name="list_accounts",
    method="GET",
    route="/reseller/accounts",
    returns=AccountPage,
    repeat=Repeat.FREELY,
)
_GET_ACCOUNT = Endpoint(
    name="get_account",
    method="GET",
    route="/reseller/accounts/{client_user_id}",
    returns=Account,
    repeat=Repeat.FREELY,
)
_CREATE_ACCOUNT = Endpoint(
    name="create_account",
    method="POST",
    route="/reseller/accounts",
    returns=Account,
    repeat=Repeat.AFTER_REFUSAL,
)
_UPDATE_ACCOUNT = Endpoint(
    name="update_account",
    method="PUT",
    route="/reseller/accounts/{client_user_id}",
    returns=Account,
    repeat=Repeat.SAME_MEANING,
)
_TRANSFER_CREDIT = Endpoint(
    name="transfer_credit",
    method="PUT",
    route="/reseller/transfer-credit",
    returns=TransferReceipt,
    repeat=Repeat.NEVER,
)
_GET_OWN_ACCOUNT = Endpoint(
    name="get_own_account",
    method="GET",
    route="/account",
    returns=Account,
    repeat=Repeat.FREELY,
)
ENDPOINTS: tuple[Endpoint[Any], ...] = (
    _LIST_ACCOUNTS,
    _GET_ACCOUNT,
    _CREATE_ACCOUNT,
    _UPDATE_ACCOUNT,
    _TRANSFER_CREDIT,
    _GET_OWN_ACCOUNT,
)


def list_accounts(*, page: int, limit: int) -> Operation[AccountPage]:
    return _LIST_ACCOUNTS.at(
        query={"page": _positive("page", page), "limit": _positive("limit", limit)}
    )


def get_account(client_user_id: int, *, fresh: bool = False) -> Operation[Account]:
    return _GET_ACCOUNT.at(_positive("client_user_id", client_user_id), fresh=fresh)


def create_account(fields: AccountFields) -> Operation[Account]:
    return _CREATE_ACCOUNT.at(body=_complete(fields))


def update_account(client_user_id: int, fields: AccountFields) -> Operation[Account]:
    return _UPDATE_ACCOUNT.at(_positive("client_user_id", client_user_id), body=_complete(fields))


def transfer_credit(
    client_user_id: int, amount: int, currency: str, *, allow_negative: bool
) -> Operation[TransferReceipt]:
    body = {
        "client_user_id": _positive("client_user_id", client_user_id),
        "amount": _amount(amount, allow_negative=allow_negative),
        "currency": _currency(currency),
    }
    return _TRANSFER_CREDIT.at(int(client_user_id), body=body)


def get_own_account() -> Operation[Account]:
    # Its answer does not show whether it is a late one about another account.
    return _GET_OWN_ACCOUNT.at(fresh=True)


def _positive(name: str, value: int) -> int:
    number = whole_number(name, value)
    if not 1 <= number <= MAX_INT:
        raise ValueError(f"{name} must be from 1 to {MAX_INT}, not {value!r}")
    return number


def _amount(value: int, *, allow_negative: bool) -> int:
    number = whole_number("amount", value)
    if number == 0 or abs(number) > MAX_INT:
        raise ValueError(f"amount must be from 1 to {MAX_INT} whole units, not {value!r}")
    if number < 0 and not allow_negative:
        raise ValueError(
            f"amount {value!r} would take credit back from the client: "
            "pass allow_negative=True if that is meant"
        )
    return number


def _currency(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"currency must be a str, not {value!r}")
    if not CURRENCY.fullmatch(value):
        raise ValueError(f'currency must be three capital letters such as "AUD", not {value!r}')
    return value


def _complete(fields: AccountFields) -> Mapping[str, Any]:
    if not isinstance(fields, AccountFields):
        raise TypeError(f"fields must be AccountFields, not {type(fields).__name__}")
    return {
        field.name: _filled(field.name, getattr(fields, field.name))
        for field in attrs.fields(AccountFields)
    }


def _filled(name: str, value: str | Secret) -> str | Secret:
    if not isinstance(value, str | Secret):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    # No local name for the text: it may be a password, and a traceback would show it.
    if fault := fault_of_text(to_secret(value).get_secret_value()):
        raise ValueError(f"{name} {fault}")
    return value


def fault_of_text(text: str) -> str:
    """Say why the API could not take a text; empty where it can."""
    if not text.strip():
        return "is empty, and the API requires it"
    if _UNSENDABLE.search(text):
        return "has a NUL or a lone surrogate in it, which no API can store"
    return ""

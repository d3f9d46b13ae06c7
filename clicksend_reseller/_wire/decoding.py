"""Conversion between models and ClickSend's JSON: model to body, answer to model or error.

Every oddity of ClickSend is here, in the refusals and in the hooks, and nothing else is. The
letters say how sure a line is: D documented, L reported from live calls, G a guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from clicksend_reseller._wire import strict_json, structuring
from clicksend_reseller._wire.operations import ENDPOINTS, Operation
from clicksend_reseller._wire.refusals import Refusal
from clicksend_reseller._wire.response import SUCCESSES, Answer, Envelope, open_envelope
from clicksend_reseller.models import (
    Account,
    AccountPage,
    Currency,
    Secret,
    Subaccount,
    TransferReceipt,
)

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")

# Where our name differs from the wire's. `balance` is the amount to move, not a balance (D).
_BODY_NAMES = {"amount": "balance"}
_SHAPES: Mapping[type, structuring.Shape] = {
    Currency: structuring.Shape(is_interned=True),
    Subaccount: structuring.Shape(interned_texts=("sign_up_type",)),
    Account: structuring.Shape(
        names={"currency": "_currency", "subaccount": "_subaccount"},
        interned_texts=("country", "default_country_sms", "timezone"),
    ),
}


def write(body: Mapping[str, Any]) -> bytes:
    """Turn a body into JSON; the one place where secrets become plain."""
    wire = {_BODY_NAMES.get(name, name): value for name, value in body.items()}
    return json.dumps(wire, separators=(",", ":"), default=Secret.get_secret_value).encode()


def read(operation: Operation[T], answer: Answer, *, secrets: Sequence[str] = ()) -> T:
    """Turn an answer into the operation's model.

    Args:
        operation: what was asked.
        answer: what came.
        secrets: what an error must not show, beside the secrets in the operation's body.

    Raises:
        APIStatusError: the API said no, with an outcome of REJECTED or UNKNOWN.
        APIResponseError: the answer is outside the documented shape.
    """
    envelope, flaw = open_envelope(answer)
    if (
        answer.status not in SUCCESSES
        or envelope is None
        or envelope.code != "SUCCESS"
        or envelope.http_code not in SUCCESSES
    ):
        raise Refusal(
            operation=operation, answer=answer, envelope=envelope, flaw=flaw, secrets=secrets
        ).error()
    reader = cast(
        "Callable[[Operation[Any], Envelope], T]", _READERS.get(operation.returns, _read_object)
    )
    try:
        return reader(operation, envelope)
    except (ValueError, RecursionError) as exc:
        refusal = Refusal(
            operation=operation, answer=answer, envelope=envelope, flaw=str(exc), secrets=secrets
        )
        raise refusal.unreadable_success() from exc


def strayed(operation: Operation[Any], result: Any) -> str:
    """Name what an answer is about, where that is not what was asked for; else give nothing."""
    if isinstance(result, AccountPage):
        found = result.current_page
        return "" if found in {None, operation.query["page"]} else f"page {found}"
    about = result.account if isinstance(result, TransferReceipt) else result
    found = getattr(about, "user_id", None)
    return "" if found is None or operation.user_id in {None, found} else f"account {found}"


# --- success to model


@cache
def converter() -> cattrs.Converter:
    """Make the converter; the first answer needs it, and importing this package does not."""
    models = {endpoint.returns for endpoint in ENDPOINTS}.difference(_SHAPES, _READERS)
    return structuring.make_converter({**_SHAPES, **dict.fromkeys(models, structuring.Shape())})


def _hook(model: type[Any]) -> Callable[[Any, type[Any]], Any]:
    return converter().get_structure_hook(model)


def _read_object(operation: Operation[T], envelope: Envelope) -> T:
    model = operation.returns
    try:
        return cast("T", _hook(model)(_row(envelope.rest.get("data"), envelope.rest), model))
    except structuring.UnreadableError as exc:
        raise ValueError(_path("data", exc)) from None


def _read_page(_: Operation[Any], envelope: Envelope) -> AccountPage:
    page = envelope.rest.get("data")
    if not strict_json.is_object(page) or (rows := strict_json.array_in(page.get("data"))) is None:
        raise ValueError("data.data")
    accounts: list[Account] = []
    read_account = _hook(Account)
    # A row is let go when it has been read, so that its memory serves the next: 4 % of the time.
    rows.reverse()
    raw: Any = None
    try:
        while rows:
            raw = rows.pop()
            accounts.append(read_account(_row(raw, page), Account))
    except structuring.UnreadableError as exc:
        raise ValueError(_path(f"data.data[{len(accounts)}]", exc) + _user_id_of(raw)) from None
    number = structuring.read_int
    return AccountPage(
        accounts=tuple(accounts),
        total=number(page.get("total")),
        per_page=number(page.get("per_page")),
        current_page=number(page.get("current_page")),
        last_page=number(page.get("last_page")),
    )


def _row(raw: Any, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Give an account's object; its currency may stand beside it."""
    if not strict_json.is_object(raw):
        raise structuring.UnreadableError
    if "_currency" in raw or not (currency := beside.get("_currency")):
        return raw
    return {**raw, "_currency": currency}


def _user_id_of(raw: Any) -> str:
    """Name the account of a row that cannot be read, so that a person can find it."""
    user_id = structuring.read_int(raw.get("user_id")) if strict_json.is_object(raw) else None
    return "" if user_id is None else f" (user_id {user_id})"


def _path(prefix: str, error: structuring.UnreadableError) -> str:
    return ".".join((prefix, *error.args))


def _read_receipt(operation: Operation[Any], envelope: Envelope) -> TransferReceipt:
    try:
        account = _hook(Account)(_row(envelope.rest.get("data"), envelope.rest), Account)
    except (ValueError, RecursionError):
        account = None  # the money has moved: an odd account must not look like a failure
    return TransferReceipt(**cast("dict[str, Any]", operation.body), account=account)


# What is put together; any other model is one JSON object.
_READERS: Mapping[type, Callable[[Operation[Any], Envelope], Any]] = {
    AccountPage: _read_page,
    TransferReceipt: _read_receipt,
}


# --- models to plain data


def to_dict(model: Any, *, secrets: bool = False) -> dict[str, Any]:
    """Turn a model into a dict that `json.dumps` and every framework can take.

    Args:
        model: any model of this package.
        secrets: include credentials in plain text; they are left out otherwise.

    Returns:
        Decimals as strings, dates in ISO 8601, nested models as dicts, `extra` as it came.
    """
    if not attrs.has(cast("Any", type(model))):
        raise TypeError(f"to_dict takes a model of this package, not {type(model).__name__}")
    return cast("dict[str, Any]", _plain(model, secrets=secrets))


def _plain(value: Any, *, secrets: bool) -> Any:
    kind = cast("Any", type(value))
    if attrs.has(kind):
        value = {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    match value:
        case Secret():
            return value.get_secret_value()
        case Mapping():
            items = cast("Mapping[str, Any]", value).items()
            shown = ((key, item) for key, item in items if secrets or not _is_secret(item))
            return {key: _plain(item, secrets=secrets) for key, item in shown}
        case list() | tuple():
            values = cast("Sequence[Any]", value)
            return [
                _plain(item, secrets=secrets) for item in values if secrets or not _is_secret(item)
            ]
        case Decimal():
            return format(value, "f") if abs(value.adjusted()) < 100 else str(value)
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case _:
            return value


def _is_secret(value: object) -> bool:
    return isinstance(value, Secret)

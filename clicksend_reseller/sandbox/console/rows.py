"""The transfers and the requests of the console, each as the values of one row."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

import attrs

from clicksend_reseller.sandbox import serialize
from clicksend_reseller.sandbox.console.formats import format_amount
from clicksend_reseller.sandbox.service.forms import read_json
from clicksend_reseller.sandbox.service.redaction import masked
from clicksend_reseller.sandbox.trace import outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest, SandboxState

PAID, UNKNOWN, REFUSED = "paid", "unknown", "refused"
_MAX_LENGTH = 40


@attrs.frozen(kw_only=True)
class TransferRow:
    """One transfer that was asked for, applied or not.

    Attributes:
        n: its number in the ledger; None where it was not applied.
        client: whom the request names; None where it names nobody.
        amount: as the request has it, which may be no number.
        status: PAID, UNKNOWN to the caller, or REFUSED.
        description: what became of it.
        reason: the API's word, of a refusal.
        entry: of the ledger.
    """

    n: int | None
    request: int
    time: float
    client: int | None
    amount: Decimal | str
    currency: str
    status: str
    description: str
    reason: str = ""
    entry: Entry | None = None


@attrs.frozen(kw_only=True)
class RequestRow:
    """One request with its answer, secrets masked.

    Attributes:
        sent: the request as JSON values.
        outcome: what became of it, as text.
        answer: the envelope; None where the answer is no JSON object, or there is none.
        text: an answer that is no JSON.
    """

    sent: Mapping[str, Any]
    outcome: str
    answer: object
    text: str

    @property
    def n(self) -> int:
        """The request's number."""
        number: int = self.sent["n"]
        return number


def refused_transfers(state: SandboxState) -> list[LoggedRequest]:
    """Give the requests for a transfer that was not applied, the oldest first."""
    return [
        each for each in state.requests if each.operation == "transfer_credit" and not each.entry
    ]


def transfer_rows(
    state: SandboxState, refused: Iterable[LoggedRequest], count: int
) -> list[TransferRow]:
    """Give the newest transfers, applied and not, the newest first."""
    applied = [applied_row(entry) for entry in state.ledger[-count:]]
    rows = [*applied, *(refused_row(request) for request in list(refused)[-count:])]
    return sorted(rows, key=lambda row: row.request, reverse=True)[:count]


def applied_row(entry: Entry) -> TransferRow:
    """Give the row of a transfer in the ledger."""
    end = "delivered" if entry.told else "not delivered"
    return TransferRow(
        n=entry.n,
        request=entry.request,
        time=entry.time,
        client=entry.client_user_id,
        amount=entry.amount,
        currency=entry.currency,
        status=PAID if entry.told else UNKNOWN,
        description=f"applied, the answer was {end}",
        entry=entry,
    )


def refused_row(request: LoggedRequest) -> TransferRow:
    """Give the row of a transfer that was not applied."""
    given = _plain(request.body)
    is_said = request.status is not None and 400 <= request.status < 500 and request.status != 408
    return TransferRow(
        n=None,
        request=request.n,
        time=request.time,
        client=request.client_user_id,
        amount=_amount(given.get("balance")),
        currency=_short(given.get("currency")),
        status=REFUSED if is_said else UNKNOWN,
        description="refused" if is_said else "not applied, but the caller cannot know",
        reason=_reason(request) if is_said else "",
    )


def _plain(body: bytes) -> dict[str, Any]:
    """Give the fields that are a text or a number; anything else may hold a secret."""
    given = read_json(body) or {}
    return {name: given[name] for name in given if isinstance(given[name], str | int | Decimal)}


def _reason(request: LoggedRequest) -> str:
    envelope = read_json(request.answer) or {}
    said = [str(envelope.get(name, "")) for name in ("response_code", "response_msg")]
    faults = envelope.get("data")
    fields = cast("Mapping[str, Any]", faults).values() if isinstance(faults, Mapping) else ()
    return " ".join(str(text) for text in (": ".join(filter(None, said)), *fields))


def _amount(value: object) -> Decimal | str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return _short(value)
    is_moderate = amount.is_finite() and abs(amount.adjusted()) <= 12
    return amount if is_moderate else _short(value)


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


def request_row(state: SandboxState, request: LoggedRequest) -> RequestRow:
    """Give the row of a request."""
    entry = state.ledger[request.entry - 1] if request.entry else None
    content = read_json(request.answer)
    is_json = content is not None
    return RequestRow(
        sent=serialize.request(request),
        outcome=outcome(request, entry),
        answer=masked(content),
        text="" if is_json else request.answer.decode("utf-8", "replace"),
    )


def format_sent_amount(amount: Decimal | str) -> str:
    """Write an amount, or what was sent in its place."""
    return amount if isinstance(amount, str) else format_amount(amount)

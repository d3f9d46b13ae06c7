"""What happened, in the portal's own words: no name of an operation, no JSON, one reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from clicksend_reseller import (
    APIConnectionError,
    AuthenticationError,
    NotFoundError,
    RateLimitError,
    UnsettledTransferError,
    errors,
)
from clicksend_reseller.journal import Reconciliation, Verdict

T = TypeVar("T")


@attrs.frozen
class Problem:
    """A status and a sentence for a person."""

    status: int
    words: str


_PAGES = {
    404: "There is no such page.",
    405: "That page takes no such request.",
}
# The nearest class counts.
_PROBLEMS = {
    NotFoundError: Problem(404, "The service knows no such client."),
    AuthenticationError: Problem(502, "The service refused the portal's user name or key."),
    RateLimitError: Problem(
        503, "The service asks for fewer calls. Wait a minute, then try again."
    ),
    APIConnectionError: Problem(502, "The service could not be reached."),
    errors.APIStatusError: Problem(502, "The service refused that."),
    errors.APIResponseError: Problem(502, "The service gave an answer that makes no sense."),
    errors.OutcomeUnknownError: Problem(500, "The answer is lost."),
    UnsettledTransferError: Problem(409, "Another transfer to this client is open."),
    errors.JournalError: Problem(
        503, "The journal could not be read or written; nothing was sent."
    ),
    errors.ResellerError: Problem(502, "The service could not be used."),
}


def problem_of(error: Exception) -> Problem:
    """Say what an error means to the person at the page."""
    if isinstance(error, HTTPException):
        words = _PAGES.get(error.status_code, "That did not work.")
        own = error.detail if error.detail.endswith(".") else words
        return Problem(error.status_code, own)
    if isinstance(error, RequestValidationError):
        return _impossible(error)
    known = (_PROBLEMS[kind] for kind in type(error).__mro__ if kind in _PROBLEMS)
    return next(known, Problem(500, "That did not work."))


def _impossible(error: RequestValidationError) -> Problem:
    place = {str(part) for fault in error.errors() for part in fault["loc"]}
    if "user_id" in place:
        return Problem(404, "The number of a client is a whole number.")
    return Problem(422, "A value of that form makes no sense. Nothing was sent.")


@attrs.frozen(kw_only=True)
class PageOf(Generic[T]):
    """A part of a long list."""

    rows: Sequence[T]
    number: int
    last: int
    total: int


def page_of(found: Sequence[T], asked: str, size: int) -> PageOf[T]:
    """Cut a page out of a list; what is no number is the first, what is beyond is the last."""
    last = max(1, math.ceil(len(found) / size))
    is_number = asked.isascii() and asked.isdigit() and len(asked) < 10
    number = min(max(int(asked), 1), last) if is_number else 1
    rows = found[(number - 1) * size : number * size]
    return PageOf(rows=rows, number=number, last=last, total=len(found))


def verdict_in_words(found: Reconciliation) -> str:
    """Say what two balances prove, and by which of the assumptions."""
    if found.before is None:
        return "Nobody read the balance before the transfer, so nothing can be concluded."
    said = f"{_change(found)} {_assumed(found)}"
    match found.verdict:
        case Verdict.APPLIED:
            return f"{said} the transfer must have arrived."
        case Verdict.NOT_APPLIED:
            return f"{said} the transfer cannot have arrived."
        case _:
            return f"{_change(found)} That proves nothing: {found.reasons[-1]}."


def _change(found: Reconciliation) -> str:
    change = found.after - (found.before or 0)
    if not change:
        return "The balance did not change."
    verb = "rose" if change > 0 else "fell"
    return f"The balance {verb} by {abs(change).normalize():f}."


def _assumed(found: Reconciliation) -> str:
    spend = found.assume.max_spend
    said = [
        *(["nothing else was credited"] if found.assume.exclusive else []),
        *([f"at most {spend:f} was spent"] if spend else []),
        *(["nothing was spent"] if spend is not None and not spend else []),
    ]
    if found.verdict is Verdict.APPLIED:
        said = said[:1] if found.assume.exclusive else said
    return f"You said that {' and that '.join(said)}, so" if said else "So"

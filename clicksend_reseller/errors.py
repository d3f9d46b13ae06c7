"""The errors, one tree; each says what is known of the call's effect.

::

    ResellerError
    ├─ ConfigurationError              also a ValueError
    ├─ ClientStateError                also a RuntimeError
    ├─ APIConnectionError
    │  └─ APITimeoutError              also a TimeoutError
    ├─ APIResponseError
    ├─ APIStatusError
    │  ├─ BadRequestError              ├─ AlreadyExistsError
    │  ├─ AuthenticationError          ├─ InsufficientCreditError
    │  ├─ PermissionDeniedError        ├─ RateLimitError
    │  ├─ NotFoundError                └─ ServerError
    ├─ OutcomeUnknownError
    │  └─ TransferOutcomeUnknownError
    └─ JournalError
       ├─ KeyReusedError
       └─ UnsettledTransferError

Errors travel: they pickle, and hold no request, no header and no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from clicksend_reseller.models import Outcome

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AlreadyExistsError",
    "AuthenticationError",
    "BadRequestError",
    "ClientStateError",
    "ConfigurationError",
    "InsufficientCreditError",
    "JournalError",
    "KeyReusedError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitError",
    "ResellerError",
    "ServerError",
    "TransferOutcomeUnknownError",
    "UnsettledTransferError",
]

_MEANING = {
    Outcome.NOT_SENT: "nothing was sent",
    Outcome.REJECTED: "nothing was changed",
    Outcome.APPLIED: "the change was made: do not repeat it",
}


class _State(TypedDict, total=False):
    operation: str | None
    attempts: int
    permanent: bool


class ResellerError(Exception):
    """Anything that went wrong in a call; catch it to catch all.

    Attributes:
        operation: the name of the client's method, None outside a call.
        outcome: what is known of the call's effect.
        attempts: how many attempts began.
        permanent: True where the same call would meet the same fault, so it is not repeated.
        advice: what to do next, where there is something to say; part of the text.
        needs_renewal: nothing was sent, but the round was claimed or withdrawn in the journal, so
            that only its `renew` opens another one.
    """

    advice: str = ""
    needs_renewal: bool = False

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        outcome: Outcome = Outcome.NOT_SENT,
        attempts: int = 0,
        permanent: bool = False,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.outcome = outcome
        self.attempts = attempts
        self.permanent = permanent

    @property
    def message(self) -> str:
        """The fact alone, without operation, meaning and advice."""
        return str(self.args[0])

    def __str__(self) -> str:
        subject = self._subject()
        fact = f"{subject}: {self.message}" if subject else self.message
        return "; ".join(filter(None, (fact, _MEANING.get(self.outcome), self.advice)))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.message!r}, operation={self.operation!r}, "
            f"outcome={self.outcome.value!r}, attempts={self.attempts})"
        )

    def _subject(self) -> str:
        return self.operation or ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    cls: type[ResellerError], args: tuple[Any, ...], state: dict[str, Any]
) -> ResellerError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(ResellerError, ValueError):
    """The client cannot be used as it was set up: credentials, base URL, options."""


class ClientStateError(ResellerError, RuntimeError):
    """The client is closed, or was used from another event loop."""


class APIConnectionError(ResellerError):
    """The request provably never left (NOT_SENT), or a read got no answer (UNKNOWN).

    REJECTED where an attempt before it was refused with a 429.
    """


class APITimeoutError(APIConnectionError, TimeoutError):
    """Time ran out before the request left (NOT_SENT), or a read got no answer in time."""


class APIResponseError(ResellerError):
    """The answer is outside the documented shape.

    Attributes:
        status_code: the HTTP status.
        excerpt: the start of the answer, at most 200 characters, secrets masked.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        excerpt: str = "",
        outcome: Outcome = Outcome.UNKNOWN,
        **state: Unpack[_State],
    ) -> None:
        super().__init__(message, outcome=outcome, **state)
        self.status_code = status_code
        self.excerpt = excerpt


class APIStatusError(ResellerError):
    """The API answered with an error.

    Attributes:
        status_code: the HTTP status.
        response_code: the API's own word, such as "ALREADY_EXISTS"; None without an envelope.
        response_msg: prose that drifts: show it, never branch on it.
        field_errors: messages by field, where the API named fields.
        retry_after: seconds that the API asked to wait, where it did.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        response_code: str | None = None,
        response_msg: str = "",
        field_errors: Mapping[str, tuple[str, ...]] | None = None,
        retry_after: float | None = None,
        outcome: Outcome = Outcome.REJECTED,
        **state: Unpack[_State],
    ) -> None:
        super().__init__(message, outcome=outcome, **state)
        self.status_code = status_code
        self.response_code = response_code
        self.response_msg = response_msg
        self.field_errors: dict[str, tuple[str, ...]] = dict(field_errors or {})
        self.retry_after = retry_after


_RESELLERS_ONLY = (
    "the reseller API serves only accounts approved as resellers before 1 January 2024"
)


class BadRequestError(APIStatusError):
    """The API found fault with the values (400, 422); see `field_errors`."""


class AuthenticationError(APIStatusError):
    """The user name or API key is wrong (401)."""

    advice = "check the user name and the API key"


class PermissionDeniedError(APIStatusError):
    """The account may not do this (403)."""

    advice = _RESELLERS_ONLY


class NotFoundError(APIStatusError):
    """No such client, or no such endpoint for this account (404)."""

    advice: str = f"check the client_user_id and the base URL; {_RESELLERS_ONLY}"


class AlreadyExistsError(APIStatusError):
    """The user name is taken (ALREADY_EXISTS, on any status)."""


class InsufficientCreditError(APIStatusError):
    """The reseller's own credit does not cover it (INSUFFICIENT_CREDIT, on any status)."""


class RateLimitError(APIStatusError):
    """Too many calls (429); `retry_after` says how long the API asked to wait."""


class ServerError(APIStatusError):
    """The service failed (5xx). On a write this is the cause of an OutcomeUnknownError."""


class OutcomeUnknownError(ResellerError):
    """A write that may or may not have been applied; `__cause__` says what happened.

    It is no connection, timeout or status error, so that no retry decorator made for those
    repeats it.
    """

    advice = (
        "it may have been applied: do not repeat it before you have checked, "
        "by reading the account, whether it was"
    )

    def __init__(
        self, message: str, *, outcome: Outcome = Outcome.UNKNOWN, **state: Unpack[_State]
    ) -> None:
        super().__init__(message, outcome=outcome, **state)


class TransferOutcomeUnknownError(OutcomeUnknownError):
    """A transfer that may or may not have moved credit.

    Attributes:
        client_user_id: who may have got it.
        amount: how much, in whole units of `currency`.
        currency: of the amount.
        idempotency_key: the journal's key; None without a journal.
    """

    advice = (
        "the credit may have been moved: do not send it again before you have checked; compare "
        "the client's balance with what it was, or look for the transfer in the ClickSend dashboard"
    )

    def __init__(
        self,
        message: str,
        *,
        client_user_id: int,
        amount: int,
        currency: str,
        idempotency_key: str | None = None,
        **state: Unpack[_State],
    ) -> None:
        super().__init__(message, **state)
        self.client_user_id = client_user_id
        self.amount = amount
        self.currency = currency
        self.idempotency_key = idempotency_key

    def _subject(self) -> str:
        key = f" under the key {self.idempotency_key!r}" if self.idempotency_key else ""
        return (
            f"transfer of {self.amount} {self.currency} to client {self.client_user_id}{key}, "
            f"{'sent once' if self.attempts else 'not sent this time'}"
        )


class JournalError(ResellerError):
    """The journal failed or refused, so nothing was sent."""


class KeyReusedError(JournalError):
    """The idempotency key is on record for other values or another account."""


class UnsettledTransferError(JournalError):
    """Another transfer stands in the way: the same key in flight, or one open for the client."""

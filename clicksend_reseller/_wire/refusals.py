"""The error of an answer that is no success: a class by its code, then by its status.

The letters say how sure a line is: D documented, L reported from live calls, G a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from clicksend_reseller._wire import headers as wire_headers
from clicksend_reseller._wire import redaction, strict_json
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller._wire.response import SUCCESSES, Answer, Envelope
from clicksend_reseller.errors import (
    AlreadyExistsError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResellerError,
    ServerError,
)
from clicksend_reseller.models import Outcome

_BY_CODE: Mapping[str, type[APIStatusError]] = {
    "ACCOUNT_NOT_ACTIVATED": PermissionDeniedError,  # D
    "ALREADY_EXISTS": AlreadyExistsError,  # D
    "BAD_REQUEST": BadRequestError,  # D
    "COUNTRY_NOT_ENABLED": BadRequestError,  # L
    "EMPTY_MESSAGE": BadRequestError,  # D
    "FORBIDDEN": PermissionDeniedError,  # D
    "HTTP_TOO_MANY_REQUESTS": RateLimitError,  # L
    "INSUFFICIENT_CREDIT": InsufficientCreditError,  # D
    "INTERNAL_ERROR": ServerError,  # D
    "INTERNAL_SERVER_ERROR": ServerError,  # D
    "INVALID_CREDENTIALS": AuthenticationError,  # D
    "INVALID_LANG": BadRequestError,  # D
    "INVALID_MEDIA_FILE": BadRequestError,  # D
    "INVALID_RECIPIENT": BadRequestError,  # D
    "INVALID_SCHEDULE": BadRequestError,  # D
    "INVALID_SENDER_ID": BadRequestError,  # D
    "INVALID_VOICE": BadRequestError,  # D
    "MISSING_CREDENTIALS": AuthenticationError,  # D
    "MISSING_REQUIRED_FIELDS": BadRequestError,  # D
    "NOT_ENOUGH_PERMISSION_TO_LIST_ID": PermissionDeniedError,  # D
    "NOT_FOUND": NotFoundError,  # D
    "SOMETHING_IS_WRONG": ServerError,  # D
    "SUBJECT_REQUIRED": BadRequestError,  # D
    "THROTTLED": BadRequestError,  # D: the same SMS repeated, not a rate limit
    "TOO_MANY_RECIPIENTS": BadRequestError,  # D
    "TOO_MANY_REQUESTS": RateLimitError,  # D
    "UNAUTHORIZED": AuthenticationError,  # D
}
_BY_STATUS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: BadRequestError,
    429: RateLimitError,
}
# These name a decision, on whatever status they come.
_DECISIONS = frozenset({"ALREADY_EXISTS", "INSUFFICIENT_CREDIT"})

_MAX_MESSAGE_LENGTH = 500


@attrs.frozen(kw_only=True)
class Refusal:
    """An answer that is no success, and the error that it amounts to.

    Attributes:
        flaw: why there is no envelope, or the path of what cannot be read; else empty.
        secrets: what an error must not show, beside those in the operation's body.
    """

    operation: Operation[Any]
    answer: Answer
    envelope: Envelope | None
    flaw: str
    secrets: Sequence[str] = attrs.field(repr=False)

    def error(self) -> ResellerError:
        """Make the error of an answer that does not say success."""
        if self.answer.status not in SUCCESSES:
            return self._by_status()
        if self.envelope is None:
            return self._unreadable(self.flaw)
        return self._by_envelope(self.envelope)

    def unreadable_success(self) -> APIResponseError:
        """Make the error of a success whose model cannot be read."""
        return APIResponseError(
            f"HTTP {self.answer.status}: success, but {self.flaw} cannot be read",
            status_code=self.answer.status,
            excerpt=self._excerpt,
            outcome=Outcome.APPLIED if self.operation.writes else Outcome.UNKNOWN,
            permanent=True,
        )

    def _by_status(self) -> ResellerError:
        status, code = self.answer.status, self._code
        if code in _DECISIONS:
            return self._refused(_BY_CODE[code], Outcome.REJECTED)
        if status == 429:
            return self._refused(RateLimitError, Outcome.REJECTED)
        if 300 <= status <= 399:
            return self._unreadable("a redirect, never followed", permanent=True)
        if self.answer.flaw:
            return self._unreadable(self.flaw)
        if 500 <= status <= 599:
            return self._refused(ServerError, Outcome.UNKNOWN)
        if 400 <= status <= 499:
            return self._refused(_class_for(code, status), self._outcome_of_4xx())
        return self._unreadable(self.flaw or "no status that HTTP knows")

    def _by_envelope(self, envelope: Envelope) -> ResellerError:
        """Make the error of a 2xx with an error inside (G)."""
        code, inner = envelope.code, envelope.http_code
        cls = _class_for(code, inner)
        if code == "SUCCESS":
            return self._unreadable(f"success beside an inner http_code of {inner or 'no number'}")
        if issubclass(cls, ServerError):
            return self._refused(cls, Outcome.UNKNOWN)
        if code in _BY_CODE or (400 <= inner <= 499 and inner != 408):
            return self._refused(cls, Outcome.REJECTED)
        return self._unreadable(f"an unknown response_code {self._redacted(code)!r:.50}")

    def _unreadable(self, flaw: str, *, permanent: bool = False) -> APIResponseError:
        return APIResponseError(
            self._with_excerpt(flaw),
            status_code=self.answer.status,
            excerpt=self._excerpt,
            permanent=permanent,
        )

    def _outcome_of_4xx(self) -> Outcome:
        if self.answer.status == 408:
            return Outcome.UNKNOWN
        if self.envelope is None:
            # An edge or a gateway may speak here, not the API that decides about writes.
            return Outcome.UNKNOWN if self.operation.writes else Outcome.REJECTED
        in_doubt = self._code == "SUCCESS" or _BY_CODE.get(self._code) is ServerError
        return Outcome.UNKNOWN if in_doubt else Outcome.REJECTED

    def _refused(self, cls: type[APIStatusError], outcome: Outcome) -> APIStatusError:
        envelope = self.envelope
        fact, code, message, errors = self._with_excerpt(""), None, "", {}
        if envelope is not None:
            code = self._redacted(envelope.code)[:100]
            message = self._redacted(envelope.message)[:_MAX_MESSAGE_LENGTH]
            errors = {
                self._redacted(field): tuple(map(self._redacted, messages))
                for field, messages in _field_errors(envelope.rest)
            }
            fact = _describe(self.answer.status, code, message, errors)
        return cls(
            fact,
            status_code=self.answer.status,
            response_code=code,
            response_msg=message,
            field_errors=errors,
            retry_after=wire_headers.retry_after(
                self.answer.headers, now=datetime.now(UTC), limited=issubclass(cls, RateLimitError)
            ),
            outcome=outcome,
        )

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (*self.secrets, *self.operation.secrets())

    @property
    def _code(self) -> str:
        return self.envelope.code if self.envelope else ""

    @property
    def _excerpt(self) -> str:
        # A secret that straddles this cut lies far beyond the excerpt's own.
        start = self.answer.content[: 20 * redaction.EXCERPT_LENGTH].decode(errors="replace")
        return redaction.excerpt(start, self._secrets)

    def _with_excerpt(self, flaw: str) -> str:
        fact = ": ".join(filter(None, (f"HTTP {self.answer.status}", flaw)))
        return f"{fact}: {self._excerpt[:100]!r}" if self._excerpt else f"{fact}: an empty answer"

    def _redacted(self, text: str) -> str:
        return redaction.hide(text, self._secrets).encode(errors="replace").decode()


def refusal(status: int, code: str | None, message: str) -> APIStatusError:
    """Make the error of a refusal that is on record."""
    return _class_for(code or "", status)(
        _describe(status, code or "no response_code", message, ()),
        status_code=status,
        response_code=code,
        response_msg=message,
    )


def _describe(status: int, code: str, message: str, fields: Iterable[str]) -> str:
    names = ", ".join(f"{name!r:.50}" for name in sorted(fields)[:10])
    shown = f" (fields: {names})" if names else ""
    return f"HTTP {status} {redaction.printable(code)}: {message[:200]!r}{shown}"


def _class_for(code: str, status: int) -> type[APIStatusError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    return ServerError if 500 <= status <= 599 else _BY_STATUS.get(status, APIStatusError)


def _field_errors(fields: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Read the shapes of field errors: a map in `data` (D), or `details` beside it (D)."""
    data, details = fields.get("data"), fields.get("details")
    if strict_json.is_object(data):
        for field, content in data.items():
            messages = strict_json.array_in(content) or [content]
            if texts := tuple(text for text in messages if isinstance(text, str)):
                yield field, texts
    for detail in strict_json.array_in(details) or []:
        match detail:
            case {"field": str(field), "reason": str(reason)}:
                yield field, (reason,)
            case _:
                pass

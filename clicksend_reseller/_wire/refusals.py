"""What does an answer amount to that is no success? A class by its code, then by its status.

The letters say how sure a line is: D documented, L reported from live calls, G a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

import attrs

from clicksend_reseller._wire import headers as wire_headers
from clicksend_reseller._wire import redaction, strict_json
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller._wire.response import Answer, Envelope
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

_LONGEST_MESSAGE = 500


@attrs.frozen(kw_only=True)
class Refusal:
    """Raises what an answer amounts to."""

    operation: Operation[Any]
    answer: Answer
    envelope: Envelope | None
    secrets: Sequence[str] = attrs.field(repr=False)

    def by_status(self, flaw: str) -> NoReturn:
        status, code = self.answer.status, self._code
        if code in _DECISIONS:
            self._refused(_BY_CODE[code], Outcome.REJECTED)
        if status == 429:
            self._refused(RateLimitError, Outcome.REJECTED)
        if 300 <= status <= 399:
            self.as_unreadable("a redirect, never followed", permanent=True)
        if self.answer.flaw:
            self.as_unreadable(flaw)
        if 500 <= status <= 599:
            self._refused(ServerError, Outcome.UNKNOWN)
        if 400 <= status <= 499:
            self._refused(_class_for(code, status), self._outcome_of_4xx())
        self.as_unreadable(flaw or "no status that HTTP knows")

    def by_envelope(self) -> NoReturn:
        """A 2xx with an error inside (G)."""
        inner = cast("Envelope", self.envelope).http_code
        cls = _class_for(self._code, inner)
        if self._code == "SUCCESS":
            self.as_unreadable(f"success beside an inner http_code of {inner or 'no number'}")
        if issubclass(cls, ServerError):
            self._refused(cls, Outcome.UNKNOWN)
        if self._code in _BY_CODE or (400 <= inner <= 499 and inner != 408):
            self._refused(cls, Outcome.REJECTED)
        self.as_unreadable(f"an unknown response_code {self._hidden(self._code)!r:.50}")

    def as_unreadable(self, flaw: str, *, permanent: bool = False) -> NoReturn:
        raise APIResponseError(
            self._with_excerpt(flaw),
            status_code=self.answer.status,
            excerpt=self._excerpt,
            permanent=permanent,
        )

    def as_unreadable_success(self, path: str) -> NoReturn:
        raise APIResponseError(
            f"HTTP {self.answer.status}: success, but {path} cannot be read",
            status_code=self.answer.status,
            excerpt=self._excerpt,
            outcome=Outcome.APPLIED if self.operation.writes else Outcome.UNKNOWN,
            permanent=True,
        )

    def _outcome_of_4xx(self) -> Outcome:
        if self.answer.status == 408:
            return Outcome.UNKNOWN
        if self.envelope is None:
            # An edge or a gateway may speak here, not the API that decides about writes.
            return Outcome.UNKNOWN if self.operation.writes else Outcome.REJECTED
        in_doubt = self._code == "SUCCESS" or _BY_CODE.get(self._code) is ServerError
        return Outcome.UNKNOWN if in_doubt else Outcome.REJECTED

    def _refused(self, cls: type[APIStatusError], outcome: Outcome) -> NoReturn:
        envelope = self.envelope
        fact, code, message, errors = self._with_excerpt(""), None, "", {}
        if envelope is not None:
            code = self._hidden(envelope.code)[:100]
            message = self._hidden(envelope.message)[:_LONGEST_MESSAGE]
            errors = {
                self._hidden(field): tuple(map(self._hidden, messages))
                for field, messages in _field_errors(envelope.rest)
            }
            fact = _in_words(self.answer.status, code, message, errors)
        raise cls(
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
    def _code(self) -> str:
        return self.envelope.code if self.envelope else ""

    @property
    def _excerpt(self) -> str:
        # A secret that straddles this cut lies far beyond the excerpt's own.
        start = self.answer.content[: 20 * redaction.EXCERPT_LENGTH].decode(errors="replace")
        return redaction.excerpt(start, self.secrets)

    def _with_excerpt(self, flaw: str) -> str:
        fact = ": ".join(filter(None, (f"HTTP {self.answer.status}", flaw)))
        return f"{fact}: {self._excerpt[:100]!r}" if self._excerpt else f"{fact}: an empty answer"

    def _hidden(self, text: str) -> str:
        return redaction.hide(text, self.secrets).encode(errors="replace").decode()


def refusal(status: int, code: str | None, message: str) -> APIStatusError:
    """Make the error of a refusal that is on record."""
    return _class_for(code or "", status)(
        _in_words(status, code or "no response_code", message, ()),
        status_code=status,
        response_code=code,
        response_msg=message,
    )


def _in_words(status: int, code: str, message: str, fields: Iterable[str]) -> str:
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
        for field, said in data.items():
            messages = strict_json.array_in(said) or [said]
            if texts := tuple(text for text in messages if isinstance(text, str)):
                yield field, texts
    for detail in strict_json.array_in(details) or []:
        match detail:
            case {"field": str(field), "reason": str(reason)}:
                yield field, (reason,)
            case _:
                pass

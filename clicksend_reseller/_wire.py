"""What does ClickSend's wire mean? Model to JSON, answer to model or error.

Every oddity of ClickSend is here and in the hooks, and nothing else is. The letters say how
sure a line is: D documented, L reported from live calls, G a guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import attrs

from clicksend_reseller import _headers, _hooks, _json, _secrecy
from clicksend_reseller._operations import Operation
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
from clicksend_reseller.models import (
    Account,
    AccountPage,
    Currency,
    Outcome,
    Secret,
    Subaccount,
    TransferReceipt,
)

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")

# Where our name differs from the wire's. `balance` is the amount to move, not a balance (D).
_BODY_NAMES = {"amount": "balance"}
_SHAPES: Mapping[type, _hooks.Shape] = {
    Currency: _hooks.Shape(is_shared=True),
    Subaccount: _hooks.Shape(common_texts=("sign_up_type",)),
    Account: _hooks.Shape(
        names={"currency": "_currency", "subaccount": "_subaccount"},
        common_texts=("country", "default_country_sms", "timezone"),
    ),
}

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
class Answer:
    """What came back.

    Attributes:
        headers: names in lower case.
        flaw: why the content is not all there, or empty.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    flaw: str = ""


@attrs.frozen(kw_only=True)
class _Envelope:
    """The four words round every answer (D).

    Attributes:
        http_code: the HTTP status where the answer says none; 0 where it cannot be read.
    """

    code: str
    http_code: int
    message: str
    rest: Mapping[str, Any] = attrs.field(repr=False)


def write(body: Mapping[str, Any]) -> bytes:
    """Turn a body into JSON; the one place where secrets become plain."""
    wire = {_BODY_NAMES.get(name, name): _revealed(value) for name, value in body.items()}
    return json.dumps(wire, separators=(",", ":")).encode()


def read(operation: Operation[T], answer: Answer, *, secrets: Sequence[str] = ()) -> T:
    """Turn an answer into the operation's model.

    Args:
        operation: what was asked.
        answer: what came.
        secrets: values of the call that an error must not show.

    Raises:
        APIStatusError: the API said no, with an outcome of REJECTED or UNKNOWN.
        APIResponseError: the answer is outside the documented shape.
    """
    envelope, flaw = _open(answer)
    refuse = _Refusal(operation=operation, answer=answer, envelope=envelope, secrets=secrets)
    if not 200 <= answer.status <= 299:
        refuse.by_status(flaw)
    if envelope is None:
        refuse.as_unreadable(flaw)
    if envelope.code != "SUCCESS" or not 200 <= envelope.http_code <= 299:
        refuse.by_envelope()
    reader = cast("Callable[[Operation[Any], _Envelope], T]", _READERS[operation.returns])
    try:
        return reader(operation, envelope)
    except (ValueError, RecursionError) as exc:
        refuse.as_unreadable_success(str(exc))


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, Secret) else value


# --- bytes to envelope


def _open(answer: Answer) -> tuple[_Envelope | None, str]:
    if answer.flaw:
        return None, answer.flaw
    try:
        fields = _json.parse_object(answer.content)
    except UnicodeDecodeError:
        return None, "the answer is not UTF-8"
    except (ValueError, RecursionError) as exc:
        return None, f"the answer is not the documented JSON ({exc})"
    code = fields.get("response_code")
    if type(code) is int:  # G
        code = str(code)
    if type(code) is not str or not code:
        return None, "the answer has no response_code"
    message, http_code = fields.get("response_msg"), fields.get("http_code")
    return _Envelope(
        code=code,
        http_code=answer.status if http_code is None else _hooks.read_int(http_code) or 0,
        message=message if type(message) is str else "",
        rest=fields,
    ), ""


# --- answers that are no success


@attrs.frozen(kw_only=True)
class _Refusal:
    """Raises what an answer amounts to."""

    operation: Operation[Any]
    answer: Answer
    envelope: _Envelope | None
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
        inner = cast("_Envelope", self.envelope).http_code
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
            retry_after=_headers.retry_after(
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
        start = self.answer.content[: 20 * _secrecy.EXCERPT_LENGTH].decode(errors="replace")
        return _secrecy.excerpt(start, self.secrets)

    def _with_excerpt(self, flaw: str) -> str:
        fact = ": ".join(filter(None, (f"HTTP {self.answer.status}", flaw)))
        return f"{fact}: {self._excerpt[:100]!r}" if self._excerpt else f"{fact}: an empty answer"

    def _hidden(self, text: str) -> str:
        return _secrecy.hide(text, self.secrets).encode(errors="replace").decode()


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
    return f"HTTP {status} {_secrecy.printable(code)}: {message[:200]!r}{shown}"


def _class_for(code: str, status: int) -> type[APIStatusError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    return ServerError if 500 <= status <= 599 else _BY_STATUS.get(status, APIStatusError)


def _field_errors(fields: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Read the shapes of field errors: a map in `data` (D), or `details` beside it (D)."""
    data, details = fields.get("data"), fields.get("details")
    if _json.is_object(data):
        for field, said in data.items():
            messages = said if _json.is_array(said) else [said]
            if texts := tuple(text for text in messages if isinstance(text, str)):
                yield field, texts
    for detail in details if _json.is_array(details) else []:
        match detail:
            case {"field": str(field), "reason": str(reason)}:
                yield field, (reason,)
            case _:
                pass


# --- success to model


@cache
def converter() -> cattrs.Converter:
    """Make the converter; the first answer needs it, and importing this package does not."""
    return _hooks.make_converter(_SHAPES)


@cache
def _account_reader() -> Callable[[Any, type[Account]], Account]:
    return converter().get_structure_hook(Account)


def _read_account(_: Operation[Any], envelope: _Envelope) -> Account:
    try:
        return _account_reader()(_row(envelope.rest.get("data"), envelope.rest), Account)
    except _hooks.UnreadableError as exc:
        raise ValueError(_path("data", exc)) from None


def _read_page(_: Operation[Any], envelope: _Envelope) -> AccountPage:
    page = envelope.rest.get("data")
    if not _json.is_object(page) or not _json.is_array(rows := page.get("data")):
        raise ValueError("data.data")
    accounts: list[Account] = []
    read_account = _account_reader()
    # A row is let go when it has been read, so that its memory serves the next: 4 % of the time.
    rows.reverse()
    try:
        while rows:
            accounts.append(read_account(_row(rows.pop(), page), Account))
    except _hooks.UnreadableError as exc:
        raise ValueError(_path(f"data.data[{len(accounts)}]", exc)) from None
    number = _hooks.read_int
    return AccountPage(
        accounts=tuple(accounts),
        total=number(page.get("total")),
        per_page=number(page.get("per_page")),
        current_page=number(page.get("current_page")),
        last_page=number(page.get("last_page")),
    )


def _row(raw: Any, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Give an account's object; its currency may stand beside it."""
    if not _json.is_object(raw):
        raise _hooks.UnreadableError
    if "_currency" in raw or not (currency := beside.get("_currency")):
        return raw
    return {**raw, "_currency": currency}


def _path(place: str, fault: _hooks.UnreadableError) -> str:
    return ".".join((place, *fault.args))


def _read_receipt(operation: Operation[Any], envelope: _Envelope) -> TransferReceipt:
    try:
        account = _read_account(operation, envelope)
    except (ValueError, RecursionError):
        account = None  # the money has moved: an odd account must not look like a failure
    return TransferReceipt(**cast("dict[str, Any]", operation.body), account=account)


_READERS: Mapping[type, Callable[[Operation[Any], _Envelope], Any]] = {
    Account: _read_account,
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

"""A client in a FastAPI application, and the answers to calls that fail.

Needs the extra `[fastapi]`. Errors become problem details (RFC 9457) in words of our own, with
the API's word on each faulty field; never its other prose, an excerpt or a credential.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import make_dataclass
from typing import Annotated, Any, cast
from urllib.parse import quote

import attrs

from clicksend_reseller import (
    Account,
    AccountFields,
    AccountPage,
    AsyncResellerClient,
    Currency,
    Outcome,
    RateLimit,
    ResellerError,
    Subaccount,
    Transfer,
    TransferReceipt,
    errors,
    to_dict,
)
from clicksend_reseller._wire.operations import ENDPOINTS, Repeat

try:
    from fastapi import Depends, FastAPI, Request, WebSocket
    from fastapi.encoders import ENCODERS_BY_TYPE
    from fastapi.requests import HTTPConnection
    from fastapi.responses import JSONResponse
    from pydantic import BaseModel
except ModuleNotFoundError as _exc:
    advice = 'pip install "clicksend-reseller[fastapi]"'
    raise ModuleNotFoundError(f"this needs {_exc.name}: {advice}", name=_exc.name) from _exc

__all__ = [
    "Problem",
    "ResellerDep",
    "add_exception_handlers",
    "get_reseller",
    "problem_responses",
    "reseller_lifespan",
]

OutcomeURL = Callable[[errors.TransferOutcomeUnknownError], str]

_logger = logging.getLogger("clicksend_reseller")
_MEDIA_TYPE = "application/problem+json"
_READS = frozenset(each.name for each in ENDPOINTS if each.repeat is Repeat.FREELY)
_UNUSABLE = (502, "Upstream unusable")  # why, is for our log only
_IN_DOUBT = {Outcome.UNKNOWN: (500, "Outcome unknown"), Outcome.APPLIED: (500, "Applied")}
# Status and title; the nearest class counts, and what is not here is a fault of our own.
_PROBLEMS = {
    errors.BadRequestError: (422, "Value refused"),
    errors.NotFoundError: (404, "Client not found"),
    errors.AlreadyExistsError: (409, "User name taken"),
    errors.InsufficientCreditError: (402, "Not enough credit"),
    errors.RateLimitError: (503, "Too many calls"),
    errors.AuthenticationError: _UNUSABLE,
    errors.PermissionDeniedError: _UNUSABLE,
    errors.ConfigurationError: _UNUSABLE,
    errors.APITimeoutError: (504, "Upstream timeout"),
    errors.APIConnectionError: (502, "Upstream unreachable"),
    errors.APIResponseError: (502, "Upstream unreadable"),
    errors.APIStatusError: (502, "Upstream error"),
    errors.KeyReusedError: (409, "Key reused"),
    errors.UnsettledTransferError: (409, "Transfer unsettled"),
}
_DETAILS = {
    Outcome.NOT_SENT: "Nothing was sent.",
    Outcome.REJECTED: "Nothing was changed.",
    Outcome.UNKNOWN: "It may have been applied. Do not send it again before you have checked.",
    Outcome.APPLIED: "It was applied. Do not send it again.",
}

# What an endpoint without a return annotation gives, FastAPI turns into JSON by its own table.
for _model in (Account, AccountPage, Currency, RateLimit, Subaccount, TransferReceipt):
    ENCODERS_BY_TYPE[_model] = to_dict


def _take_from_the_body(model: type[Any]) -> None:
    """Let an argument of this class be the request's body, though it is not marked as one.

    FastAPI looks there for pydantic models, mappings and dataclasses; for any other class it
    looks in the query, where no password belongs. So the class passes for a dataclass, of the
    fields that may be shown.
    """
    shown = [field.name for field in attrs.fields(model) if field.name != "password"]
    mark = "__dataclass_fields__"
    setattr(model, mark, getattr(make_dataclass(model.__name__, shown), mark))


_take_from_the_body(AccountFields)
_take_from_the_body(Transfer)


def reseller_lifespan(
    make_client: Callable[[], AsyncResellerClient],
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, AsyncResellerClient]]]:
    """Make a lifespan that opens one client for the application and closes it at the end.

    Closing waits for writes that have left. To nest it, enter it in a lifespan of your own
    and yield the state that it gives, `{"reseller": client}`, with more in it.

    Args:
        make_client: called once, on the application's event loop.
    """

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncGenerator[dict[str, AsyncResellerClient]]:
        async with make_client() as client:
            yield {"reseller": client}

    return lifespan


async def get_reseller(connection: HTTPConnection) -> AsyncResellerClient:
    """Give the application's client; the dependency behind `ResellerDep`.

    Raises:
        RuntimeError: the application has no such lifespan; the message has the line to add.
    """
    client: AsyncResellerClient | None = getattr(connection.state, "reseller", None)
    if client is None:
        line = "app = FastAPI(lifespan=reseller_lifespan(lambda: AsyncResellerClient()))"
        raise RuntimeError(
            f"the application holds no reseller client: add {line}; where applications are "
            "mounted, to the outermost one, since the lifespans of the others are not run"
        )
    return client


class Problem(BaseModel):
    """What a failed call is answered with (RFC 9457): branch on `type` and `outcome`.

    Attributes:
        type: says which kind of failure it is.
        detail: whether something was changed, for a person.
        outcome: what is known of the call's effect.
        field_errors: the API's word on each field that it refused.
        idempotency_key: of a transfer of unknown outcome that has one.
    """

    type: str
    title: str
    status: int
    detail: str
    outcome: Outcome
    field_errors: dict[str, tuple[str, ...]] | None = None
    idempotency_key: str | None = None


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """Describe our answers for OpenAPI: `FastAPI(responses=problem_responses())`.

    Returns:
        By status. The 422 also has FastAPI's own shape, which it answers a bad request with.
    """
    titles: dict[int | str, set[str]] = {500: {"Internal error"}}
    for status, title in [*_PROBLEMS.values(), *_IN_DOUBT.values()]:
        titles.setdefault(status, set()).add(title)
    found: dict[int | str, dict[str, Any]] = {
        status: {
            "description": " / ".join(sorted(titles[status])),
            "content": {_MEDIA_TYPE: {"schema": _schema()}},
        }
        for status in sorted(titles, key=str)
    }
    found[422]["content"]["application/json"] = {"schema": _VALIDATION}
    return found


def _schema() -> dict[str, Any]:
    """Describe a problem in one piece: a reference could lead to another class of that name."""
    schema = Problem.model_json_schema()
    definitions = schema.pop("$defs")
    schema["properties"]["outcome"] = definitions["Outcome"]
    return {**schema, "description": "RFC 9457"}


_VALIDATION = {
    "title": "HTTPValidationError",
    "type": "object",
    "properties": {"detail": {"type": "array", "items": {"type": "object"}}},
}


ResellerDep = Annotated[AsyncResellerClient, Depends(get_reseller)]


def add_exception_handlers(app: FastAPI, *, outcome_url: OutcomeURL | None = None) -> None:
    """Answer each `ResellerError` with problem details (RFC 9457).

    A WebSocket is closed with 1011 and the problem's title. A mounted application has handlers
    of its own: call this for it too.

    A write that may have been applied never gets a status that clients repeat by themselves.

    Args:
        app: whose endpoints raise them.
        outcome_url: the page of a transfer whose outcome is unknown; with it such a transfer
            is answered with 202 and this Location, without it with 500.
    """

    async def answer(connection: Request | WebSocket, error: Exception) -> JSONResponse:
        if not isinstance(error, ResellerError):
            raise error
        status, title, headers = *_problem(error), dict[str, str]()
        if isinstance(error, errors.TransferOutcomeUnknownError) and outcome_url is not None:
            status, headers["Location"] = 202, quote(outcome_url(error), safe=":/%#?=@[]!$&'()*+,")
        if isinstance(error, errors.RateLimitError) and status == 503:
            # Where the API gave no time: its window looks like a minute (L).
            asked = 60 if error.retry_after is None else error.retry_after
            headers["Retry-After"] = str(math.ceil(asked))
        if status in {202, 500} or (status, title) == _UNUSABLE:
            _logger.error("answered with %d: %s", status, error, extra=_fields(error))
        if isinstance(connection, WebSocket):
            await connection.close(1011, f"{title}: {error.outcome}")
        body = _body(status, title, error)
        return JSONResponse(body, status, headers, _MEDIA_TYPE)

    app.add_exception_handler(ResellerError, cast("Any", answer))


def _fields(error: ResellerError) -> dict[str, object]:
    """Give what the log record has in `extra`, as the client's own have."""
    fields: dict[str, object] = {"operation": error.operation, "outcome": error.outcome.value}
    if isinstance(error, errors.TransferOutcomeUnknownError):
        names = ("client_user_id", "amount", "currency", "idempotency_key")
        fields |= {name: getattr(error, name) for name in names}
    return {f"clicksend_{name}": value for name, value in fields.items()}


def _problem(error: ResellerError) -> tuple[int, str]:
    if error.operation not in _READS and error.outcome in _IN_DOUBT:
        return _IN_DOUBT[error.outcome]
    known = [_PROBLEMS[cls] for cls in type(error).__mro__ if cls in _PROBLEMS]
    return known[0] if known else (500, "Internal error")


def _body(status: int, title: str, error: ResellerError) -> dict[str, Any]:
    name, is_read = title.lower().replace(" ", "-"), error.operation in _READS
    body: dict[str, Any] = {"type": f"urn:problem-type:clicksend-reseller:{name}", "title": title}
    detail = "Nothing was changed." if is_read else _DETAILS[error.outcome]
    body |= {"status": status, "detail": detail, "outcome": error.outcome.value}
    if isinstance(error, errors.BadRequestError):
        body["field_errors"] = error.field_errors
    if key := getattr(error, "idempotency_key", None):
        body["idempotency_key"] = key
    return body

"""One request from arrival to answer: logged, perhaps failed by a fault, and applied or not.

Both levels, in process and on sockets, go through here; they differ only in how they deliver.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import attrs

from clicksend_reseller.sandbox.service.api import Target, answer, identify, with_rate
from clicksend_reseller.sandbox.service.faults import BREAKING, Fault
from clicksend_reseller.sandbox.service.messages import (
    HTML,
    JSON,
    TOO_MANY,
    Reply,
    Request,
    envelope,
)
from clicksend_reseller.sandbox.service.redaction import masked_authorization, masked_query
from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest

if TYPE_CHECKING:
    from clicksend_reseller.sandbox.service.state import SandboxState

# Bytes: a page of accounts may have a hundred times as many, and 10,000 requests are kept.
ANSWER_KEPT = 8_000
_DATA = b', "data": '


@attrs.frozen(kw_only=True)
class Exchange:
    """What happened to a request, and what is to be delivered.

    Attributes:
        reply: the answer; under a fault that breaks it, the right answer or an empty one.
        entry: the transfer that it caused.
    """

    fault: Fault | None
    reply: Reply
    entry: Entry | None

    @property
    def delivers(self) -> bool:
        """The caller gets the right answer, sooner or later."""
        return self.fault is None or self.fault.kind == "slow"


def refuse(state: SandboxState, method: str, path: str) -> Fault | None:
    """Use a fault before the body is read: the connection itself is refused.

    It comes before every other fault, whichever was armed first, as it does in life.
    """
    request = Request(method=method, path=path)
    target = identify(request)
    with state.lock:
        fault = state.faults.use_first(
            lambda fault: fault.kind == "refuse" and _matches(fault, target)
        )
        if fault:
            state.changed()
    return fault


def exchange(state: SandboxState, request: Request) -> Exchange:
    """Log a request that has arrived whole, and answer it."""
    with state.lock:
        return _exchange(state, request, identify(request))


def _exchange(state: SandboxState, request: Request, target: Target) -> Exchange:
    state.requests_seen += 1
    fault = state.faults.use_first(lambda fault: fault.kind != "refuse" and _matches(fault, target))
    entries = len(state.ledger)
    normal = answer(state, request) if fault is None or fault.applies else None
    reply = _reply(fault, normal, request)
    entry = state.ledger[-1] if len(state.ledger) > entries else None
    done = Exchange(fault=fault, reply=reply, entry=entry)
    state.requests.append(_logged(state, request, target, done))
    state.changed()
    return done


def mark_delivered(state: SandboxState, exchange: Exchange) -> None:
    """Note that the caller was given the whole right answer."""
    if exchange.entry and exchange.delivers:
        with state.lock:
            state.mark_delivered(exchange.entry)


def _matches(fault: Fault, target: Target) -> bool:
    clients = {None, target.client_user_id}
    return fault.operation in {None, target.operation} and fault.client_user_id in clients


def _reply(fault: Fault | None, normal: Reply | None, request: Request) -> Reply:
    match fault:
        case Fault(kind="page"):
            return _page(fault)
        case Fault(kind="empty"):
            return Reply(status=200, headers=JSON, body=b"")
        case Fault(kind="error"):
            return _error(fault)
        case Fault(kind="limit"):
            return _limit(fault)
        case Fault(kind="redirect"):
            return _redirect(fault, request)
        case _:
            return normal or Reply(status=200, headers=JSON, body=b"{}")


def _page(fault: Fault) -> Reply:
    phrase = HTTPStatus(fault.answer_status).phrase
    body = f"<html><body>{fault.answer_status} {phrase}</body></html>".encode()
    return _with_retry_after(Reply(status=fault.answer_status, headers=HTML, body=body), fault)


def _error(fault: Fault) -> Reply:
    status = HTTPStatus(fault.answer_status)
    code = fault.response_code or status.name
    return _with_retry_after(envelope(status.value, code, f"{status.phrase}.", None), fault)


def _limit(fault: Fault) -> Reply:
    reset = 1 if fault.retry_after is None else fault.retry_after
    return with_rate(TOO_MANY, limit=20, remaining=0, reset=reset)


def _redirect(fault: Fault, request: Request) -> Reply:
    location = f"{request.path}?{request.query}" if request.query else request.path
    headers = {"location": location, "content-type": "text/html"}
    return Reply(status=fault.answer_status, headers=headers, body=b"")


def _with_retry_after(reply: Reply, fault: Fault) -> Reply:
    if fault.retry_after is None:
        return reply
    return attrs.evolve(reply, headers={**reply.headers, "retry-after": str(fault.retry_after)})


def _logged(state: SandboxState, request: Request, target: Target, done: Exchange) -> LoggedRequest:
    fault, reply = done.fault, done.reply
    answered = fault is None or fault.kind not in BREAKING
    return LoggedRequest(
        n=state.requests_seen,
        time=state.setup.clock(),
        method=request.method,
        path=request.path,
        query=masked_query(request.query),
        operation=target.operation,
        client_user_id=target.client_user_id,
        authorization=masked_authorization(request.authorization),
        body=request.body,
        status=reply.status if answered else None,
        fault=fault.kind if fault else None,
        entry=done.entry.n if done.entry else None,
        answer=_truncated(reply.body) if answered else b"",
    )


def _truncated(body: bytes) -> bytes:
    """Give what is kept of an answer: all of it, or where it is long its envelope without data."""
    head, found, _ = body.partition(_DATA)
    if len(body) <= ANSWER_KEPT or not found or len(head) > ANSWER_KEPT:
        return body[:ANSWER_KEPT]
    return head + _DATA + f'"left out: {len(body):,} bytes in all"}}'.encode()

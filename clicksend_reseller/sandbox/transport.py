"""Answers without a socket, as a transport of httpx or of httpx2.

A fault raises the error of that family that the same fault on a socket ends in. Whatever loses
an answer takes the whole body first: it has left, as it would have on a socket.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

import httpx

from clicksend_reseller.sandbox.service.exchange import Exchange, exchange, mark_delivered, refuse
from clicksend_reseller.sandbox.service.faults import KINDS
from clicksend_reseller.sandbox.service.messages import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable
    from types import ModuleType

    import httpx2

    from clicksend_reseller.sandbox.service.state import SandboxState

    # Named here, because no other file of the sandbox may know an HTTP library.
    HTTPXTransport = httpx.AsyncBaseTransport
    HTTPX2Transport = httpx2.AsyncBaseTransport
    Incoming = httpx.Request | httpx2.Request

R = TypeVar("R")


def in_httpx(state: SandboxState) -> HTTPXTransport:
    """Make a transport for an ``httpx.AsyncClient``."""

    class InProcess(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await _answer(state, request, httpx, httpx.Response)

    return InProcess()


def in_httpx2(state: SandboxState) -> HTTPX2Transport:
    """Make a transport for an ``httpx2.AsyncClient``."""
    import httpx2  # noqa: PLC0415 - an extra, and loading it is for whoever asks

    class InProcess(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return await _answer(state, request, httpx2, httpx2.Response)

    return InProcess()


async def _answer(
    state: SandboxState, request: Incoming, family: ModuleType, respond: Callable[..., R]
) -> R:
    done = await _exchange(state, request, family)
    await _wait(done)
    kind = done.fault.kind if done.fault else None
    if kind == "cut":
        return _cut(done, respond, _error(family, kind, request))
    if kind and KINDS[kind].error:
        raise _error(family, kind, request)
    mark_delivered(state, done)
    return respond(done.reply.status, headers=done.reply.headers, content=done.reply.body)


async def _exchange(state: SandboxState, request: Incoming, family: ModuleType) -> Exchange:
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    if refuse(state, request.method, path):
        raise _error(family, "refuse", request)
    arrived = Request(
        method=request.method,
        path=path,
        query=query,
        authorization=request.headers.get("authorization", ""),
        body=await _body(request),
    )
    return exchange(state, arrived)


async def _body(request: Incoming) -> bytes:
    """Take the body off its stream, as a socket does: what was read before is not there again."""
    chunks = cast("AsyncIterable[bytes]", request.stream)
    return b"".join([chunk async for chunk in chunks])


async def _wait(done: Exchange) -> None:
    """Take at least one turn of the loop, as a socket does, so that a caller can be cancelled."""
    match done.fault.kind if done.fault else None:
        case "hang" | "drip":
            await asyncio.Event().wait()
        case "slow" if done.fault:
            await asyncio.sleep(done.fault.seconds)
        case _:
            await asyncio.sleep(0)


def _error(family: ModuleType, kind: str, request: Incoming) -> Exception:
    make: Callable[..., Exception] = getattr(family, KINDS[kind].error or "")
    return make(f"the sandbox was set to fail: {kind}", request=request)


def _cut(done: Exchange, respond: Callable[..., R], error: Exception) -> R:
    body = done.reply.body
    headers = {**done.reply.headers, "content-length": str(len(body))}
    return respond(done.reply.status, headers=headers, content=_half(body, error))


async def _half(body: bytes, error: Exception) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise error

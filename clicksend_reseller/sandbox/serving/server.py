"""The sandbox on a real socket: Starlette for the routes, uvicorn below them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from clicksend_reseller.sandbox.console.routes import HOME
from clicksend_reseller.sandbox.service.api import BASE_PATH
from clicksend_reseller.sandbox.service.exchange import Exchange, exchange, mark_delivered
from clicksend_reseller.sandbox.service.faults import BREAKING
from clicksend_reseller.sandbox.service.messages import Request
from clicksend_reseller.sandbox.serving.admin import admin_app
from clicksend_reseller.sandbox.serving.events import Changes
from clicksend_reseller.sandbox.serving.sockets import Connections, break_off, tracking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from clicksend_reseller.sandbox.control import SandboxControl
    from clicksend_reseller.sandbox.service.state import SandboxState

# What cannot be dialled, and what is dialled in its place.
_WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


@attrs.frozen(kw_only=True)
class Served:
    """Where a served sandbox is.

    Attributes:
        url: the ``base_url`` of a client.
        console_url: the page to open in a browser; the admin routes stand under it.
        env: the environment variables that make AsyncResellerClient connect to it.
    """

    url: str
    console_url: str
    env: Mapping[str, str] = attrs.field(repr=False)


@asynccontextmanager
async def serve(sandbox: SandboxControl, host: str, port: int) -> AsyncGenerator[Served, None]:
    """Listen until the context ends; no signal handler is touched.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
    """
    connections: Connections = {}
    changes = Changes(sandbox.state)
    server = uvicorn.Server(_config(_app(sandbox, connections, changes), connections, host, port))
    await _start(server)
    try:
        yield _served_at(sandbox, host, server.servers[0].sockets[0].getsockname()[1])
    finally:
        await changes.close()
        for transport in [*connections.values()]:
            transport.close()  # or the silent ones would keep uvicorn waiting
        await server.shutdown()


def _config(app: ASGIApp, connections: Connections, host: str, port: int) -> uvicorn.Config:
    # uvicorn binds the port itself: on a socket of ours asyncio would leave Nagle on.
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=tracking(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # or a header could name another peer than the one to break off
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )


async def _start(server: uvicorn.Server) -> None:
    # uvicorn's serve() would take over the signals of the process and poll to see its own end.
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    try:
        await server.startup()
    except SystemExit as exc:
        # uvicorn ends the process where it cannot bind, which is not for a library to do.
        raise exc.__context__ or exc from None


def _app(sandbox: SandboxControl, connections: Connections, changes: Changes) -> Starlette:
    return Starlette(
        routes=[
            *(Route(path, _redirect_to_console) for path in ("/", "/_sandbox")),
            Mount("/_sandbox", app=admin_app(sandbox, changes)),
            Mount("/", app=_API(sandbox.state, connections)),
        ]
    )


def _redirect_to_console(_request: HTTPRequest) -> Response:
    return RedirectResponse(HOME)


def _served_at(sandbox: SandboxControl, host: str, port: int) -> Served:
    name = _WILDCARD_HOSTS.get(host, host)
    root = f"http://{f'[{name}]' if ':' in name else name}:{port}"
    setup = sandbox.state.setup
    env = {
        "CLICKSEND_BASE_URL": root + BASE_PATH,
        "CLICKSEND_USERNAME": setup.username,
        "CLICKSEND_API_KEY": setup.api_key,
    }
    return Served(url=root + BASE_PATH, console_url=root + HOME, env=env)


class _API:
    """The application behind everything that is not the sandbox's own."""

    def __init__(self, state: SandboxState, connections: Connections) -> None:
        self._state = state
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await _read_request(scope, receive)
        except ClientDisconnect:
            return
        done = exchange(self._state, request)
        if done.fault and done.fault.kind in BREAKING:
            await self._break_off(done, scope, receive)
        elif not (done.fault and done.fault.kind == "slow" and await _gives_up(receive, done)):
            await self._deliver(done, scope, receive, send)

    async def _break_off(self, done: Exchange, scope: Scope, receive: Receive) -> None:
        transport = self._connections.get(scope["client"])
        if done.fault and transport:
            await break_off(done.fault.kind, transport, done.reply)
        await _disconnected(receive)

    async def _deliver(self, done: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        reply = done.reply
        # Noted first: whoever has the answer and asks the ledger, from any thread, finds the note.
        mark_delivered(self._state, done)
        await Response(reply.body, reply.status, reply.headers)(scope, receive, send)


async def _read_request(scope: Scope, receive: Receive) -> Request:
    http = HTTPRequest(scope, receive)
    return Request(
        method=http.method,
        path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("ascii"),
        authorization=http.headers.get("authorization", ""),
        body=await http.body(),
    )


async def _gives_up(receive: Receive, done: Exchange) -> bool:
    """Wait for as long as a slow answer takes, or until nobody waits for it."""
    try:
        async with asyncio.timeout(done.fault.seconds if done.fault else 0):
            await _disconnected(receive)
    except TimeoutError:
        return False
    return True


async def _disconnected(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()

"""The admin API, JSON under /_sandbox/, by which other processes steer and read a sandbox."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clicksend_reseller.sandbox import serialize
from clicksend_reseller.sandbox.console.routes import console_routes
from clicksend_reseller.sandbox.identity import answer_to, is_challenge
from clicksend_reseller.sandbox.openapi.description import describe
from clicksend_reseller.sandbox.service.faults import make_served_fault
from clicksend_reseller.sandbox.service.forms import read_json
from clicksend_reseller.sandbox.service.messages import to_json
from clicksend_reseller.sandbox.serving.same_origin import same_origin_only

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from clicksend_reseller.sandbox.control import SandboxControl
    from clicksend_reseller.sandbox.serving.events import Changes


def admin_app(sandbox: SandboxControl, changes: Changes) -> ASGIApp:
    """Make the application behind ``/_sandbox``."""
    admin = _Admin(sandbox, changes)
    routes = [
        *console_routes(sandbox),
        Route("/health", admin.health),
        Route("/identity", admin.identity),
        Route("/openapi.json", admin.openapi),
        Route("/state", admin.state),
        Route("/ledger", admin.ledger),
        Route("/requests", admin.requests),
        Route("/events", admin.events),
        Route("/faults", admin.faults, methods=["GET"]),
        Route("/faults", admin.arm, methods=["POST"]),
        Route("/faults", admin.clear, methods=["DELETE"]),
        Route("/faults/{id:int}", admin.disarm, methods=["DELETE"]),
        Route("/reset", admin.reset, methods=["POST"]),
        Route("/accounts", admin.add_account, methods=["POST"]),
        Route("/accounts/{id:int}/spend", admin.spend, methods=["POST"]),
    ]
    handlers = {ValueError: _impossible, TypeError: _impossible}
    return same_origin_only(Starlette(routes=routes, exception_handlers=handlers))


class _Admin:
    """Each route is a line or two over the sandbox's own methods."""

    def __init__(self, sandbox: SandboxControl, changes: Changes) -> None:
        self._sandbox = sandbox
        self._changes = changes

    async def health(self, _request: Request) -> Response:
        return _json({"status": "ok"})

    async def identity(self, request: Request) -> Response:
        challenge = request.query_params.get("challenge", "")
        if not is_challenge(challenge):
            raise ValueError("challenge must be 32 hexadecimal digits that were never used before")
        setup = self._sandbox.state.setup
        return _json(answer_to(challenge, username=setup.username, api_key=setup.api_key))

    async def openapi(self, _request: Request) -> Response:
        return _json(describe(self._sandbox.state.setup.rates))

    async def state(self, _request: Request) -> Response:
        return _json(serialize.state(self._sandbox.state))

    async def ledger(self, request: Request) -> Response:
        after = _after(request)
        return _json([serialize.entry(entry) for entry in self._sandbox.ledger if entry.n > after])

    async def requests(self, request: Request) -> Response:
        after = _after(request)
        logged = self._sandbox.requests
        return _json([serialize.request(request) for request in logged if request.n > after])

    async def events(self, _request: Request) -> Response:
        headers = {"cache-control": "no-store"}
        stream = self._changes.stream()
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    async def faults(self, _request: Request) -> Response:
        return _json([serialize.fault(armed) for armed in self._sandbox.faults])

    async def arm(self, request: Request) -> Response:
        given = await _body(request)
        kind = str(given.pop("kind", ""))
        # Money is read as Decimal; a fault's seconds and chance are plain numbers.
        where: Any = {name: _plain(value) for name, value in given.items()}
        make_served_fault(kind, **where)
        self._sandbox.fail(kind, **where)
        return _json(serialize.fault(self._sandbox.faults[-1]), status=201)

    async def clear(self, _request: Request) -> Response:
        self._sandbox.clear_faults()
        return Response(status_code=204)

    async def disarm(self, request: Request) -> Response:
        found = self._sandbox.clear_fault(request.path_params["id"])
        return Response(status_code=204) if found else _error(404, "no such fault is armed")

    async def reset(self, request: Request) -> Response:
        self._sandbox.reset()
        return await self.state(request)

    async def add_account(self, request: Request) -> Response:
        added = self._sandbox.add_account(**await _body(request))
        return _json(self._account(added["user_id"]), status=201)

    async def spend(self, request: Request) -> Response:
        user_id = request.path_params["id"]
        amount = (await _body(request)).get("amount", "1")
        if user_id not in self._sandbox.state.clients:
            return _error(404, f"no client {user_id} in this sandbox")
        self._sandbox.spend(user_id, amount)
        return _json(self._account(user_id))

    def _account(self, user_id: int) -> dict[str, Any]:
        return serialize.account(self._sandbox.state.clients[user_id])


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def _json(content: object, *, status: int = 200) -> Response:
    return Response(to_json(content), status_code=status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status=status)


async def _impossible(_request: Request, exc: Exception) -> Response:
    return _error(422, str(exc))


async def _body(request: Request) -> dict[str, Any]:
    content = await request.body()
    fields = read_json(content) if content else {}
    if fields is None:
        raise ValueError("the body must be a JSON object")
    return fields


def _after(request: Request) -> int:
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"after must be a number from 0 on, not {text!r}")
    return int(text)

"""What a call costs over other clients, for orientation: httpx2, aiohttp, ours over aiohttp."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx2
from httpx_aiohttp import AiohttpTransport

from bench import calls
from bench.measure import Effort, Figure, cpu_of_call, interleave, ratio
from bench.server import Address
from clicksend_reseller import AsyncResellerClient

_CREDENTIALS = ("someone", "a-key-for-the-bench")
_AT_ONCE = {1: "one at a time", 50: "50 at once"}

Call = Callable[[], Awaitable[Any]]


async def figures(server: Address, effort: Effort) -> list[Figure]:
    """Measure each beside raw httpx, which is what ours is measured against too."""
    async with contextlib.AsyncExitStack() as stack:
        found: dict[str, Call] = {
            "httpx": await stack.enter_async_context(calls.httpx_get(server)),
            "`httpx2.AsyncClient.get`": await stack.enter_async_context(_httpx2(server)),
            "aiohttp by hand": await stack.enter_async_context(_aiohttp(server)),
            "`get_account` over httpx-aiohttp": await stack.enter_async_context(_ours(server)),
        }
        return [
            figure
            for at_once, tasks in _AT_ONCE.items()
            for figure in await _beside_httpx(found, effort, at_once, tasks)
        ]


async def _beside_httpx(
    found: dict[str, Call], effort: Effort, at_once: int, tasks: str
) -> list[Figure]:
    def measured(call: Call) -> Callable[[], Awaitable[float]]:
        return lambda: cpu_of_call(call, calls=effort.calls, at_once=at_once)

    contestants = {name: measured(call) for name, call in found.items()}
    seconds = await interleave(contestants, rounds=effort.share(0.5))
    below = seconds.pop("httpx")
    return [
        ratio(f"CPU of {name}, {tasks}", above, below, against=calls.HTTPX)
        for name, above in seconds.items()
    ]


@contextlib.asynccontextmanager
async def _httpx2(server: Address) -> AsyncIterator[Call]:
    url = f"{server.base_url()}/reseller/accounts/10000"
    async with httpx2.AsyncClient(auth=_CREDENTIALS, trust_env=False) as client:

        async def get() -> Any:
            return json.loads((await client.get(url)).content)

        yield get


@contextlib.asynccontextmanager
async def _aiohttp(server: Address) -> AsyncIterator[Call]:
    url = f"{server.base_url()}/reseller/accounts/10000"
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth(*_CREDENTIALS)) as session:

        async def get() -> Any:
            async with session.get(url) as response:
                return json.loads(await response.read())

        yield get


@contextlib.asynccontextmanager
async def _ours(server: Address) -> AsyncIterator[Call]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    transport = AiohttpTransport(client=aiohttp.ClientSession(connector=connector))
    options: dict[str, Any] = {"base_url": server.base_url(), "max_concurrency": 50}
    async with AsyncResellerClient(*_CREDENTIALS, transport=transport, **options) as client:
        yield lambda: client.get_account(10_000)

"""What does one call cost, alone and among many?"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import tenacity

from bench.measure import (
    Effort,
    Figure,
    cpu_of_call,
    interleave,
    quantity,
    ratio,
)
from bench.server import Address
from clicksend_reseller import Account, AsyncResellerClient
from clicksend_reseller._calls.state import CallState
from clicksend_reseller._wire import operations

HTTPX = "`httpx.AsyncClient.get` and `json.loads`"


async def figures(server: Address, effort: Effort) -> list[Figure]:
    """Measure `get_account`."""
    return [
        *await _beside_httpx(server, effort),
        *await _a_thousand(server, effort),
        await _connections(server),
        *await _retry_policy(effort),
    ]


async def _beside_httpx(server: Address, effort: Effort) -> list[Figure]:
    async with ours(server) as one, ours(server, 50) as many, httpx_get(server) as theirs:
        seconds = await interleave(
            {
                "ours, 1": lambda: cpu_of_call(one, calls=effort.calls, at_once=1),
                "httpx, 1": lambda: cpu_of_call(theirs, calls=effort.calls, at_once=1),
                "ours, 50": lambda: cpu_of_call(many, calls=effort.calls, at_once=50),
                "httpx, 50": lambda: cpu_of_call(theirs, calls=effort.calls, at_once=50),
            },
            rounds=effort.rounds,
        )
    return [
        ratio(
            f"CPU of `get_account`, {tasks}",
            seconds[f"ours, {at_once}"],
            seconds[f"httpx, {at_once}"],
            against=HTTPX,
            target=target,
        )
        for tasks, at_once, target in (("one at a time", 1, 0.46), ("50 at once", 50, 0.21))
    ]


async def _a_thousand(server: Address, effort: Effort) -> list[Figure]:
    calls = 2 * effort.calls + 1000
    async with (
        ours(server) as one,
        ours(server, 100) as hundred,
        ours(server, 1000) as thousand,
    ):
        seconds = await interleave(
            {
                "1": lambda: cpu_of_call(one, calls=effort.calls, at_once=1),
                "100": lambda: cpu_of_call(hundred, calls=calls, at_once=1000),
                "1000": lambda: cpu_of_call(thousand, calls=calls, at_once=1000),
            },
            rounds=effort.share(0.5),
        )
    return [
        ratio(
            f"CPU of `get_account`, 1,000 at once, `max_concurrency={places}`",
            seconds[places],
            seconds["1"],
            against="one at a time",
            target=1.10,
        )
        for places in ("100", "1000")
    ]


async def _connections(server: Address) -> Figure:
    """Count the connections that 1,000 calls at once open, with 1,000 places for them."""
    async with httpx.AsyncClient() as counter:
        before = int((await counter.get(server.connections)).text)
        async with ours(server, 1000, milliseconds=50) as call:
            await cpu_of_call(call, calls=1000, at_once=1000)
        opened = int((await counter.get(server.connections)).text) - before
    return ratio(
        "connections for 2,000 calls, 1,000 at once",
        [opened],
        [1000],
        against="calls at once",
        target=1.0,
        unit="connections",
    )


async def _retry_policy(effort: Effort) -> list[Figure]:
    """Measure what is added to an attempt so that it can be repeated; here it never fails."""
    async with AsyncResellerClient(
        "someone", "key", transport=httpx.MockTransport(_refuse)
    ) as client:
        calls, tried = client._calls, 100 * effort.calls
        call: CallState[Account] = CallState(
            operation=operations.get_account(1), guard=None, began=0.0, ends_at=0.0
        )

        async def attempt(_: object = None) -> None:
            """Leave nothing but the policy to be measured."""

        vars(calls._attempts)["make"] = attempt
        seconds = await interleave(
            {
                "bare": lambda: cpu_of_call(attempt, calls=tried, at_once=1),
                "ours": lambda: cpu_of_call(
                    lambda: calls._with_retries(call), calls=tried, at_once=1
                ),
                "tenacity": lambda: cpu_of_call(
                    lambda: tenacity.AsyncRetrying()(attempt), calls=tried // 20, at_once=1
                ),
            },
            rounds=effort.rounds,
        )
    added, by_tenacity = (
        [
            with_policy - bare
            for with_policy, bare in zip(seconds[name], seconds["bare"], strict=True)
        ]
        for name in ("ours", "tenacity")
    )
    return [
        quantity("the retry policy, where nothing fails", added, unit="µs", target=1.0),
        quantity("tenacity round every call, where nothing fails", by_tenacity, unit="µs"),
    ]


def _refuse(_: httpx.Request) -> httpx.Response:
    raise AssertionError("nothing is sent here")


# --- contestants


@contextlib.asynccontextmanager
async def ours(
    server: Address, max_concurrency: int = 10, *, milliseconds: int = 0
) -> AsyncIterator[Callable[[], Awaitable[Account]]]:
    """Give a call of ours."""
    async with AsyncResellerClient(
        "someone",
        "a-key-for-the-bench",
        base_url=server.base_url(milliseconds=milliseconds),
        max_concurrency=max_concurrency,
    ) as client:
        yield lambda: client.get_account(10_000)


@contextlib.asynccontextmanager
async def httpx_get(server: Address) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Give the call that people write."""
    url = f"{server.base_url()}/reseller/accounts/10000"
    headers = {"Authorization": httpx.BasicAuth("someone", "a-key-for-the-bench")._auth_header}
    async with httpx.AsyncClient(headers=headers) as client:

        async def get() -> Any:
            return json.loads((await client.get(url)).content)

        yield get

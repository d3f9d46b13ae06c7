"""How long does it take to walk over the whole account list?"""

from __future__ import annotations

import json
import math

import httpx

from bench.accounts import PER_PAGE
from bench.measure import Effort, Figure, interleave, ratio, seconds_of
from bench.server import Address
from clicksend_reseller import AsyncResellerClient

LATENCY = 0.05
PREFETCH = 8


async def figures(server: Address, effort: Effort) -> list[Figure]:
    """Measure walks through a server that takes 50 ms for each page."""
    pages = 100 if effort.rounds > 1 else 20
    ahead = await interleave(
        {
            "all": lambda: _walk(server, pages, PREFETCH),
            "4,000": lambda: _walk(server, 40, PREFETCH),
        },
        rounds=effort.share(0.5),
    )
    in_turn = await interleave(
        {"ours": lambda: _walk(server, pages, 0), "raw": lambda: _raw_walk(server, pages)},
        rounds=effort.share(0.2),
    )
    return [
        _beside_ideal(f"walk of {pages} pages, `prefetch={PREFETCH}`", ahead["all"], pages, 1.20),
        _beside_ideal(f"walk of 4,000 accounts, `prefetch={PREFETCH}`", ahead["4,000"], 40, 1.30),
        ratio(
            f"walk of {pages} pages, one after the other",
            in_turn["ours"],
            in_turn["raw"],
            against="a loop of `httpx.AsyncClient.get` and `json.loads`",
            target=1.02,
            unit="s",
        ),
    ]


def _beside_ideal(question: str, seconds: list[float], pages: int, target: float) -> Figure:
    rounds_of_fetches = 1 + math.ceil((pages - 1) / PREFETCH)
    return ratio(
        question,
        seconds,
        [rounds_of_fetches * LATENCY] * len(seconds),
        against=f"{rounds_of_fetches} × 50 ms",
        target=target,
        unit="s",
    )


async def _walk(server: Address, pages: int, prefetch: int) -> float:
    url = server.base_url(milliseconds=round(LATENCY * 1000), pages=pages)
    async with AsyncResellerClient("someone", "a-key-for-the-bench", base_url=url) as client:

        async def walk() -> None:
            accounts = client.iter_accounts(limit=PER_PAGE, prefetch=prefetch)
            assert pages * PER_PAGE == sum([1 async for _ in accounts])

        return await seconds_of(walk)


async def _raw_walk(server: Address, pages: int) -> float:
    url = server.base_url(milliseconds=round(LATENCY * 1000), pages=pages)
    async with httpx.AsyncClient() as client:

        async def walk() -> None:
            met = 0
            for page in range(1, pages + 1):
                asked = f"{url}/reseller/accounts?page={page}&limit={PER_PAGE}"
                answer = json.loads((await client.get(asked)).content)
                met += sum(1 for _ in answer["data"]["data"])
            assert pages * PER_PAGE == met

        return await seconds_of(walk)

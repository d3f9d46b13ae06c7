"""What does it cost to begin: to import, and to make a client?"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx

from bench.measure import Effort, Figure, interleave, number_from, quantity, ratio
from clicksend_reseller import AsyncResellerClient

LIBRARIES = "import asyncio, httpx, attrs, cattrs, tenacity"
OURS = "from clicksend_reseller import AsyncResellerClient"
LAZY = "import clicksend_reseller"


async def figures(effort: Effort, official: Path | None) -> list[Figure]:
    """Measure imports in fresh processes, and clients in this one."""
    seconds = await interleave(
        {
            "ours": lambda: _import(OURS),
            "libraries": lambda: _import(LIBRARIES),
            "lazy": lambda: _import(LAZY),
        },
        rounds=effort.rounds,
    )
    return [
        ratio(
            f"`{OURS}`",
            seconds["ours"],
            seconds["libraries"],
            against=f"`{LIBRARIES}`",
            target=1.1,
            unit="ms",
        ),
        *(await _beside_official(effort, official) if official else []),
        quantity(f"`{LAZY}`", seconds["lazy"], unit="ms", target=15.0),
        *await _second_client(effort),
    ]


async def _beside_official(effort: Effort, official: Path) -> list[Figure]:
    seconds = await interleave(
        {
            "ours": lambda: _import(OURS),
            "official": lambda: _import("import clicksend", str(official)),
        },
        rounds=effort.share(0.3),
    )
    against = "`import clicksend`, the official SDK"
    return [
        ratio(
            f"`{OURS}`",
            seconds["ours"],
            seconds["official"],
            against=against,
            target=0.10,
            unit="ms",
        )
    ]


async def _second_client(effort: Effort) -> list[Figure]:
    AsyncResellerClient("someone", "a-key-for-the-bench")
    seconds = await interleave(
        {"ours": _make_ours, "httpx": _make_httpx},
        rounds=effort.rounds,
    )
    return [
        quantity("make a second client", seconds["ours"], unit="ms", target=1.0),
        quantity("make an `httpx.AsyncClient()`", seconds["httpx"], unit="ms"),
    ]


def _make_ours() -> float:
    began = time.process_time()
    AsyncResellerClient("someone", "a-key-for-the-bench")
    return time.process_time() - began


def _make_httpx() -> float:
    began = time.process_time()
    httpx.AsyncClient()
    return time.process_time() - began


def _import(statement: str, python: str = sys.executable) -> float:
    clock = "import time; began = time.process_time()"
    return number_from([python, "-c", f"{clock}\n{statement}\nprint(time.process_time() - began)"])

"""What does a call of the official SDK cost? It blocks, and lives in an environment of its own."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from bench import calls
from bench.measure import Effort, Figure, cpu_of_call, interleave, ratio
from bench.server import Address

SCRIPT = Path(__file__).with_name("official_calls.py")


async def figures(server: Address, effort: Effort, official: Path | None) -> list[Figure]:
    """Measure its calls, one at a time, beside ours."""
    if official is None:
        return []
    theirs = await asyncio.create_subprocess_exec(
        official, SCRIPT, server.base_url(), stdin=PIPE, stdout=PIPE
    )
    async with calls.ours(server) as one:
        await _seconds_of_a_call(theirs, 10)
        seconds = await interleave(
            {
                "ours": lambda: cpu_of_call(one, calls=effort.calls, at_once=1),
                "official": lambda: _seconds_of_a_call(theirs, effort.calls),
            },
            rounds=effort.share(0.5),
        )
    assert theirs.stdin is not None
    theirs.stdin.close()
    await theirs.wait()
    return [
        ratio(
            "CPU of `get_account`, one at a time",
            seconds["ours"],
            seconds["official"],
            against="the official SDK, which blocks",
        )
    ]


async def _seconds_of_a_call(process: Process, calls: int) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"%d\n" % calls)
    return float(await process.stdout.readline())

"""What does a call of the official SDK cost? It blocks, and lives in an environment of its own."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

from bench import calls
from bench.measure import Effort, Figure, answer_of, cpu_of_call, interleave, ratio
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
        await answer_of(theirs, "10")
        seconds = await interleave(
            {
                "ours": lambda: cpu_of_call(one, calls=effort.calls, at_once=1),
                "official": lambda: answer_of(theirs, str(effort.calls)),
            },
            rounds=effort.share(0.5),
        )
    await theirs.communicate(b"")
    return [
        ratio(
            "CPU of `get_account`, one at a time",
            seconds["ours"],
            seconds["official"],
            against="the official SDK, which blocks",
        )
    ]

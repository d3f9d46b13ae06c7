"""How is something measured? In rounds, each of which takes every contestant in turn.

A machine is never quiet, so seconds of different minutes say little about each other. Ratios of
one round do: what slows one contestant slows the other.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import subprocess
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import cast

import attrs

Contestant = Callable[[], float | Awaitable[float]]


@attrs.frozen(kw_only=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: of quick measurements; slow ones take a share of them.
        calls: in one measurement of calls.
        held: accounts, where memory is measured.
    """

    rounds: int
    calls: int
    held: int

    def share(self, part: float) -> int:
        """Give a part of the rounds, and at least one."""
        return max(1, round(self.rounds * part))


THOROUGH = Effort(rounds=15, calls=400, held=100_000)
QUICK = Effort(rounds=1, calls=100, held=5_000)


@attrs.frozen(kw_only=True)
class Figure:
    """One figure of one run.

    Attributes:
        question: what was measured.
        against: what stands below the line of the ratio; empty for a plain quantity.
        unit: of the quantity; empty for a ratio.
        target: not to be exceeded; None where a peer is shown for orientation only.
        value: the median of the rounds.
        low: the lowest round.
        high: the highest round.
        above: the quantity above the line, with its unit.
        below: the quantity below the line, with its unit.
    """

    question: str
    value: float
    low: float
    high: float
    against: str = ""
    unit: str = ""
    target: float | None = None
    above: str = ""
    below: str = ""

    @property
    def reached(self) -> bool:
        """As the figure is shown: two decimals."""
        return self.target is None or round(self.value, 2) <= self.target


def ratio(
    question: str,
    above: Sequence[float],
    below: Sequence[float],
    *,
    against: str,
    target: float | None = None,
    unit: str = "µs",
) -> Figure:
    """Divide round by round.

    Args:
        question: what was measured.
        above: seconds, or bytes, of each round.
        below: the same of the peer.
        against: who the peer is.
        target: not to be exceeded.
        unit: in which the quantities are shown.
    """
    ratios = [ours / theirs for ours, theirs in zip(above, below, strict=True)]
    return Figure(
        question=question,
        against=against,
        target=target,
        value=_rounded(median(ratios)),
        low=_rounded(min(ratios)),
        high=_rounded(max(ratios)),
        above=_shown(median(above), unit),
        below=_shown(median(below), unit),
    )


def quantity(
    question: str, values: Sequence[float], *, unit: str, target: float | None = None
) -> Figure:
    """Show what has no peer.

    Args:
        question: what was measured.
        values: seconds of each round.
        unit: in which it is shown.
        target: not to be exceeded, in that unit.
    """
    scaled = [value * _PER_SECOND.get(unit, 1) for value in values]
    return Figure(
        question=question,
        unit=unit,
        target=target,
        value=_rounded(median(scaled)),
        low=_rounded(min(scaled)),
        high=_rounded(max(scaled)),
    )


_PER_SECOND = {"µs": 1e6, "ms": 1e3, "s": 1.0}


def _shown(value: float, unit: str) -> str:
    scaled = value * _PER_SECOND.get(unit, 1)
    return f"{scaled:,.{0 if scaled >= 100 else 2}f} {unit}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


# --- rounds


async def interleave(
    contestants: Mapping[str, Contestant], *, rounds: int
) -> dict[str, list[float]]:
    """Measure each contestant once in every round, each round beginning with another one."""
    results: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for n in range(rounds):
        for name in names[n % len(names) :] + names[: n % len(names)]:
            gc.collect()
            result = contestants[name]()
            results[name].append(await result if inspect.isawaitable(result) else result)
    return results


def cpu_of(work: Callable[[], object], *, times: int) -> float:
    """Give the CPU seconds of one piece of work."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


async def cpu_of_call(call: Callable[[], Awaitable[object]], *, calls: int, at_once: int) -> float:
    """Give the CPU seconds of one call, made by so many tasks; connections are open already."""
    await _spread(call, range(at_once), at_once)
    began = time.process_time()
    await _spread(call, range(calls), at_once)
    return (time.process_time() - began) / calls


async def seconds_of(work: Callable[[], Awaitable[object]]) -> float:
    """Give the seconds that pass on the clock."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def number_from(command: Sequence[str]) -> float:
    """Run a fresh process and read the number that it prints."""
    return float(_printed_by(command))


def numbers_from(command: Sequence[str]) -> dict[str, float]:
    """Run a fresh process and read the numbers that it prints as a JSON object."""
    return cast("dict[str, float]", json.loads(_printed_by(command)))


async def answer_of(process: Process, question: str) -> float:
    """Ask a process that answers each line of its input with a number."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{question}\n".encode())
    return float(await process.stdout.readline())


def _printed_by(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


async def _spread(
    call: Callable[[], Awaitable[object]], numbers: Iterable[int], at_once: int
) -> None:
    left = iter(numbers)

    async def task() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*[task() for _ in range(at_once)])

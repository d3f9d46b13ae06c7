"""How much room do accounts take that are held? Run as a script, it holds them and says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench import accounts, decoding
from bench.measure import Effort, Figure, interleave, number_from, ratio

READERS: Mapping[str, Callable[[bytes], Iterable[Any]]] = {
    "dicts": lambda content: json.loads(content)["data"]["data"],
    "ours": decoding.read_page,
}


async def figures(effort: Effort) -> list[Figure]:
    """Measure in fresh processes."""

    def size(name: str) -> Callable[[], float]:
        command = [sys.executable, "-m", "bench.memory", name, str(effort.held)]
        return lambda: number_from(command)

    sizes = await interleave({name: size(name) for name in READERS}, rounds=effort.share(0.15))
    return [
        ratio(
            f"{effort.held:,} accounts held, bytes each",
            sizes["ours"],
            sizes["dicts"],
            against="the plain dicts",
            target=0.65,
            unit="bytes",
        )
    ]


def _hold(read: Callable[[bytes], Iterable[Any]], number: int) -> float:
    """Give the bytes that each account takes."""
    list(read(accounts.page_answer(1, 1, accounts.rows(1))))
    held: list[Any] = []
    before = _resident()
    for page in range(1, number // accounts.PER_PAGE + 1):
        held.extend(read(accounts.page_answer(page, page, accounts.rows(page))))
    return (_resident() - before) / len(held)


def _resident() -> int:
    """Give the memory of this process in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        import resource  # noqa: PLC0415 - not on every system

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(_hold(READERS[sys.argv[1]], int(sys.argv[2])))  # noqa: T201 - to the figure's process

"""How quick is the SDK beside others? `python3 noxfile.py -s bench` prints, writes and draws it.

Everything is measured in one run, contestants in turn, the server in another process.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import (
    calls,
    decoding,
    imports,
    journaled,
    memory,
    peer_clients,
    peer_official,
    peer_openapi,
    pinning,
    report,
    server,
    walks,
)
from bench.measure import QUICK, THOROUGH, Effort, Figure

Question = Callable[[], Awaitable[list[Figure]]]


def main() -> None:
    """Measure, print, and unless it was quick write what the docs show."""
    wanted = _arguments()
    pinning.take_first_core()
    pinning.allow_many_connections()
    effort = QUICK if wanted.quick else THOROUGH
    with server.running() as address:
        figures = asyncio.run(_measure(_questions(address, effort, wanted), wanted.only))
    if not wanted.quick and not wanted.only:
        report.write(figures)
        print(f"\nwritten: {', '.join(report.written())}")  # noqa: T201 - to a person


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 noxfile.py -s bench --", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round in seconds, nothing written"
    )
    parser.add_argument("--only", metavar="QUESTION", help="one of the files, such as decoding")
    parser.add_argument("--official", type=Path, help="a Python that has the official SDK")
    parser.add_argument("--openapi", type=Path, help="a Python that has openapi-python-client")
    return parser.parse_args()


def _questions(
    address: server.Address, effort: Effort, wanted: argparse.Namespace
) -> dict[str, Question]:
    return {
        "calls": lambda: calls.figures(address, effort),
        "decoding": lambda: decoding.figures(effort),
        "walks": lambda: walks.figures(address, effort),
        "imports": lambda: imports.figures(effort, wanted.official),
        "memory": lambda: memory.figures(effort),
        "journaled": lambda: journaled.figures(effort),
        "clients": lambda: peer_clients.figures(address, effort),
        "official": lambda: peer_official.figures(address, effort, wanted.official),
        "openapi": lambda: peer_openapi.figures(address, effort, wanted.openapi),
    }


async def _measure(questions: dict[str, Question], only: str | None) -> list[Figure]:
    figures = []
    for name, question in questions.items():
        if only in {None, name}:
            for figure in await question():
                print(report.line(figure), flush=True)  # noqa: T201 - to a person
                figures.append(figure)
    return figures


if __name__ == "__main__":
    main()

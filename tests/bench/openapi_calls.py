"""What does a call of a generated client cost? A script for the environment that has its needs.

Its arguments are the folder that the client was generated into and a base URL. For each line of
its input, so many calls and so many at once, it prints the CPU seconds of one call.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

from bench.measure import cpu_of_call


async def main(folder: str, base_url: str) -> None:
    """Answer lines with seconds."""
    sys.path.insert(0, folder)
    generated = importlib.import_module("generated")
    get_account: Any = importlib.import_module("generated.api.default.get_account")
    options = {"token": "c29tZW9uZTprZXk=", "prefix": "Basic"}
    async with generated.AuthenticatedClient(base_url=base_url, **options) as client:

        async def call() -> None:
            answer = await get_account.asyncio(10_000, client=client)
            assert answer.data.user_id

        for line in sys.stdin:
            calls, at_once = map(int, line.split())
            seconds = await cpu_of_call(call, calls=calls, at_once=at_once)
            print(seconds, flush=True)  # noqa: T201 - to peer_openapi


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

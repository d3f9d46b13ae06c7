"""How does a test wait for what has no event?"""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Wait until something holds, and give up after so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - bounded just above
            await asyncio.sleep(0.002)

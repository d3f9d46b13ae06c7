"""How does a test wait for what has no event?"""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; give up after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - bounded just above
            await asyncio.sleep(0.005)

"""Limiters: one that counts how often it is entered, one that does something on leaving."""

import asyncio


class Limiter:
    """Counts how often it is entered; slow where a test says so."""

    def __init__(self, *, on_enter=None, on_exit=None):
        self.entered = 0
        self.inside = 0
        self.on_enter = on_enter
        self.on_exit = on_exit

    async def __aenter__(self):
        if self.on_enter is not None:
            await self.on_enter()
        self.entered += 1
        self.inside += 1

    async def __aexit__(self, *exc):
        self.inside -= 1
        if self.on_exit is not None:
            await self.on_exit()


def raising(error):
    """Make a hook that raises this very error."""

    async def hook():
        raise error

    return hook


class Leaving:
    """A limiter that does something when it is left."""

    def __init__(self, leave):
        self.leave = leave

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        await self.leave()


async def cancelled_from_within() -> None:
    """Do what a cancelled future does to whoever waits for it."""
    raise asyncio.CancelledError


async def hang() -> None:
    """Never come back."""
    await asyncio.Event().wait()

"""Connecting to whichever address of a host answers first (RFC 8305, "Happy Eyeballs").

asyncio has this too, but uvloop's `create_connection` does not take the option.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeAlias

Address: TypeAlias = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]

# Seconds before the next address is tried beside the last one, as the RFC recommends.
DELAY = 0.25


async def connect(host: str, port: int, *, local_address: str | None = None) -> socket.socket:
    """Connect; whatever ends this early, cancellation too, leaves no socket.

    Raises:
        OSError: the host has no address, or none of its addresses answered.
    """
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        return await _connected(addresses[0], local_address)
    return await _first_of(_alternating(addresses), local_address)


async def _resolve(host: str, port: int) -> Sequence[Address]:
    with contextlib.suppress(socket.gaierror):
        # Nothing is looked up for the digits of an address, so no thread is needed.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """Take the two families in turn, beginning with the one that the system prefers."""
    preferred = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for each in chain(*zip_longest(preferred, others)) if each]


async def _connected(address: Address, local_address: str | None) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(0)
        if local_address is not None:
            sock.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _first_of(addresses: list[Address], local_address: str | None) -> socket.socket:
    waiting, errors = list(addresses), list[BaseException]()
    racing: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or racing:
            if waiting:
                racing.add(asyncio.create_task(_connected(waiting.pop(0), local_address)))
            delay = DELAY if waiting else None
            done, _ = await asyncio.wait(racing, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                racing.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                errors.append(error)
    finally:
        for task in racing:
            _abandon(task)
    raise OSError("; ".join(dict.fromkeys(map(str, errors))))


def _abandon(task: asyncio.Task[socket.socket]) -> None:
    """End a connect that lost; it may have won at the same moment."""
    task.cancel()
    task.add_done_callback(_close)


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()

"""Faults below HTTP, on the connection that the request came by."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from clicksend_reseller.sandbox.service.messages import Reply

Peer = tuple[str, int]
Connections = dict[Peer, asyncio.Transport]

DRIP_SECONDS = 0.2


def tracking(connections: Connections) -> type[H11Protocol]:
    """Make uvicorn's protocol keep its transport where the application finds it by its peer."""

    class Tracked(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            super().connection_made(transport)
            if self.client:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    return Tracked


async def break_off(kind: str, transport: asyncio.Transport, reply: Reply) -> None:
    """Do to a connection what this kind of fault does; silence is doing nothing."""
    match kind:
        case "reset":
            _reset(transport)
        case "lost":
            transport.close()
        case "cut":
            _write_and_close(transport, _head(reply) + reply.body[: len(reply.body) // 2])
        case "garbage":
            _write_and_close(transport, b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        case "drip":
            await _drip(transport, _head(reply) + reply.body)
        case _:
            pass


def _reset(transport: asyncio.Transport) -> None:
    # A linger of zero seconds makes the kernel send RST in place of FIN.
    plain: socket.socket = transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _write_and_close(transport: asyncio.Transport, content: bytes) -> None:
    transport.write(content)
    transport.close()


async def _drip(transport: asyncio.Transport, content: bytes) -> None:
    for index in range(len(content)):
        if transport.is_closing():
            return
        transport.write(content[index : index + 1])
        await asyncio.sleep(DRIP_SECONDS)
    transport.close()


def _head(reply: Reply) -> bytes:
    headers = {**reply.headers, "content-length": str(len(reply.body))}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")

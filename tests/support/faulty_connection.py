"""What happens on one connection of the fault server? Requests in, answers or faults out.

Requests without a fault are answered where they come in; a fault is played step by
step in a task that ends with the server.
"""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast

import attrs

from support import tls
from support.good_answers import Write, answer, envelope, operation_of, write_of
from support.wire_faults import Do, Scene, Send, Stage, Step, Wait, WireFault

if TYPE_CHECKING:
    from support.fault_server import FaultServer

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED = b"\r\ntransfer-encoding: chunked"
_LINE_END, _HEAD_END = b"\r\n", b"\r\n\r\n"
_NO_LINGER = struct.pack("ii", 1, 0)


@attrs.frozen
class Request:
    """What the server has seen of one request, whole or not."""

    connection: int
    """The number of the connection that brought it, from 0."""
    port: int
    head: bytes
    """Everything up to and with the empty line; less, if less has come."""
    body: bytes
    complete: bool
    """Has its whole body been read? `body` has every byte that came, read or not."""
    method: str
    path: str
    """With the query, as it stands in the request line; empty until that line is whole."""
    unsized: bool = False
    """Does it come in chunks, without a Content-Length? Then it is never read."""

    @classmethod
    def read(cls, seen: bytes, connection: int, port: int) -> Self:
        """Read the first request in these bytes, as far as it is there."""
        head, split, rest = seen.partition(_HEAD_END)
        line = seen.partition(_LINE_END)[0] if _LINE_END in seen else b""
        method, _, target = line.decode("latin-1").rpartition(" ")[0].partition(" ")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        unsized = bool(split) and not length and _CHUNKED in head.lower()
        whole = bool(split) and len(rest) >= size and not unsized
        return cls(connection, port, head + split, rest[:size], whole, method, target, unsized)

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; of a repeated header, the last."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def operation(self) -> str | None:
        """The client's method that sends such a request; None for a wrong route."""
        return operation_of(self.method, self.path)

    @property
    def write(self) -> Write | None:
        """What it would change, by the name used in `FaultServer.applied`."""
        return write_of(self.operation, self.path, self.body)


class _PeerGoneError(Exception):
    """The other side has closed: the rest of a fault has no audience."""


class Door(asyncio.Protocol):
    """A new connection, until its first request may come: here strike the early faults."""

    def __init__(self, server: "FaultServer", port: int) -> None:
        self._server = server
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        bare = cast("asyncio.Transport", transport)
        number = self._server.accepted(bare)
        connection = Connection(self._server, self._port, number)
        fault = self._server.choose(number, None)
        if fault and not fault.certificate:
            bare.set_protocol(connection)
            connection.play(fault, bare)
        elif context := self._context(fault):
            self._server.start(self._greet(bare, context, connection), "handshake")
        else:
            bare.set_protocol(connection)
            connection.connection_made(bare)

    def _context(self, fault: WireFault | None) -> ssl.SSLContext | None:
        if fault and fault.certificate:
            return cast("ssl.SSLContext", getattr(tls, fault.certificate)())
        return self._server.ssl_context

    async def _greet(
        self, bare: asyncio.Transport, context: ssl.SSLContext, connection: "Connection"
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            safe = await loop.start_tls(bare, connection, context, server_side=True)
        except (OSError, asyncio.CancelledError):
            connection.connection_lost(None)
            raise
        if safe:
            connection.connection_made(safe)


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each with its fault or without."""

    def __init__(self, server: "FaultServer", port: int, number: int) -> None:
        self._server = server
        self._port = port
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._gone = False
        self._read = False
        self._illegible = False
        self._writable = True
        self._chosen = self._busy = False
        self._noted: int | None = None
        self._changed = asyncio.Event()

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.open_transports[self._number] = self._transport
        self._advance()

    def data_received(self, data: bytes) -> None:
        self._server.bytes_seen[self._number] += len(data)
        self._buffer = self._buffer + data if self._buffer else data
        self._changed.set()
        self._advance()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._note()
        self._server.open_transports.pop(self._number, None)
        self._changed.set()

    # Requests without a fault: no task, no waiting

    def _advance(self) -> None:
        while self._buffer and self._transport and not self._busy:
            request = self._request()
            fault = self._fault(request)
            if fault:
                self.play(fault)
            elif not request.complete:
                return
            else:
                self._read = True
                self._note()
                self._server.apply(request)
                self._answer(request)

    def _fault(self, request: Request) -> WireFault | None:
        """Choose once, when the first line is whole.

        Only on the main port: the other one shows who was sent there.
        """
        if request.unsized:
            return _UNSIZED
        if self._chosen or not request.method:
            return None
        self._chosen = True
        return self._server.choose_for(request) if self._port == self._server.port else None

    def _answer(self, request: Request) -> None:
        good = self._server.good_answer(request)
        if self._server.chunk:
            self.play(WireFault("", Stage.REQUEST, (Send(good, chunk=self._server.chunk),)))
            return
        self._write(good)
        self._next(request)

    def _next(self, request: Request) -> None:
        self._buffer = self._buffer[len(request.head) + len(request.body) :]
        self._chosen = self._busy = self._read = False
        self._noted = None

    # Requests with a fault: its steps, in a task that the server keeps

    def play(self, fault: WireFault, transport: asyncio.Transport | None = None) -> None:
        self._busy = True
        if transport:
            self._transport = transport
            self._illegible = self._server.ssl_context is not None
        self._server.start(self._play(fault), fault.name)

    async def _play(self, fault: WireFault) -> None:
        try:
            for step in fault.steps:
                await self._take(step)
        except _PeerGoneError:
            return
        if not self._gone and fault.at is Stage.REQUEST:
            self._next(self._request())
            self._advance()

    async def _take(self, step: Step) -> None:
        match step:
            case Send():
                await self._send(step)
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Do():
                await _STEPS[step](self)

    async def _read_head(self) -> None:
        await self._until(lambda: _HEAD_END in self._buffer)
        self._note()

    async def _read_all(self) -> None:
        await self._until(lambda: self._request().complete)
        self._read = True
        self._note()

    async def _apply(self) -> None:
        self._server.apply(self._request())

    async def _fin(self) -> None:
        """Close our half, and throw away what comes until the peer closes too.

        Closing with unread bytes would send a RST in place of the FIN.
        """
        if self._socket().can_write_eof():
            self._socket().write_eof()
        else:
            self._socket().close()
        await self._stall()
        raise _PeerGoneError

    async def _rst(self) -> None:
        bare = self._socket().get_extra_info("socket")
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._socket().abort()
        raise _PeerGoneError

    async def _stall(self) -> None:
        while not self._gone:
            self._changed.clear()
            await self._changed.wait()

    async def _send(self, send: Send) -> None:
        data = memoryview(send.render(self._scene()))
        size = send.chunk or max(len(data), 1)
        while True:
            for first in range(0, len(data), size):
                self._write(data[first : first + size])
                await asyncio.sleep(send.pause)
                await self._until(lambda: self._writable)
            if not send.forever:
                return

    async def _until(self, come: Callable[[], bool]) -> None:
        while not come():
            if self._gone:
                raise _PeerGoneError
            self._changed.clear()
            await self._changed.wait()

    # What is known of this exchange

    def _request(self) -> Request:
        return Request.read(self._buffer, self._number, self._port)

    def _note(self) -> None:
        """Write down what has come of this request, and again when more has come.

        What lies in the kernel's hands or comes after we hung up is seen, but nobody read it.
        """
        if self._illegible:
            return
        requests, request = self._server.requests, self._request()
        if not self._read:
            request = attrs.evolve(request, complete=False)
        if self._noted is None and self._buffer:
            self._noted = len(requests)
            requests.append(request)
        elif self._noted is not None and not requests[self._noted].complete:
            requests[self._noted] = request

    def _scene(self) -> Scene:
        request = self._request()
        path = request.path.removeprefix("/v3")
        here, there = (
            self._server.address(port) + path for port in (self._port, self._server.other_port)
        )
        return Scene(self._server.good_answer(request), here, there)

    def _socket(self) -> asyncio.Transport:
        if self._transport is None or self._gone:
            raise _PeerGoneError
        return self._transport

    def _write(self, data: bytes | memoryview) -> None:
        self._socket().write(data)


_UNSIZED = WireFault(
    "unsized",
    Stage.REQUEST,
    (Send(answer(411, envelope(411, "LENGTH_REQUIRED", "Say how long it is.", None))), Do.FIN),
)
"""The answer to a chunked request: nobody here should send one."""

_STEPS = {
    Do.READ_HEAD: Connection._read_head,
    Do.READ_ALL: Connection._read_all,
    Do.APPLY: Connection._apply,
    Do.FIN: Connection._fin,
    Do.RST: Connection._rst,
    Do.STALL: Connection._stall,
}

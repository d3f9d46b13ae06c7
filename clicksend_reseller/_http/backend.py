"""Sockets by asyncio, behind httpcore's public network-backend interface.

A backend opens the socket of one connection and knows it from then on, so that a connection
that was cut off half made can be closed, and an idle one watched. httpcore's own backends cost
more: anyio's checkpoints are six turns of the loop for each call.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, cast

import httpcore

from clicksend_reseller._http import happy_eyeballs

# Above so many unread bytes the socket is not read any further.
READ_AHEAD = 64 * 1024

_LINGER = "hh" if sys.platform == "win32" else "ii"
_FORGET_UNSENT = struct.pack(_LINGER, 1, 0)
_SEND_THE_REST = struct.pack(_LINGER, 0, 0)


class Backend(httpcore.AsyncNetworkBackend):
    """Opens one connection's socket.

    Args:
        withholds_last_byte: what is read is HTTP from the first byte on (see `Stream.read`).

    Attributes:
        stream: the socket, as soon as it is connected.
    """

    def __init__(self, *, withholds_last_byte: bool = True) -> None:
        self.stream: Stream | None = None
        self._withholds_last_byte = withholds_last_byte

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's name
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """Connect.

        Raises:
            httpcore.ConnectTimeout: not in time.
            httpcore.ConnectError: not at all.
        """
        async with _connect_timeout(timeout):
            sock = await happy_eyeballs.connect(host, port, local_address=local_address)
            for option in socket_options or ():
                sock.setsockopt(*option)
            # From now until an answer has been read the kernel forgets what was not sent, also
            # when the process dies: it would deliver a write after everybody has given it up.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FORGET_UNSENT)
            stream = Stream(sock, withholds_last_byte=self._withholds_last_byte)
            await asyncio.get_running_loop().create_connection(lambda: stream, sock=sock)
        self.stream = stream
        return stream


class Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One socket, read and written by one exchange at a time.

    It is not read before something is wanted of it: what a server says at once may belong to
    the TLS handshake.
    """

    _transport: asyncio.Transport

    def __init__(self, sock: socket.socket, *, withholds_last_byte: bool) -> None:
        self._sock = sock
        self._withheld = int(withholds_last_byte)
        self._unread = b""
        self._eof = False  # nothing more will come
        self._closed = False  # nothing more can be sent
        self._error: BaseException | None = None
        self._congested = False
        self._waiter: asyncio.Future[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._on_idle_closed: Callable[[], None] | None = None  # set while the connection is idle

    # What httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Give what has come, without its last byte: that is given when it is asked for.

        h11 asks for more only while its answer is not whole, so that what came beyond an
        answer stays here, where it is seen, and not in h11's buffer.

        Raises:
            httpcore.ReadTimeout: nothing came in time.
            httpcore.ReadError: the connection was reset.
        """
        while not self._unread and not self._eof:
            self._transport.resume_reading()
            await self._wait_for_change(timeout, httpcore.ReadTimeout)
        if self._unread:
            size = min(max_bytes, max(1, len(self._unread) - self._withheld))
            given, self._unread = self._unread[:size], self._unread[size:]
            return given
        if self._error is not None:
            raise httpcore.ReadError(_reason(self._error)) from self._error
        return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send; wait while the socket does not take any more.

        Raises:
            httpcore.WriteTimeout: it was not taken in time.
            httpcore.WriteError: the connection is gone.
        """
        if not buffer:
            return
        self._on_idle_closed = None
        if not self._closed:
            self._transport.write(buffer)
        while self._congested and not self._closed:
            await self._wait_for_change(timeout, httpcore.WriteTimeout)
        if self._closed:
            raise httpcore.WriteError(_reason(self._error)) from self._error

    async def aclose(self) -> None:
        """Close."""
        self.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's name
    ) -> Stream:
        """Speak TLS from now on; without success the socket is closed.

        Raises:
            httpcore.ConnectTimeout: not in time.
            httpcore.ConnectError: the handshake failed.
        """
        try:
            async with _connect_timeout(timeout):
                self._transport = await self._handshake(ssl_context, server_hostname, timeout)
        except BaseException:
            self.abort()
            raise
        self._withheld = 1
        return self

    def get_extra_info(self, info: str) -> Any:
        """Give what httpcore and tools that trace it ask for."""
        if info == "is_readable":
            return bool(self._unread or self._eof)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))

    # What the stack of connections calls

    def answered(self) -> None:
        """Note that an answer has been read to its end: closing is a normal close from now on."""
        with contextlib.suppress(OSError):  # it may be closed already
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _SEND_THE_REST)

    def make_idle(self, seconds: float, on_closed: Callable[[], None]) -> bool:
        """Watch the socket while nobody uses it.

        Args:
            seconds: it may lie idle.
            on_closed: called when it cannot serve any more; it is closed by then.

        Returns:
            Whether it can serve another exchange.
        """
        if self._unread or self._eof or not self._withheld:
            return False
        self._transport.resume_reading()
        self._on_idle_closed = on_closed
        self._expiry = asyncio.get_running_loop().call_later(seconds, self._close_idle, on_closed)
        return True

    def reuse(self) -> bool:
        """End the time limit of `make_idle`; the socket is watched until something is written.

        Returns:
            False if the limit has passed while the loop was busy; the socket is closed then.
        """
        expiry = cast("asyncio.TimerHandle", self._expiry)
        expiry.cancel()
        in_time = expiry.when() > asyncio.get_running_loop().time()
        if not in_time:
            self.abort()
        return in_time and not self._eof

    def abort(self) -> None:
        """Close at once; what was not sent is not sent."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._on_idle_closed = None
        self._eof = self._closed = True
        self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and read nothing yet."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Keep it; on an idle connection it belongs to nobody."""
        if self._on_idle_closed is not None:
            self._close_idle(self._on_idle_closed)
            return
        self._unread += data
        if len(self._unread) > READ_AHEAD:
            self._transport.pause_reading()
        self._notify()

    def eof_received(self) -> bool:
        """Note that nothing more comes; what was asked before can still be sent."""
        self._end()
        return self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the socket is closed, and why."""
        self._closed = True
        self._error = exc if not self._eof else self._error
        self._end()

    def pause_writing(self) -> None:
        """Let `write` wait."""
        self._congested = True

    def resume_writing(self) -> None:
        """Let `write` go on."""
        self._congested = False
        self._notify()

    # Helpers

    async def _handshake(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None, seconds: float | None
    ) -> asyncio.Transport:
        if self._unread or self._eof:
            raise OSError("the server spoke or hung up before the TLS handshake")
        transport = await asyncio.get_running_loop().start_tls(
            self._transport,
            self,
            ssl_context,
            server_hostname=server_hostname,
            # asyncio's own limit must not end it first, under another name.
            ssl_handshake_timeout=None if seconds is None else seconds + 1,
        )
        if transport is None:
            raise OSError("the server hung up right after the TLS handshake")
        return transport

    def _end(self) -> None:
        self._eof = True
        if self._on_idle_closed is not None:
            self._close_idle(self._on_idle_closed)
        self._notify()

    def _close_idle(self, on_closed: Callable[[], None]) -> None:
        self._on_idle_closed = None
        self._error = ConnectionResetError("the idle connection was closed")
        self.abort()
        on_closed()

    async def _wait_for_change(self, seconds: float | None, late: type[Exception]) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError as exc:
            raise late from exc
        finally:
            self._waiter = None

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _reason(exc: BaseException | None) -> str:
    return str(exc) if exc is not None else "the connection was closed"


@contextlib.asynccontextmanager
async def _connect_timeout(seconds: float | None) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise httpcore.ConnectTimeout(str(exc)) from exc
    except OSError as exc:
        raise httpcore.ConnectError(str(exc)) from exc

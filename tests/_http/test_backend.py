"""Sockets by asyncio and by uvloop, behind httpcore's interface, against real peers."""

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpcore
import pytest

from clicksend_reseller._http import backend
from clicksend_reseller._http.backend import Backend, Stream
from support import tls
from support.fault_server import FaultServer

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(params=LOOPS)
def run(request):
    """Run a coroutine on a loop of each kind."""

    def run(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(work, 30))

    return run


@contextlib.asynccontextmanager
async def meeting(*, secure: bool = False, **options: Any) -> AsyncIterator[tuple[Stream, Peer]]:
    """Give both ends of a connection."""
    arrived: asyncio.Queue[Peer] = asyncio.Queue()

    async def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put((reader, writer))

    context = tls.server_context() if secure else None
    door = await asyncio.start_server(arrive, "127.0.0.1", 0, ssl=context)
    try:
        stream = await Backend(**options).connect_tcp(
            "127.0.0.1", door.sockets[0].getsockname()[1], timeout=10
        )
        if secure:
            stream = await stream.start_tls(tls.client_context(), "localhost", timeout=10)
        peer = await arrived.get()
        try:
            yield stream, peer
        finally:
            stream.abort()
            peer[1].transport.abort()
    finally:
        door.close()
        await asyncio.sleep(0.01)  # its transports end


@pytest.mark.parametrize("secure", [False, True])
def test_the_last_byte_is_held_back_until_it_is_asked_for(run, secure):
    """So what lies beyond an answer is seen here, and not in a parser's buffer."""

    async def story():
        async with meeting(secure=secure) as (stream, (_, writer)):
            writer.write(b"answer")
            assert [b"answe", b"r"] == [await stream.read(100), await stream.read(100)]
            assert stream.make_idle(60, lambda: None)
            await stream.write(b"again")
            writer.write(b"answer")
            assert b"ans" == await stream.read(3)
            assert not stream.make_idle(60, lambda: None)

    run(story())


def test_what_is_not_http_is_given_whole(run):
    """What a SOCKS proxy says; but then nobody can say what lies beyond it."""

    async def story():
        async with meeting(withholds_last_byte=False) as (stream, (_, writer)):
            writer.write(b"\5\0")
            assert b"\5\0" == await stream.read(100)
            assert not stream.make_idle(60, lambda: None)

    run(story())


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("farewell", [True, False])
def test_an_end_is_no_error(run, secure, farewell):
    """Whether the peer says it in TLS or lets the socket end."""

    async def story():
        async with meeting(secure=secure) as (stream, (_, writer)):
            if farewell:
                writer.close()
            else:
                descriptor = os.dup(writer.get_extra_info("socket").fileno())
                with socket.socket(fileno=descriptor) as bare:
                    bare.shutdown(socket.SHUT_WR)
            assert b"" == await stream.read(100)
            assert stream.get_extra_info("is_readable")

    run(story())


@pytest.mark.parametrize("secure", [False, True])
def test_a_reset_is_an_error(run, secure):
    """And what is written after it does not get through."""

    async def story():
        async with meeting(secure=secure) as (stream, (_, writer)):
            bare = writer.get_extra_info("socket")
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            with pytest.raises(httpcore.ReadError):
                await stream.read(100)
            with pytest.raises(httpcore.WriteError):
                await stream.write(b"?")

    run(story())


@pytest.mark.parametrize("secure", [False, True])
def test_reading_pauses_above_a_small_buffer(run, secure):
    """Whatever a server sends, and nobody reads."""

    async def story():
        async with meeting(secure=secure) as (stream, (_, writer)):
            size = 20 * backend.READ_AHEAD * 10
            writer.write(b"x" * size)
            came = len(await stream.read(1))
            await asyncio.sleep(0.1)  # whatever the kernel holds could have come
            assert len(stream._unread) < 6 * backend.READ_AHEAD
            while came < size:
                came += len(await stream.read(1 << 20))
            assert size == came

    run(story())


@pytest.mark.parametrize("secure", [False, True])
def test_writing_waits_for_a_peer_that_does_not_read(run, secure):
    """And ends in time, or when the peer reads again."""

    async def story():
        async with meeting(secure=secure) as (stream, (reader, writer)):
            reading: Any = writer.transport
            reading.pause_reading()
            with pytest.raises(httpcore.WriteTimeout):
                await write_on(stream)
            writing = asyncio.ensure_future(stream.write(b"y"))
            await asyncio.sleep(0)
            assert not writing.done()
            reading.resume_reading()
            while not writing.done():
                assert await reader.read(1 << 20)
            await writing

    run(story())


async def write_on(stream: Stream) -> None:
    """Write more than any buffer takes; asyncio's TLS looks at its own only between two writes."""
    for _ in range(400):
        await stream.write(b"x" * 64 * 1024, timeout=0.1)


def test_waiting_has_an_end(run):
    """For those who set one."""

    async def story():
        async with meeting() as (stream, _):
            with pytest.raises(httpcore.ReadTimeout):
                await stream.read(100, timeout=0.01)
            await stream.write(b"")

    run(story())


def test_the_kernel_forgets_what_was_not_sent_until_an_answer_has_been_read(run):
    """And does not cut off a connection that was closed in good order."""

    async def story():
        async with meeting() as (stream, (reader, _)):
            bare = stream.get_extra_info("socket")
            assert (1, 0) == lingering(bare)
            stream.answered()
            assert 0 == lingering(bare)[0]
            await stream.aclose()
            assert b"" == await reader.read()
        stream.answered()  # closed long ago, which is no matter

    run(story())


def lingering(bare: socket.socket) -> tuple[int, int]:
    """Read whether a close lingers, and how long."""
    on, seconds = struct.unpack("ii", bare.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
    return on, seconds


def test_tools_that_trace_can_ask_for_the_socket(run):
    """By httpcore's names."""

    async def story():
        async with meeting(secure=True) as (stream, (_, writer)):
            assert writer.get_extra_info("sockname") == stream.get_extra_info("server_addr")
            assert writer.get_extra_info("peername") == stream.get_extra_info("client_addr")
            assert "http/1.1" != stream.get_extra_info("ssl_object").version()
            assert not stream.get_extra_info("is_readable")
            assert stream.get_extra_info("nonsense") is None

    run(story())


def test_bytes_before_the_handshake_end_it(run):
    """Somebody on the way could have put them there."""

    async def story():
        async with meeting() as (stream, (_, writer)):
            writer.write(b"220 hello")
            await stream.read(3)
            with pytest.raises(httpcore.ConnectError, match="before the TLS handshake"):
                await stream.start_tls(tls.client_context(), "localhost")

    run(story())


def test_a_peer_that_is_gone_after_the_handshake_is_an_error(run, monkeypatch):
    """The loop gives nothing then."""

    async def story():
        async with meeting() as (stream, _):
            monkeypatch.setattr(
                asyncio, "get_running_loop", lambda: Loop(asyncio.events.get_running_loop())
            )
            with pytest.raises(httpcore.ConnectError, match="right after the TLS handshake"):
                await stream.start_tls(tls.client_context(), "localhost")

    class Loop:
        def __init__(self, real):
            self.real = real

        async def start_tls(self, *_, **__):
            return None

        def __getattr__(self, name):
            return getattr(self.real, name)

    run(story())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("never_accepts", httpcore.ConnectTimeout),
        ("nobody_listens", httpcore.ConnectError),
    ],
)
def test_a_connect_that_fails_says_how(run, fault, error):
    """In httpcore's words."""

    async def story():
        async with FaultServer.striking(fault) as server:
            with pytest.raises(error):
                await Backend().connect_tcp("127.0.0.1", server.port, timeout=0.2)

    run(story())


@pytest.mark.parametrize("turns", range(10))
def test_a_connect_or_handshake_that_is_cancelled_leaves_no_socket(run, turns):
    """At whichever turn of the loop it is cut: the peer sees the end of each."""
    peers: list[asyncio.Task[None]] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(100):
                pass
        writer.close()

    async def story():
        def accept(*both):
            peers.append(asyncio.ensure_future(say_nothing(*both)))

        door = await asyncio.start_server(accept, "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]

        async def greet():
            stream = await Backend().connect_tcp("127.0.0.1", port, timeout=5)
            await stream.start_tls(tls.client_context(), "localhost", timeout=5)

        greeting = asyncio.ensure_future(greet())
        for _ in range(turns):
            await asyncio.sleep(0)
        greeting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await greeting
        await asyncio.sleep(0.01)  # the peers see the end
        async with asyncio.timeout(5):
            await asyncio.gather(*peers)
        door.close()

    run(story())


def test_socket_options_are_set(run):
    """As httpcore's interface offers them."""

    async def story():
        async with FaultServer() as server:
            option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            stream = await Backend().connect_tcp("127.0.0.1", server.port, socket_options=[option])
            assert stream.get_extra_info("socket").getsockopt(*option[:2])
            stream.abort()

    run(story())

"""Proxies of each kind, on real sockets, and the URLs of those that are none."""

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clicksend_reseller import (
    APIConnectionError,
    AsyncResellerClient,
    ConfigurationError,
    Outcome,
    RetryPolicy,
)
from clicksend_reseller._http import proxies
from support import tls
from support.clients import make_client
from support.fault_server import FaultServer

ONCE = RetryPolicy(max_retries=0)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, to the end."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
    writer.close()


class SocksProxy:
    """Speaks SOCKS5 (RFC 1928) without authentication; it leads to one port, or refuses."""

    def __init__(self, port: int, *, method: bytes = b"\0", tail: bytes = b"") -> None:
        self.port, self.method, self.tail = port, method, tail
        self.connections = self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        (count,) = (await reader.readexactly(2))[1:]
        await reader.readexactly(count)
        writer.write(b"\5" + self.method)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            kind = (await reader.readexactly(4))[3]
            size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
            await reader.readexactly(size + 2)
            writer.write(b"\5\0\0\1" + bytes(6))
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        self.ended += 1
        writer.close()


@contextlib.asynccontextmanager
async def serving(proxy: SocksProxy) -> AsyncIterator[str]:
    """Give its URL."""
    door = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with door:
        yield f"socks5://127.0.0.1:{door.sockets[0].getsockname()[1]}"
        await asyncio.sleep(0.01)  # the proxy's connections end


@pytest.mark.parametrize(("secure", "connections"), [(False, 3), (True, 1)])
async def test_socks_is_spoken(secure, connections):
    """Without TLS what lies beyond an answer cannot be seen, so nothing is used again."""
    context = tls.server_context() if secure else None
    options: dict[str, Any] = {"ssl_context": tls.client_context()} if secure else {}
    async with FaultServer(ssl_context=context) as server:
        proxy = SocksProxy(server.port)
        async with serving(proxy) as url, make_client(server, proxy=url, **options) as client:
            await client.transfer_credit(1, 5, "AUD")
            await client.get_account(1)
            await client.get_account(2)
        assert {("transfer", 1, 5): 1} == server.applied
        assert connections == proxy.connections


async def test_a_socks_proxy_that_refuses_leaves_no_socket():
    """httpcore forgets the socket there; ours is closed."""
    async with FaultServer() as server:
        proxy = SocksProxy(server.port, method=b"\xff")
        async with serving(proxy) as url, make_client(server, proxy=url, retry=ONCE) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.transfer_credit(1, 5, "AUD")
            async with asyncio.timeout(2):
                while not proxy.ended:  # noqa: ASYNC110  # bounded just above
                    await asyncio.sleep(0.001)
        assert 0 == len(server.requests)
    assert Outcome.NOT_SENT is caught.value.outcome


class HTTPProxy:
    """Answers CONNECT, and can speak TLS itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            far_writer.write(head)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy_that_is_spoken_to_by_https_has_the_same_authority(secure):
    """One context for both: a company's proxy has the company's certificate."""
    context = tls.server_context() if secure else None
    async with FaultServer(ssl_context=context) as server:
        proxy = HTTPProxy(server.port)
        door = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls.server_context())
        url = f"https://localhost:{door.sockets[0].getsockname()[1]}"
        async with door:
            options: dict[str, Any] = {"proxy": url, "ssl_context": tls.client_context()}
            async with make_client(server, **options) as client:
                await client.transfer_credit(1, 5, "AUD")
                assert [1, 2] == [(await client.get_account(n)).user_id for n in (1, 2)]
            await server.quiet()
        assert {("transfer", 1, 5): 1} == server.applied
        assert 1 == proxy.connections


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://proxy.test:0", "port"),
        ("http://proxy.test:65536", "port"),
        ("socks5://proxy.test:99999", "port"),
        ("http://proxy.test:eighty", "no URL"),
        ("http://", "no URL"),
        ("ftp://proxy.test", "no URL"),
    ],
)
def test_a_proxy_that_cannot_be_one_is_refused_before_the_first_call(proxy, said):
    """And not by an exception group in the middle of a transfer."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        AsyncResellerClient("user", "key", proxy=proxy)
    assert "test" not in str(caught.value)


def test_a_missing_socksio_is_named_before_the_first_call(monkeypatch):
    """With the command that adds it."""
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"socksio.*pip install"):
        AsyncResellerClient("user", "key", proxy="socks5://127.0.0.1:1080")
    assert importlib.util.find_spec("socksio")


async def test_no_exception_group_is_in_a_message():
    """Each address that refused stands in it, in plain words."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://localhost:{closed.getsockname()[1]}"
        async with AsyncResellerClient("user", "key", proxy=proxy, retry=ONCE) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.get_account(1)
    assert "Group" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)

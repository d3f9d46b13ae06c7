"""Over which connections? On real sockets, with the server's counts as oracle."""

import asyncio
import contextlib
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from clicksend_reseller import (
    APIConnectionError,
    APITimeoutError,
    AsyncResellerClient,
    Outcome,
    ResellerError,
    RetryPolicy,
)
from clicksend_reseller._http import connections
from support import tls
from support.clients import FIELDS, make_client, mocked_client
from support.fault_server import FaultServer
from support.good_answers import good_answer

ONCE = RetryPolicy(max_retries=0)


# --- connections


async def test_reads_share_one_connection():
    """One after the other, they need no more."""
    async with FaultServer() as server, make_client(server) as client:
        for n in range(1, 21):
            await client.get_account(n)
        assert 1 == server.connections


async def test_connections_are_as_many_as_exchanges_at_once():
    """httpx's own pool opens hundreds here."""
    async with FaultServer() as server, make_client(server, max_concurrency=25) as client:
        await asyncio.gather(*(client.get_account(n) for n in range(1, 501)))
        assert 25 >= server.connections


async def test_each_write_opens_its_own_connection():
    """A kept one may be closed under our feet, and a stray answer on it taken for the write's."""
    async with FaultServer() as server, make_client(server) as client:
        await client.get_account(1)
        await client.transfer_credit(1, 5, "AUD")
        await client.create_account(FIELDS)
        await client.update_account(1, FIELDS)
        await client.update_account(1, FIELDS)
    assert 5 == len({request.connection for request in server.requests})


async def test_idle_connections_expire(monkeypatch):
    """Before the server may close them."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.01)
    async with FaultServer() as server, make_client(server) as client:
        await client.get_account(1)
        await asyncio.sleep(0.02)  # httpcore asks the machine's clock
        await client.get_account(1)
        assert 2 == server.connections
        assert 1 == server.open_connections


@pytest.mark.parametrize(("seconds", "connections"), [(3.5, 1), (4.5, 2)])
async def test_idle_connections_are_kept_four_seconds(monkeypatch, seconds, connections):
    """Servers close theirs after 5 s or more: in that race 49 of 400 PUTs failed."""
    clock, passed = time.monotonic, 0.0
    async with FaultServer() as server, make_client(server) as client:
        await client.get_account(1)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + passed)
        passed = seconds
        await client.get_account(1)
        assert connections == server.connections


async def test_a_second_answer_in_a_tls_record_of_its_own_is_seen_too():
    """It came with the first, and waits to be decrypted."""
    connections: list[asyncio.StreamWriter] = []

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split()[1].decode()
                writer.write(good_answer("get_account", target, b"", 0))
                writer.write(good_answer("get_account", target, b"", 0))
        writer.close()

    door = await asyncio.start_server(answer_twice, "127.0.0.1", 0, ssl=tls.server_context())
    async with door:
        url = f"https://localhost:{door.sockets[0].getsockname()[1]}/v3"
        options: dict[str, Any] = {"base_url": url, "ssl_context": tls.client_context()}
        async with AsyncResellerClient("user", "key", **options) as client:
            assert [1, 2, 3] == [(await client.get_account(n)).user_id for n in (1, 2, 3)]
    assert 3 == len(connections)


async def test_idle_connections_that_nobody_wants_are_given_up(monkeypatch):
    """Last in is first out, so those at the bottom would wait for ever."""
    async with FaultServer() as server, make_client(server) as client:
        await asyncio.gather(client.get_account(1), client.get_account(2))
        assert 2 == server.open_connections
        monkeypatch.setattr(connections, "IDLE_SECONDS", 0.01)
        await asyncio.gather(client.get_account(3), client.get_account(4))
        await server.quiet()
        assert ([], set()) == lying_in(client)


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\n", b""], ids=["bytes", "end"])
async def test_what_comes_on_an_idle_connection_ends_it_at_once(said):
    """Nobody asked for it; the next call would take it for its own."""
    async with FaultServer() as server, make_client(server, retry=ONCE) as client:
        await client.get_account(1)
        (transport,) = server.open_transports.values()
        transport.write(said) if said else transport.write_eof()
        await server.quiet()
        assert ([], set()) == lying_in(client)
        assert 2 == (await client.get_account(2)).user_id
        assert 2 == server.connections


async def test_what_comes_between_the_choice_of_a_connection_and_its_use_is_no_answer():
    """The call fails, and never with another's answer."""
    async with FaultServer() as server, make_client(server, retry=ONCE) as client:
        await client.get_account(1)
        (connection,) = lying_in(client)[0]
        assert connection.reuse()
        connection.reuse = lambda: True  # as if it had just been chosen
        (transport,) = server.open_transports.values()
        transport.write(good_answer("get_account", "/v3/reseller/accounts/7", b"", 0))
        await server.quiet()
        lying_in(client)[0].append(connection)
        with pytest.raises(APIConnectionError, match="idle connection was closed"):
            await client.get_account(2)


async def test_each_answer_says_whether_its_connection_was_fresh(monkeypatch):
    """A stray answer can come on a used one only."""
    said: list[bool] = []
    send = httpx.AsyncClient.send

    async def noted(self, *args, **options):
        response = await send(self, *args, **options)
        said.append(connections.USED not in response.extensions)
        return response

    monkeypatch.setattr(httpx.AsyncClient, "send", noted)
    async with FaultServer() as server, make_client(server) as client:
        await client.get_account(1)
        await client.get_account(1)
        await client.transfer_credit(1, 5, "AUD")
    assert [True, False, True] == said


async def test_a_connection_that_ends_with_its_answer_is_not_kept():
    """The server said so: what cannot serve another exchange does not lie about."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        head, body = good_answer("get_account", target, b"", 0).split(b"\r\n\r\n", 1)
        writer.write(head + b"\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as door:
        url = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}/v3"
        async with AsyncResellerClient("user", "key", base_url=url) as client:
            assert [1, 2] == [(await client.get_account(n)).user_id for n in (1, 2)]
            assert ([], set()) == lying_in(client)


async def test_a_connection_that_the_server_closed_is_not_used_again():
    """It is seen before the request is written, so nothing fails."""
    async with FaultServer() as server, make_client(server, retry=ONCE) as client:
        server.script("answered_then_fin", times=3)
        for n in range(1, 6):
            await client.get_account(n)
            await asyncio.sleep(0.005)
        assert 4 == server.connections


@pytest.mark.parametrize("way", ["plain", "tls", "proxy"])
async def test_a_second_answer_is_never_taken_for_the_next_call_s(way):
    """What comes beyond one answer belongs to nobody, so its connection is given up."""
    context = tls.server_context() if way == "tls" else None
    options: dict[str, Any] = {"ssl_context": tls.client_context()} if context else {}
    async with FaultServer(ssl_context=context) as server, _proxy_to(server) as proxy:
        if way == "proxy":
            options["proxy"] = proxy.url
        async with make_client(server, retry=ONCE, **options) as client:
            server.script("answered_twice")
            assert [1, 2, 3] == [(await client.get_account(n)).user_id for n in (1, 2, 3)]
        assert 2 == server.connections


async def test_a_failed_exchange_costs_only_its_connection():
    """The others go on being used."""
    async with FaultServer() as server, make_client(server, retry=ONCE) as client:
        await asyncio.gather(*(client.get_account(n) for n in range(1, 6)))
        before = server.connections
        server.script("lost_fin")
        with pytest.raises(APIConnectionError):
            await client.get_account(1)
        await asyncio.gather(*(client.get_account(n) for n in range(1, 6)))
        assert before + 1 == server.connections


async def test_closing_leaves_no_connection():
    """Neither idle ones nor busy ones."""
    async with FaultServer() as server:
        async with make_client(server, retry=ONCE) as client:
            await asyncio.gather(*(client.get_account(n) for n in range(1, 11)))
            server.script("stall")
            stalled = asyncio.ensure_future(client.get_account(1))
            while not server.arrived[10:]:  # noqa: ASYNC110  # it comes at once
                await asyncio.sleep(0.001)
        # At once, and not when the time of the stalled one is over.
        async with asyncio.timeout(5):
            await server.quiet()
            with pytest.raises(ResellerError):
                await stalled
        assert 0 == server.open_connections


async def test_a_dropped_connection_is_closed_under_whoever_has_taken_it_since():
    """What it has still to give is another call's answer."""
    async with FaultServer() as server, make_client(server, retry=ONCE) as client:
        await client.get_account(1)
        (connection,) = lying_in(client)[0]
        server.script("stall")
        stalled = asyncio.ensure_future(client.get_account(2))
        while not server.arrived[1:]:  # noqa: ASYNC110  # it comes at once
            await asyncio.sleep(0.001)
        assert ([], {connection}) == lying_in(client)
        await own_transport(client)._pool.drop(connection)
        with pytest.raises(APIConnectionError):
            await stalled
        assert ([], set()) == lying_in(client)


async def test_cookies_are_not_kept():
    """A call does not depend on the calls before it."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert "cookie" not in request.headers
        return httpx.Response(404, headers={"Set-Cookie": "a=b"})

    async with mocked_client(answer) as client:
        for _ in range(2):
            with pytest.raises(ResellerError):
                await client.get_account(1)


async def test_the_environment_s_proxies_are_ignored(monkeypatch):
    """HTTP_PROXY would take credentials and money elsewhere in silence."""
    async with FaultServer() as server, FaultServer() as trap:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        async with make_client(server) as client:
            await client.get_account(1)
        assert (1, 0) == (server.connections, trap.connections)


@pytest.mark.parametrize("context", [None, tls.server_context()], ids=["http", "https"])
async def test_a_proxy_is_used_when_it_is_given(context):
    """Reads and transfers pass through it, and it is closed with the client."""
    async with FaultServer(ssl_context=context) as server, _proxy_to(server) as proxy:
        options = {"ssl_context": tls.client_context()} if context else {}
        async with make_client(server, proxy=proxy.url, **options) as client:
            await client.get_account(1)
            await client.transfer_credit(1, 5, "AUD")
            await client.get_account(2)
        assert 3 == len(server.arrived)
        assert {("transfer", 1, 5): 1} == server.applied
        assert 2 <= proxy.connections <= 3


async def test_a_proxy_that_is_down_means_unsent():
    """Proven by the body, whatever the library calls it."""
    async with FaultServer() as server:
        async with make_client(server, proxy="http://127.0.0.1:9", retry=ONCE) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.transfer_credit(1, 5, "AUD")
        assert Outcome.NOT_SENT is caught.value.outcome


# --- TLS


async def test_tls_works_with_a_private_authority():
    """The server's certificate is checked against the context that was given."""
    async with FaultServer(ssl_context=tls.server_context()) as server:
        async with make_client(server, ssl_context=tls.client_context()) as client:
            receipt = await client.transfer_credit(1, 5, "AUD")
        assert 1 == receipt.client_user_id
        assert {("transfer", 1, 5): 1} == server.applied


@pytest.mark.parametrize(
    "fault", ["tls_unknown_authority", "tls_wrong_name", "tls_expired", "tls_speaks_plain"]
)
async def test_a_bad_certificate_is_never_tried_again(fault):
    """The same call would meet the same fault; nothing was sent."""
    async with FaultServer.striking(fault) as server:
        async with make_client(server, ssl_context=tls.client_context()) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.transfer_credit(1, 5, "AUD")
        assert (1, 0) == (server.connections, len(server.requests))
    error = caught.value
    assert (Outcome.NOT_SENT, 1, True) == (error.outcome, error.attempts, error.permanent)


@pytest.mark.parametrize("fault", ["tls_fin", "tls_rst"])
async def test_a_cut_handshake_is_tried_again(fault):
    """It may go well another time, and nothing was sent."""
    async with FaultServer.striking(fault) as server:
        async with make_client(server, ssl_context=tls.client_context()) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.transfer_credit(1, 5, "AUD")
        assert 4 == server.connections
    assert (Outcome.NOT_SENT, 4) == (caught.value.outcome, caught.value.attempts)


async def test_a_stalled_handshake_ends_in_time_and_leaves_no_socket():
    """anyio leaves the socket of a cancelled handshake open: ours is closed."""
    async with FaultServer.striking("tls_stall") as server:
        options = {"ssl_context": tls.client_context(), "timeout": 0.05, "retry": ONCE}
        async with make_client(server, **options) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.transfer_credit(1, 5, "AUD")
            await server.quiet()
            assert 0 == server.open_connections
    assert Outcome.NOT_SENT is caught.value.outcome


async def test_the_public_roots_are_the_default():
    """A private authority is unknown without a context of the caller's."""
    secured = FaultServer(ssl_context=tls.server_context())
    async with secured as server, make_client(server) as client:
        with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get_account(1)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_the_environment_names_no_authority(tmp_path, variable):
    """Whoever can set a variable would else be able to read the API key."""
    tls.authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    where = tmp_path if variable == "SSL_CERT_DIR" else tmp_path / "ca.pem"
    async with FaultServer(ssl_context=tls.server_context()) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _ASKING, server.url),
            env={**os.environ, variable: str(where)},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert () == tuple(server.requests)
    assert "CERTIFICATE_VERIFY_FAILED" in said.decode()


_ASKING = """
import asyncio, sys
from clicksend_reseller import AsyncResellerClient, ResellerError, RetryPolicy

async def main():
    policy = RetryPolicy(max_retries=0)
    async with AsyncResellerClient("u", "key", base_url=sys.argv[1], retry=policy) as client:
        try:
            print(await client.get_account(1))
        except ResellerError as error:
            print(error)

asyncio.run(main())
"""


def test_one_ssl_context_serves_the_process():
    """It is 19 of the 20 ms that a client costs."""
    assert connections.shared_ssl_context() is connections.shared_ssl_context()
    assert ssl.CERT_REQUIRED is connections.shared_ssl_context().verify_mode


# --- mocks


@pytest.mark.parametrize("using", ["httpcore", "httpx"])
async def test_respx_intercepts_the_client(using):
    """As users mock any httpx client, by either of its ways."""
    with respx.mock(using=using) as router:
        router.get("https://rest.clicksend.com/v3/account").respond(
            401, json={"http_code": 401, "response_code": "UNAUTHORIZED", "data": None}
        )
        async with AsyncResellerClient("user", "key") as client:
            with pytest.raises(ResellerError) as caught:
                await client.get_own_account()
    assert "AuthenticationError" == type(caught.value).__name__


# --- what the tests stand on


def lying_in(client: AsyncResellerClient) -> tuple[list[Any], set[Any]]:
    """Give the connections that are idle and those that are busy."""
    pool = own_transport(client)._pool
    return pool._idle, pool._busy


def own_transport(client: AsyncResellerClient) -> Any:
    """Give the transport that the client made for itself."""
    own: Any = client._calls._attempts._sender._client
    return own._transport


class Proxy:
    """Passes bytes on: CONNECT opens a tunnel, a whole address is sent to its server."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.connections = 0
        self.url = ""
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            far_writer.write(head)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
    writer.close()


@contextlib.asynccontextmanager
async def _proxy_to(server: FaultServer) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.port)
    door = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}"
    async with door:
        yield proxy
        await asyncio.sleep(0.01)  # the proxy's connections end

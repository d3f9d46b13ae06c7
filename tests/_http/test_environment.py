"""What the client says where the surroundings do not fit: no asyncio, or a proxy nobody reads."""

import asyncio
import socket
from typing import Any

import httpx
import pytest
import trio

from clicksend_reseller import (
    APIConnectionError,
    APITimeoutError,
    AsyncResellerClient,
    ClientStateError,
    RetryPolicy,
)
from support.fault_server import FaultServer

ONCE = RetryPolicy(max_retries=0)
ADVICE = "proxies of the environment are not read: pass it as proxy="
UNDER_TRIO = {
    "enter": lambda client: client.__aenter__(),
    "get_account": lambda client: client.get_account(1),
    "transfer_credit": lambda client: client.transfer_credit(1, 5, "AUD"),
    "iter_accounts": lambda client: anext(client.iter_accounts()),
    "pages": lambda client: anext(client.iter_accounts(prefetch=2).pages()),
    "aclose": lambda client: client.aclose(),
}


@pytest.mark.parametrize("name", UNDER_TRIO)
def test_under_trio_the_error_names_asyncio(name):
    """Not a RuntimeError from the depths that speaks of a loop."""
    with pytest.raises(ClientStateError, match="this client works on asyncio only"):
        trio.run(UNDER_TRIO[name], AsyncResellerClient("user", "key"))


@pytest.fixture
def closed_port():
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """Name no proxy but those of the test."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


def refused(port, **options):
    """Give the text of the error of a connection that is refused."""

    async def ask() -> str:
        url = f"http://127.0.0.1:{port}/v3"
        async with AsyncResellerClient("u", "k", base_url=url, retry=ONCE, **options) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.get_account(1)
            return str(caught.value)

    return asyncio.run(ask())


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_refused_connection_names_the_proxy_that_is_not_read(variable, closed_port, monkeypatch):
    """The variable, how to pass it, and not its value, which may hold a password."""
    monkeypatch.setenv(variable, "http://ann:canary-word@proxy.test:3128")
    text = refused(closed_port)
    assert f"the environment names a proxy ({variable.upper()}), and {ADVICE}" in text
    assert "canary-word" not in text
    assert "nothing was sent" in text


def test_without_a_proxy_in_the_environment_nothing_is_said(closed_port):
    """It would only confuse."""
    assert "proxy" not in refused(closed_port)


def test_a_host_that_is_exempt_needs_no_proxy(closed_port, monkeypatch):
    """NO_PROXY is believed."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "proxy" not in refused(closed_port)


def test_who_passed_a_proxy_or_a_transport_is_not_advised(closed_port, monkeypatch):
    """That one failed, or does as it likes."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    assert ADVICE not in refused(closed_port, transport=httpx.AsyncHTTPTransport())
    assert ADVICE not in refused(closed_port, proxy=f"http://127.0.0.1:{closed_port}")


@pytest.mark.parametrize("option", ["timeout", "deadline"])
def test_a_connection_that_takes_too_long_names_the_proxy_too(option, monkeypatch):
    """A firewall that drops what goes past the proxy; the backlog of a busy server here."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")

    async def ask(port: int) -> str:
        url = f"https://127.0.0.1:{port}/v3"
        options: dict[str, Any] = {option: 0.3}
        async with AsyncResellerClient("u", "k", base_url=url, retry=ONCE, **options) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.transfer_credit(1, 5, "AUD")
            return str(caught.value)

    with socket.socket() as silent:  # takes the connection, and never shakes hands
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert ADVICE in asyncio.run(ask(silent.getsockname()[1]))


async def test_an_answer_that_is_lost_says_nothing_of_proxies(monkeypatch):
    """The connection came about."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
    async with FaultServer.striking("stall") as server:
        url = server.url
        async with AsyncResellerClient("u", "k", base_url=url, retry=ONCE, timeout=0.2) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.get_account(1)
            assert "proxy" not in str(caught.value)
            with pytest.raises(APITimeoutError) as caught:
                await client.get_account(1, deadline=0.1)
    assert "proxy" not in str(caught.value)

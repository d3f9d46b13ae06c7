"""The httpx2 client that is set up for money."""

import sys

import httpx2
import pytest

from clicksend_reseller import ConfigurationError, RetryPolicy, httpx2_client
from support.clients import make_client
from support.fault_server import FaultServer


async def test_no_request_goes_out_on_a_used_connection():
    """A server that drops kept connections is met by nobody."""
    async with FaultServer() as server, httpx2_client() as foreign:
        options = {"http_client": foreign, "retry": RetryPolicy(max_retries=0)}
        async with make_client(server, **options) as client:
            for n in range(1, 4):
                await client.get_account(n)
                await client.transfer_credit(n, 5, "AUD")
        assert 6 == server.connections
        assert {("transfer", n, 5): 1 for n in (1, 2, 3)} == server.applied


async def test_the_environment_s_proxies_are_ignored(monkeypatch):
    """As with our own connections."""
    async with FaultServer() as server, FaultServer() as trap:
        monkeypatch.setenv("ALL_PROXY", trap.url)
        monkeypatch.setenv("HTTP_PROXY", trap.url)
        async with (
            httpx2_client() as foreign,
            make_client(server, http_client=foreign) as client,
        ):
            await client.get_account(1)
        assert (1, 0) == (server.connections, trap.connections)


async def test_other_options_are_the_caller_s():
    """They go to httpx2 as they are."""
    async with httpx2_client(headers={"X-Ours": "yes"}) as foreign:
        assert isinstance(foreign, httpx2.AsyncClient)
        assert ("yes", False) == (foreign.headers["x-ours"], foreign.follow_redirects)


@pytest.mark.parametrize("name", ["limits", "trust_env", "follow_redirects"])
def test_what_it_sets_cannot_be_given(name):
    """Not silently overridden, by either side."""
    with pytest.raises(ConfigurationError, match=f"sets {name} itself"):
        httpx2_client(**{name: None})


def test_a_missing_extra_is_named(monkeypatch):
    """With the command that adds it."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ImportError, match=r"clicksend-reseller\[httpx2\]"):
        httpx2_client()

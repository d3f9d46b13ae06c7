"""The deadline of one call: every method takes one, and it ends in an error with an outcome."""

import asyncio
import inspect

import pytest

from clicksend_reseller import (
    APITimeoutError,
    AsyncResellerClient,
    ConfigurationError,
    Outcome,
    ResellerError,
    RetryPolicy,
    TransferOutcomeUnknownError,
)
from support.clients import FIELDS, make_client
from support.fault_server import FaultServer
from support.memory_journal import MemoryJournal
from support.virtual_time import on_sockets

ONCE = RetryPolicy(max_retries=0)
# What each method does, given a client and a deadline.
CALLS = {
    "list_accounts": lambda client, seconds: client.list_accounts(deadline=seconds),
    "iter_accounts": lambda client, seconds: anext(client.iter_accounts(deadline=seconds)),
    "get_account": lambda client, seconds: client.get_account(1, deadline=seconds),
    "create_account": lambda client, seconds: client.create_account(FIELDS, deadline=seconds),
    "update_account": lambda client, seconds: client.update_account(1, FIELDS, deadline=seconds),
    "transfer_credit": lambda client, seconds: client.transfer_credit(
        1, 5, "AUD", deadline=seconds
    ),
    "get_own_account": lambda client, seconds: client.get_own_account(deadline=seconds),
}
BAD = [0, 0.0, -1, float("nan"), float("inf"), -float("inf"), 10**400]


def test_every_method_that_reaches_the_network_takes_a_deadline():
    """A new endpoint is not left out, and None is the client's own."""
    methods = {
        name: inspect.signature(method).parameters
        for name, method in inspect.getmembers(AsyncResellerClient, inspect.isfunction)
        if not name.startswith("_") and name != "aclose"
    }
    assert set(CALLS) == set(methods)
    for parameters in methods.values():
        deadline = parameters["deadline"]
        assert (None, inspect.Parameter.KEYWORD_ONLY) == (deadline.default, deadline.kind)


@pytest.mark.parametrize("name", CALLS)
@on_sockets
async def test_a_call_s_deadline_wins_over_the_client_s(name):
    """Against a server that never answers, the call ends in its own time."""
    async with FaultServer() as server:
        server.script("stall")
        async with make_client(server, deadline=60, timeout=1, retry=ONCE) as client:
            began = asyncio.get_running_loop().time()
            with pytest.raises(ResellerError, match=r"the deadline of 0\.1 s passed") as caught:
                await CALLS[name](client, 0.1)
            assert 0.1 == pytest.approx(asyncio.get_running_loop().time() - began, abs=0.01)
    assert Outcome.UNKNOWN is caught.value.outcome


async def test_a_call_s_deadline_can_be_longer_than_the_client_s():
    """Either way the caller decides."""
    async with FaultServer() as server, make_client(server, deadline=0.000_001) as client:
        with pytest.raises(APITimeoutError):
            await client.get_account(1)
        assert 1 == (await client.get_account(1, deadline=30)).user_id


async def test_each_page_of_a_walk_has_the_deadline_for_itself():
    """Pages that take their time are no fault as long as each keeps to it."""
    asked = []

    class Client(AsyncResellerClient):
        async def list_accounts(self, *, page=1, limit=100, deadline=None):
            asked.append((page, deadline))
            return await super().list_accounts(page=page, limit=limit, deadline=deadline)

    async with FaultServer() as server, Client("user", "key", base_url=server.url) as client:
        _ = [account async for account in client.iter_accounts(deadline=5)]
    assert {5.0} == {deadline for _, deadline in asked}
    assert asked


@pytest.mark.parametrize("journaled", [False, True])
@on_sockets
async def test_a_transfer_to_a_silent_server_ends_in_doubt_and_in_time(journaled):
    """The error that says what is known, at the deadline; what has left goes on."""
    options = {"journal": MemoryJournal()} if journaled else {}
    async with FaultServer() as server:
        server.script("stall_applied")
        async with make_client(server, timeout=1, **options) as client:
            began = asyncio.get_running_loop().time()
            with pytest.raises(TransferOutcomeUnknownError) as caught:
                await client.transfer_credit(1, 5, "AUD", deadline=0.3)
            assert 0.3 == pytest.approx(asyncio.get_running_loop().time() - began, abs=0.01)
    assert {("transfer", 1, 5): 1} == server.applied
    assert (1, 5, "AUD") == (
        caught.value.client_user_id,
        caught.value.amount,
        caught.value.currency,
    )


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", CALLS)
async def test_a_deadline_that_makes_no_sense_is_refused_before_anything_is_sent(name, value):
    """The client was set up well, so it is no ConfigurationError."""
    async with FaultServer() as server, make_client(server) as client:
        with pytest.raises(ValueError, match="deadline must be more than 0") as caught:
            await CALLS[name](client, value)
        assert not isinstance(caught.value, ConfigurationError)
        assert 0 == server.connections


@pytest.mark.parametrize("value", ["5", True, b"5"])
def test_a_deadline_of_another_kind_is_a_type_error(value):
    """As the client's own."""
    with pytest.raises(TypeError, match="deadline must be a number of seconds"):
        AsyncResellerClient("user", "key").iter_accounts(deadline=value)
    with pytest.raises(TypeError, match="deadline must be a number of seconds"):
        asyncio.run(AsyncResellerClient("user", "key").get_account(1, deadline=value))


def test_a_walk_s_bad_deadline_is_refused_at_once():
    """Not at the first page, which may be far from the mistake."""
    with pytest.raises(ValueError, match="deadline must be more than 0"):
        AsyncResellerClient("user", "key").iter_accounts(deadline=0)

"""Connecting to the first address of a host that answers, on real sockets."""

import asyncio
import socket

import pytest

from clicksend_reseller._http import happy_eyeballs
from support.fault_server import FaultServer


def address(port):
    """Give what a look-up gives."""
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))


@pytest.fixture
def resolve_to(monkeypatch):
    """Let every host have these addresses: a machine with two that differ cannot be had."""

    def replace(*ports):
        async def resolve(host, port):
            return [address(each) for each in ports]

        monkeypatch.setattr(happy_eyeballs, "_resolve", resolve)

    return replace


async def test_digits_and_names_are_connected_to():
    """Only a name needs a thread for its look-up."""
    async with FaultServer() as server:
        for host in ("127.0.0.1", "localhost"):
            with await happy_eyeballs.connect(host, server.port) as sock:
                assert ("127.0.0.1", server.port) == sock.getpeername()


async def test_the_local_address_can_be_chosen():
    """As httpcore's interface offers it."""
    async with FaultServer() as server:
        local = "127.0.0.2"
        with await happy_eyeballs.connect("127.0.0.1", server.port, local_address=local) as sock:
            assert local == sock.getsockname()[0]


async def test_an_address_that_refuses_is_left_for_the_next(resolve_to):
    """At once, without the delay."""
    async with FaultServer() as server, FaultServer.striking("nobody_listens") as down:
        resolve_to(down.port, server.port)
        with await happy_eyeballs.connect("twofold.test", 1) as sock:
            assert server.port == sock.getpeername()[1]


async def test_an_address_that_says_nothing_is_not_waited_for(resolve_to, monkeypatch):
    """The next one is tried beside it, and the first is closed when it has lost."""
    monkeypatch.setattr(happy_eyeballs, "DELAY", 0.01)
    before = asyncio.all_tasks()
    async with FaultServer() as server, FaultServer.striking("never_accepts") as silent:
        resolve_to(silent.port, server.port)
        with await happy_eyeballs.connect("twofold.test", 1) as sock:
            assert server.port == sock.getpeername()[1]
        await asyncio.sleep(0)
        assert before == asyncio.all_tasks()


async def test_a_slow_address_is_waited_for_when_no_other_is_left(resolve_to, monkeypatch):
    """The one that refused meanwhile is not the last word."""
    monkeypatch.setattr(happy_eyeballs, "DELAY", 0)
    slow = asyncio.Event()
    connected = happy_eyeballs._connected

    async def slowly(which, local_address):
        if which == address(server.port):
            await slow.wait()
        return await connected(which, local_address)

    monkeypatch.setattr(happy_eyeballs, "_connected", slowly)
    async with FaultServer() as server, FaultServer.striking("nobody_listens") as down:
        resolve_to(server.port, down.port)
        connecting = asyncio.ensure_future(happy_eyeballs.connect("twofold.test", 1))
        await asyncio.sleep(0.05)  # the other address is refused meanwhile, in a thread
        slow.set()
        with await connecting as sock:
            assert server.port == sock.getpeername()[1]


async def test_a_connect_that_lost_by_a_moment_is_closed():
    """It had won too when it was ended."""
    async with FaultServer() as server:
        winner = asyncio.ensure_future(happy_eyeballs.connect("127.0.0.1", server.port))
        sock = await winner
        happy_eyeballs._abandon(winner)
        await asyncio.sleep(0)
        assert -1 == sock.fileno()


async def test_of_two_that_answer_at_once_one_is_closed(resolve_to, monkeypatch):
    """Nobody else would."""
    monkeypatch.setattr(happy_eyeballs, "DELAY", 0)
    async with FaultServer() as one, FaultServer() as other:
        resolve_to(one.port, other.port)
        (await happy_eyeballs.connect("twofold.test", 1)).close()
        await one.quiet()
        await other.quiet()


async def test_when_no_address_answers_each_is_named(resolve_to):
    """In one plain error, not in a group."""
    async with (
        FaultServer.striking("nobody_listens") as one,
        FaultServer.striking("nobody_listens") as other,
    ):
        resolve_to(one.port, other.port)
        with pytest.raises(OSError, match=rf"{one.port}.*; .*{other.port}"):
            await happy_eyeballs.connect("twofold.test", 1)


@pytest.mark.parametrize("addresses", [1, 2])
async def test_a_connect_that_is_cancelled_leaves_nothing(resolve_to, addresses):
    """A socket that is forgotten would be a ResourceWarning, which is an error here."""
    before = asyncio.all_tasks()
    async with FaultServer.striking("never_accepts") as silent:
        resolve_to(*[silent.port] * addresses)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await happy_eyeballs.connect("twofold.test", 1)
        await asyncio.sleep(0)
        assert before == asyncio.all_tasks()


def test_the_families_take_turns():
    """The system's preference comes first; one dead family costs one delay."""
    six = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", n, 0, 0)) for n in (1, 2)]
    four = [address(n) for n in (3, 4, 5)]
    taken = [each[4][1] for each in happy_eyeballs._alternating([*six, *four])]
    assert [1, 3, 2, 4, 5] == taken

"""The client on uvloop: TLS, and faults of each stage, by the rules of the matrix."""

import asyncio
import sys

import pytest

from clicksend_reseller import ResellerError
from support import tls
from support.clients import QUICK, make_client
from support.fault_server import FAULTS, FaultServer
from support.fault_table import TABLE
from support.wire_faults import Stage

if sys.platform == "win32":
    pytest.skip("uvloop is not for Windows", allow_module_level=True)

import uvloop

NAMES = [
    *(name for name, fault in FAULTS.items() if fault.at is Stage.HANDSHAKE),
    *("nobody_listens", "never_accepts", "accept_fin", "accept_rst", "read_head_rst"),
    *("early_413", "lost_fin_applied", "lost_rst_applied", "half_body_fin", "half_body_rst"),
    *("status_400", "html_502_applied", "chunked", "http_1_0", "answered_twice", "endless_body"),
]


def run(work):
    """Run a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@pytest.mark.parametrize("name", NAMES)
def test_a_transfer_meets_a_fault_by_the_rules(name):
    """Class and outcome are the table's, as on asyncio's loop."""

    async def story():
        secure = FAULTS[name].at is Stage.HANDSHAKE
        word, outcome = "returns", "APPLIED"
        async with FaultServer.striking(name) as server:
            slow = name in {"never_accepts", "tls_stall"}
            context = tls.client_context() if secure else None
            async with make_client(
                server, timeout=1.0 if slow else 5.0, retry=QUICK, ssl_context=context
            ) as client:
                try:
                    await client.transfer_credit(60, 12, "USD")
                except ResellerError as error:
                    word, outcome = type(error).__name__, error.outcome.name
            assert TABLE[name][3].split()[:-1] == [word, outcome]
            assert sum(server.applied.values()) <= 1

    run(story())


@pytest.mark.parametrize("secure", [False, True])
def test_reads_share_a_connection_and_closing_leaves_none(secure):
    """Idle connections are watched there too."""

    async def story():
        context = tls.server_context() if secure else None
        options = {"ssl_context": tls.client_context()} if secure else {}
        async with FaultServer(ssl_context=context) as server:
            async with make_client(server, **options) as client:
                for n in range(1, 6):
                    await client.get_account(n)
                assert 1 == server.connections
                (transport,) = server.open_transports.values()
                transport.abort()
                await server.quiet()
                assert 6 == (await client.get_account(6)).user_id
                assert 2 == server.connections
            await server.quiet()

    run(story())

"""The recipe for aiohttp's connections, under the faults of the wire and at its full number."""

import asyncio
import importlib.util
from collections import Counter
from functools import partial
from pathlib import Path

import httpx
import pytest

from clicksend_reseller import Outcome, ResellerError, TransferOutcomeUnknownError
from support.clients import QUICK, make_client
from support.fault_server import FAULTS, FaultServer, random_faults
from support.fault_table import TABLE
from support.heavy import rounds
from support.wire_faults import Stage

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "aiohttp" / "over_aiohttp.py"

# Those of the handshake need a context that the example does not take.
NAMES = [name for name, fault in FAULTS.items() if fault.at is not Stage.HANDSHAKE]


def load():
    """Import the example by its path."""
    spec = importlib.util.spec_from_file_location("over_aiohttp", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


over_aiohttp = load()


async def test_transfers_go_out_on_fresh_connections():
    """Each on its own, and reads too."""
    async with FaultServer() as server:
        async with make_client(server, transport=over_aiohttp.transport()) as client:
            for n in (1, 2, 3):
                await client.get_account(n)
                await client.transfer_credit(n, 5, "AUD")
        assert 6 == server.connections
        assert {("transfer", n, 5): 1 for n in (1, 2, 3)} == server.applied


async def test_reads_alone_may_keep_their_connection():
    """Which is where the speed is."""
    async with FaultServer() as server:
        transport = over_aiohttp.transport(only_reads=True)
        async with make_client(server, transport=transport) as client:
            for n in range(1, 6):
                await client.get_account(n)
        assert 1 == server.connections


async def test_what_aiohttp_repeats_by_itself_is_one_send_and_an_error():
    """It sends a PUT again when the connection breaks; the body of ours is given once."""
    async with FaultServer() as server:
        server.script("lost_fin_applied", times=None, operation="transfer_credit")
        transport = over_aiohttp.transport()
        fields = {"client_user_id": 2, "balance": 5, "currency": "AUD"}
        async with httpx.AsyncClient(transport=transport) as plain:
            with pytest.raises(httpx.TransportError):
                await plain.put(f"{server.url}/reseller/transfer-credit", json=fields)
        async with make_client(server, transport=over_aiohttp.transport()) as client:
            with pytest.raises(TransferOutcomeUnknownError):
                await client.transfer_credit(1, 5, "AUD")
        assert {("transfer", 2, 5): 2, ("transfer", 1, 5): 1} == server.applied


@pytest.mark.parametrize("name", NAMES)
async def test_a_transfer_meets_each_fault_by_the_rules(name):
    """The outcome is the table's, or less is known; the server's count bears it out."""
    outcome = "APPLIED"
    async with FaultServer.striking(name) as server:
        options = {"timeout": 1.0 if name == "never_accepts" else 0.4, "retry": QUICK}
        transport = over_aiohttp.transport()
        async with make_client(server, transport=transport, **options) as client:
            try:
                await client.transfer_credit(60, 12, "USD")
            except ResellerError as error:
                outcome = error.outcome.name
        applied = sum(server.applied.values())
    assert outcome in {TABLE[name][3].split()[-2], "UNKNOWN"}
    assert applied in {"APPLIED": {1}, "UNKNOWN": {0, 1}}.get(outcome, {0})


SHARES = {
    "accept_rst": 0.03,
    "read_head_rst": 0.03,
    "lost_fin_applied": 0.06,
    "lost_rst": 0.03,
    "half_body_fin_applied": 0.03,
    "insufficient_credit_400": 0.03,
    "status_500_applied": 0.03,
}


@pytest.mark.heavy
async def test_no_transfer_is_applied_twice():
    """Under random faults, over connections that are not ours."""
    number, outcomes = rounds(300, 10_000), dict[int, str]()

    async def transfer(client, user_id):
        try:
            await client.transfer_credit(user_id, 12, "USD")
        except ResellerError as error:
            outcomes[user_id] = error.outcome.name
        else:
            outcomes[user_id] = "APPLIED"

    async with FaultServer() as server:
        server.script(random_faults(7, SHARES))
        transport = over_aiohttp.transport()
        async with make_client(
            server, transport=transport, timeout=5.0, max_concurrency=40
        ) as client:
            jobs = map(partial(transfer, client), range(1, number + 1))
            await asyncio.gather(*jobs)
        applied = Counter({int(write[1]): count for write, count in server.applied.items()})
    assert number == len(outcomes)
    assert 1 == max(applied.values())
    for user_id, outcome in outcomes.items():
        assert outcome == Outcome.UNKNOWN.name or applied[user_id] == (outcome == "APPLIED")
    assert {"APPLIED", "UNKNOWN", "REJECTED"} <= set(outcomes.values())

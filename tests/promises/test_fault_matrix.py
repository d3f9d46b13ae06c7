"""Does each operation meet each fault of the wire by the rules? The server's count is asked."""

import asyncio

import attrs
import pytest

from clicksend_reseller import Outcome, ResellerError, RetryPolicy, TransferReceipt
from support import fault_page, tls
from support.clients import FIELDS, make_client
from support.fault_server import FAULTS, FaultServer
from support.fault_table import TABLE
from support.good_answers import Write
from support.virtual_time import on_sockets
from support.wire_faults import Stage

# Two retries, quick; a server that asks for a second or more asks for too long.
RETRY = RetryPolicy(max_retries=2, base_delay=0.001, max_delay=0.001, max_retry_after=0.5)

CALLS = {
    "get": lambda client: client.get_account(60),
    "update": lambda client: client.update_account(60, FIELDS),
    "create": lambda client: client.create_account(FIELDS),
    "transfer": lambda client: client.transfer_credit(60, 12, "USD"),
}


# Seconds for an attempt. Connecting ends a twentieth of it earlier: time passes for the loop only,
# so that a busy machine cannot take the one end for the other.
TIMEOUT = 0.4


@attrs.frozen
class Ending:
    """How one call ended, and what the server knows of it."""

    cell: str
    outcome: str
    server: FaultServer

    @property
    def writes(self) -> dict[Write, int]:
        return dict(self.server.applied)


@pytest.mark.parametrize("name", TABLE)
@on_sockets
async def test_each_operation_meets_each_fault_by_the_rules(name):
    """Class, outcome and sends are the table's, and the server's count bears the outcome out."""
    endings = dict(
        zip(CALLS, await asyncio.gather(*(_strike(name, kind) for kind in CALLS)), strict=True)
    )
    assert {kind: ending.cell for kind, ending in endings.items()} == dict(
        zip(CALLS, TABLE[name], strict=True)
    )
    for kind, ending in endings.items():
        _check_against_the_oracle(kind, ending)


async def _strike(name, kind):
    tls_context = tls.client_context() if FAULTS[name].at is Stage.HANDSHAKE else None
    async with FaultServer.striking(name) as server:
        client = make_client(
            server,
            timeout=TIMEOUT,
            deadline=20.0,
            retry=RETRY,
            ssl_context=tls_context,
        )
        async with client:
            word, outcome, attempts = await _call(client, kind)
        if server.connections:
            await server.quiet()
        sends = attempts if FAULTS[name].at is Stage.LISTENER else server.tries
        assert attempts in {None, sends}
        return Ending(f"{word} {outcome} {sends}", outcome, server)


async def _call(client, kind):
    """Give what the caller gets in a word, what is known, and the attempts that it counts."""
    try:
        result = await CALLS[kind](client)
    except ResellerError as error:
        return type(error).__name__, error.outcome.name, error.attempts
    bare = isinstance(result, TransferReceipt) and result.account is None
    return "returns without account" if bare else "returns", Outcome.APPLIED.name, None


def _check_against_the_oracle(kind, ending):
    counts, server = ending.writes, ending.server
    if kind in {"create", "transfer"}:
        assert sum(counts.values()) <= 1
    if kind == "get" or ending.outcome in {"NOT_SENT", "REJECTED"}:
        assert counts == {}
    elif ending.outcome == "APPLIED":
        assert sum(counts.values()) == 1
    if ending.outcome == "NOT_SENT":
        assert [request for request in server.requests if request.body] == []
    assert {request.port for request in server.requests} <= {server.port}


def test_the_matrix_has_every_fault():
    """A fault without a row is a fault without a rule."""
    assert list(TABLE) == list(FAULTS)


def test_the_docs_show_the_matrix():
    """The page is written from the table: python tests/fault_page.py."""
    assert fault_page.render() == fault_page.PAGE.read_text()

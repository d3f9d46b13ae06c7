import asyncio
import json

import httpx
import pytest

from support import tls
from support.fault_server import FaultServer, Request, random_faults
from support.raw_client import Heard, listen, say, spell, transfer

PAID = ("transfer", 60, 12)


# The oracle


async def test_a_lost_answer_is_applied_once():
    """The client hears nothing, the money has moved."""
    async with FaultServer() as server:
        server.script("lost_fin_applied")
        assert await say(server, transfer()) == Heard(b"", "fin")
        assert server.applied == {PAID: 1}


async def test_a_reset_before_reading_applies_nothing():
    """The client hears the same as after a lost answer, the money has not moved."""
    async with FaultServer() as server:
        server.script("accept_rst")
        assert await say(server, transfer()) == Heard(b"", "rst")
        assert server.applied == {}


async def test_a_transfer_sent_twice_counts_twice():
    """The oracle forgives nobody."""
    async with FaultServer() as server:
        for _ in range(2):
            await say(server, transfer())
        assert server.applied == {PAID: 2}


async def test_half_a_request_has_not_arrived():
    """One byte short is not applied, but every byte was seen."""
    async with FaultServer() as server:
        said = transfer()[:-1]
        await say(server, said)
        await server.quiet()
        (request,) = server.requests
        assert (request.complete, request.operation) == (False, "transfer_credit")
        assert request.head + request.body == said
        assert server.bytes_seen == {0: len(said)}
        assert server.applied == {}


async def test_a_request_in_single_bytes_arrives_once():
    """How the bytes come makes no difference."""
    async with FaultServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for byte in transfer():
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await listen(reader)).data.startswith(b"HTTP/1.1 200")
        writer.close()
        assert server.applied == {PAID: 1}


async def test_requests_on_one_connection_are_told_apart():
    """Two in one go are two requests of one connection, each answered."""
    async with FaultServer() as server:
        told = await say(server, transfer(60, 1) + transfer(61, 2))
        assert told.data.count(b"HTTP/1.1 200") == 2
        assert [request.connection for request in server.requests] == [0, 0]
        assert server.applied == {("transfer", 60, 1): 1, ("transfer", 61, 2): 1}
        assert (server.connections, server.tries) == (1, 2)


async def test_a_request_is_kept_as_it_came():
    """Method, path with query, headers, body."""
    async with FaultServer() as server:
        await say(server, spell("GET", "/v3/reseller/accounts?page=2&limit=15"))
        (request,) = server.requests
        assert (request.method, request.path) == ("GET", "/v3/reseller/accounts?page=2&limit=15")
        assert request.headers == {"host": "localhost", "content-length": "0"}
        assert (request.body, request.complete, request.port) == (b"", True, server.port)


async def test_a_chunked_request_is_refused_and_not_applied():
    """The client must say how long its body is."""
    said = transfer().replace(b"Content-Length: 56", b"Transfer-Encoding: chunked")
    assert b"chunked" in said
    async with FaultServer() as server:
        told = await say(server, said)
        assert told.data.startswith(b"HTTP/1.1 411")
        assert (server.arrived, server.applied) == ([], {})


# The well-behaved answers

FIELDS = {"username": "acme2", "password": "made-up"}
CALLS = {
    "list_accounts": ("GET", "/reseller/accounts?page=1&limit=2", None),
    "create_account": ("POST", "/reseller/accounts", FIELDS),
    "get_account": ("GET", "/reseller/accounts/60", None),
    "update_account": ("PUT", "/reseller/accounts/60", FIELDS),
    "transfer_credit": (
        "PUT",
        "/reseller/transfer-credit",
        {"client_user_id": 60, "balance": 12, "currency": "USD"},
    ),
    "get_own_account": ("GET", "/account", None),
}
WRITTEN = {
    "create_account": {("create", "acme2"): 1},
    "update_account": {("update", 60): 1},
    "transfer_credit": {PAID: 1},
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("chunk", [0, 100])
async def test_each_operation_succeeds_when_nothing_is_wrong(operation, chunk):
    """The documented envelope, over plain HTTP, whole or in pieces."""
    method, path, body = CALLS[operation]
    async with FaultServer(chunk=chunk) as server, httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(method, server.url + path, json=body)
        answer = response.json()
        assert (response.status_code, answer["response_code"]) == (200, "SUCCESS")
        assert answer["data"]
        assert [request.operation for request in server.requests] == [operation]
        assert server.applied == WRITTEN.get(operation, {})


async def test_the_list_has_pages_that_end():
    """Three accounts in pages of two: two rows, one row, none."""
    async with FaultServer(accounts=3) as server, httpx.AsyncClient(trust_env=False) as client:
        pages = []
        for page in (1, 2, 3):
            url = f"{server.url}/reseller/accounts?page={page}&limit=2"
            data = (await client.get(url)).json()["data"]
            pages.append(([row["user_id"] for row in data["data"]], data["last_page"]))
        assert pages == [([1, 2], 2), ([3], 2), ([], 2)]


async def test_a_wrong_route_and_a_wrong_body_are_refused():
    """As the API words it, and nothing is applied."""
    async with FaultServer() as server:
        wrong_route = await say(server, spell("PUT", "/v3/reseller/accounts/", b"{}"))
        wrong_body = await say(server, spell("PUT", "/v3/reseller/transfer-credit", b"[]"))
        assert b"Invalid endpoint" in wrong_route.data
        assert wrong_body.data.startswith(b"HTTP/1.1 400")
        assert server.applied == {}


async def test_tls_is_served_to_who_trusts_the_authority():
    """The name is localhost, and connections are kept."""
    async with (
        FaultServer(ssl_context=tls.server_context()) as server,
        httpx.AsyncClient(verify=tls.client_context(), trust_env=False) as client,
    ):
        for _ in range(2):
            assert (await client.get(f"{server.url}/account")).status_code == 200
        assert server.url.startswith("https://localhost:")
        assert (server.connections, server.tries) == (1, 2)


async def test_a_tls_fault_strikes_one_connection():
    """The next one finds nothing wrong."""
    async with FaultServer(ssl_context=tls.server_context()) as server:
        for fault in ("tls_fin", "tls_unknown_authority"):
            server.script(fault)
        endings = [(await say(server, transfer())).ending for _ in range(3)]
        assert endings == ["cut", "certificate", "silent"]
        assert server.applied == {PAID: 1}


# The script


async def _first_lines(server, *saids):
    return [(await say(server, said)).data[:12].decode() for said in saids]


async def test_scripts_come_one_after_the_other():
    """Two 503, one 429, then nothing is wrong."""
    async with FaultServer() as server:
        server.script("status_503", times=2)
        server.script("status_429")
        lines = await _first_lines(server, *[transfer()] * 4)
        assert lines == ["HTTP/1.1 503", "HTTP/1.1 503", "HTTP/1.1 429", "HTTP/1.1 200"]


async def test_a_fault_may_wait_for_one_operation():
    """Others pass it by."""
    async with FaultServer() as server:
        server.script("status_503", operation="transfer_credit")
        own = spell("GET", "/v3/account")
        lines = await _first_lines(server, own, transfer(), transfer())
        assert lines == ["HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 200"]


async def test_a_callable_chooses_for_connections_and_requests():
    """It is asked with the number, and with the first line of a request."""
    async with FaultServer() as server:
        asked = []

        def choose(number, request):
            asked.append((number, request and request.operation))
            return "status_503" if number == 1 else None

        server.script(choose)
        lines = await _first_lines(server, transfer(), transfer(), transfer())
        assert lines == ["HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 200"]
        assert asked == [(n, who) for n in range(3) for who in (None, "transfer_credit")]


def test_random_faults_repeat_with_their_seed():
    """A run that failed can be run again, and the shares are kept."""
    shares = {"accept_rst": 0.1, "status_503": 0.2, "lost_fin_applied": 0.3}
    first, second = (random_faults(7, shares) for _ in range(2))
    request = Request.read(transfer(), connection=0, port=0)
    chosen = [first(number, request) for number in range(10_000)]
    assert chosen == [second(number, request) for number in range(10_000)]
    assert 0.18 < chosen.count("status_503") / 10_000 < 0.22
    assert 0.28 < chosen.count("lost_fin_applied") / 10_000 < 0.32
    assert "accept_rst" not in chosen


@pytest.mark.parametrize("fault", ["nobody_listens", "accept_rst"])
def test_a_fault_before_the_request_line_knows_no_operation(fault):
    """Such a script would never strike: it is refused."""
    with pytest.raises(ValueError, match="before an operation is known"):
        FaultServer().script(fault, operation="transfer_credit")


async def test_the_server_goes_down_and_comes_up_on_its_port():
    """Refused, dropped, served again, on one address."""
    async with FaultServer() as server:
        endings = []
        for change in (server.go_down, server.come_up):
            await change()
            endings.append((await say(server, transfer())).ending)
        await server.go_down("never_accepts")
        endings.append((await say(server, transfer())).ending)
        assert endings == ["refused", "silent", "no answer"]
        assert server.applied == {PAID: 1}


async def test_a_followed_redirect_shows_on_the_other_port():
    """A client that follows a 307 pays twice, and the books say where."""
    async with (
        FaultServer() as server,
        httpx.AsyncClient(follow_redirects=True, trust_env=False) as client,
    ):
        server.script("redirect_307_elsewhere", times=None)
        method, path, body = CALLS["transfer_credit"]
        await client.request(method, server.url + path, json=body)
        assert [request.port for request in server.requests] == [server.port, server.other_port]
        assert server.applied == {PAID: 1}


# Life


async def test_nothing_is_left_behind():
    """Stalled, dripping and idle peers end with the server."""
    before = asyncio.all_tasks()
    async with FaultServer() as server:
        for fault in ("stall_applied", "drip_body", "endless_body"):
            server.script(fault)
        peers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
        for _, writer in peers:
            writer.write(transfer())
        await asyncio.sleep(0.05)  # an early end would have been seen
        assert server.open_connections == 4
    assert (server.open_connections, asyncio.all_tasks()) == (0, before)
    for _, writer in peers:
        writer.transport.abort()


async def test_a_stalled_fault_ends_when_its_peer_goes():
    """A test need not wait for the end of the server."""
    async with FaultServer.striking("stall_applied") as server:
        await say(server, transfer())
        await server.quiet(0.5)
        assert server.open_connections == 0


async def test_a_fault_of_the_script_fails_the_test():
    """A mistake in a callable is not taken for a healthy server."""
    with pytest.raises(KeyError, match="no such fault"):
        await _strike_with("no such fault")


async def _strike_with(name):
    async with FaultServer() as server:
        server.script(lambda *_: name)
        await say(server, transfer())


def test_the_answer_to_a_transfer_is_the_client_it_went_to():
    """The well-behaved server reads what it is sent."""
    told = asyncio.run(_tell(spell("GET", "/v3/reseller/accounts/77"), transfer(61, 5)))
    assert [json.loads(each)["data"]["user_id"] for each in told] == [77, 61]


async def _tell(*saids):
    async with FaultServer() as server:
        return [(await say(server, said)).data.partition(b"\r\n\r\n")[2] for said in saids]

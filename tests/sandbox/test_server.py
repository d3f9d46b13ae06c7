import asyncio
import logging
import signal
import time
from decimal import Decimal

import httpx
import pytest
import pytest_asyncio

from clicksend_reseller import AsyncResellerClient, Outcome, TransferOutcomeUnknownError
from clicksend_reseller.sandbox import Quirks, Sandbox
from clicksend_reseller.sandbox.files import read_accounts
from support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRANSFER = {"client_user_id": 1001, "balance": 1, "currency": "AUD"}

ADA = {
    "username": "ada",
    "password": "engine-1843",
    "user_email": "ada@client.test",
    "user_phone": "518-481-1002",
    "user_first_name": "Ada",
    "user_last_name": "Byron",
    "account_name": "Engines",
    "country": "US",
}


async def collect(stream, parts):
    """Keep what comes, also where it breaks off."""
    async for part in stream:
        parts.append(part)  # a comprehension would lose them


class Running:
    """One sandbox served for the whole file, reset before each test."""

    def __init__(self, sandbox, served):
        self.sandbox = sandbox
        self.served = served

    def client(self, library=httpx, **options):
        return library.AsyncClient(
            base_url=self.served.url, auth=("sandbox", "sandbox"), trust_env=False, **options
        )

    def admin(self):
        return httpx.AsyncClient(base_url=self.served.console_url, trust_env=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served_once():
    """Serve one sandbox, at a fixed time."""
    sandbox = Sandbox(clock=lambda: 60.0)
    async with sandbox.serve() as served:
        yield Running(sandbox, served)


@pytest.fixture
def running(served_once):
    """Begin anew on the same address."""
    served_once.sandbox.reset()
    return served_once


async def test_a_drip_never_trips_the_read_timeout(running):
    """A byte every 0.2 seconds is progress to a library that times each read by itself."""
    running.sandbox.fail("drip")
    started = time.monotonic()
    async with running.client(timeout=httpx.Timeout(5, read=1.0)) as client:
        call = client.put("/reseller/transfer-credit", json=TRANSFER)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 1.5)
    assert time.monotonic() - started > 1.4
    assert [False] == [entry.told for entry in running.sandbox.ledger]


async def test_a_cut_answer_keeps_its_status_and_half_its_body(running):
    """The same half as in process."""
    running.sandbox.fail("cut")
    async with running.client() as client, client.stream("GET", "/account") as response:
        half = int(response.headers["content-length"]) // 2
        parts: list[bytes] = []
        with pytest.raises(httpx.RemoteProtocolError):
            await collect(response.aiter_raw(), parts)
    assert (200, half) == (response.status_code, len(b"".join(parts)))


async def test_a_fault_breaks_the_connection_whatever_the_headers_say(running):
    """A header that names another peer does not lead it astray."""
    running.sandbox.fail("lost")
    async with running.client(timeout=1, headers={"x-forwarded-for": "10.0.0.1"}) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/account")


async def test_refused_connections_are_left_alone(running):
    """A fault that was armed for use in process does nothing on a socket."""
    running.sandbox.fail("refuse")
    async with running.client() as client:
        assert 200 == (await client.get("/account")).status_code
    assert ["refuse"] == [armed.fault.kind for armed in running.sandbox.faults]


EVERY_ROUTE = [
    ("GET", "/reseller/accounts", None),
    ("GET", "/reseller/accounts?page=2&limit=5", None),
    ("GET", "/reseller/accounts/", None),
    ("POST", "/reseller/accounts", ADA),
    ("POST", "/reseller/accounts", ADA),
    ("POST", "/reseller/accounts", {"username": "x"}),
    ("GET", "/reseller/accounts/1004", None),
    ("GET", "/reseller/accounts/9", None),
    ("GET", "/reseller/accounts/%31001", None),
    ("PUT", "/reseller/accounts/1002", {**ADA, "username": "other"}),
    ("PUT", "/reseller/accounts/1002", {}),
    ("PUT", "/reseller/transfer-credit", TRANSFER),
    ("PUT", "/reseller/transfer-credit", {**TRANSFER, "currency": "USD"}),
    ("PUT", "/reseller/transfer-credit", {**TRANSFER, "balance": 100_000}),
    ("PUT", "/reseller/transfer-credit", {}),
    ("GET", "/account", None),
    ("DELETE", "/account", None),
    ("HEAD", "/nowhere", None),
    ("GET", "/nowhere", None),
]


async def answers(client):
    """Ask for everything once, with the right key and with a wrong one."""
    seen = []
    for auth in (("sandbox", "sandbox"), ("sandbox", "other")):
        for method, path, body in EVERY_ROUTE:
            response = await client.request(method, path, json=body, auth=auth)
            content = response.content if method != "HEAD" else b""
            seen.append((method, path, response.status_code, dict(response.headers), content))
    return seen


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(rate_limit=3, rows="mixed", int_phones=True)])
async def test_in_process_and_served_give_equal_answers(quirks):
    """Status, headers and body of every route are the same, byte for byte."""
    local, remote = (Sandbox(quirks=quirks, clock=lambda: 60.0) for _ in range(2))
    async with httpx.AsyncClient(
        transport=local.transport(), base_url="http://localhost/v3"
    ) as client:
        expected = await answers(client)
    async with (
        remote.serve() as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
    ):
        assert expected == await answers(client)
    assert (local.ledger, local.credit) == (remote.ledger, remote.credit)
    assert local.requests == remote.requests


async def test_the_address_and_the_environment_lead_there(running, monkeypatch):
    """The client needs no argument where the environment names the sandbox."""
    for name, value in running.served.env.items():
        monkeypatch.setenv(name, value)
    async with AsyncResellerClient() as client:
        assert Decimal(1000) == (await client.get_own_account()).balance
    assert running.served.console_url.removesuffix("/_sandbox/") + "/v3" == running.served.url
    assert running.served.url == running.served.env["CLICKSEND_BASE_URL"]


async def test_the_client_owns_up_to_a_lost_answer_on_a_socket(running, monkeypatch):
    """The same story as in process."""
    for name, value in running.served.env.items():
        monkeypatch.setenv(name, value)
    async with AsyncResellerClient() as client:
        with pytest.raises(TransferOutcomeUnknownError) as caught:
            await client.transfer_credit(1011, 5, "AUD")
    paid = running.sandbox.transfers_to(1011)
    assert (Outcome.UNKNOWN, [Decimal(5)]) == (caught.value.outcome, paid)


async def test_a_stop_does_not_wait_for_the_silent():
    """Calls that hang or drip end with the server, and so does an idle connection."""
    sandbox = Sandbox()
    sandbox.fail("drip", operation="get_account")
    sandbox.fail("slow", operation="list_accounts", seconds=60)
    async with httpx.AsyncClient(auth=("sandbox", "sandbox"), trust_env=False) as client:
        async with sandbox.serve() as served:
            await client.get(f"{served.url}/account")
            body = {**TRANSFER, "client_user_id": 1012}
            calls = [
                client.put(f"{served.url}/reseller/transfer-credit", json=body),
                client.get(f"{served.url}/reseller/accounts/1001"),
                client.get(f"{served.url}/reseller/accounts"),
            ]
            tasks = [asyncio.create_task(call) for call in calls]
            while len(sandbox.requests) < 4:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.005)
            started = time.monotonic()
        assert time.monotonic() - started < 1
        seen = await asyncio.gather(*tasks, return_exceptions=True)
    assert [httpx.RemoteProtocolError] * 3 == [type(exc) for exc in seen]


async def test_a_client_that_leaves_a_slow_answer_was_not_told(running):
    """The server sees that nobody waits any more."""
    before = asyncio.all_tasks()
    running.sandbox.fail("slow", seconds=60)
    async with running.client(timeout=0.03) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.put("/reseller/transfer-credit", json=TRANSFER)
    # Once the server has seen it, all that it does for that request ends.
    await until(lambda: asyncio.all_tasks() <= before)
    assert [False] == [entry.told for entry in running.sandbox.ledger]


async def test_a_body_that_never_comes_is_no_request(running, caplog):
    """Whoever hangs up in the middle has asked for nothing, and nothing is logged as an error."""
    host, port = running.served.url.split("/")[2].split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PUT /v3/reseller/transfer-credit HTTP/1.1\r\nHost: localhost\r\n")
    writer.write(b"Content-Length: 99\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with running.client() as client:
        await client.get("/account")
    assert ["get_own_account"] == [request.operation for request in running.sandbox.requests]
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_taken_port_is_an_error_and_no_exit():
    """The process belongs to the caller."""
    async with Sandbox().serve() as served:
        port = int(served.url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="address already in use"):
            async with Sandbox().serve(port=port):
                pass


async def test_serving_touches_no_signal_handler():
    """Ctrl-C stays what the program made of it."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with Sandbox().serve():
        now = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert before == now


async def test_a_server_on_every_address_is_dialled_on_this_machine():
    """0.0.0.0 is where to listen and not where to go."""
    async with Sandbox().serve(host="0.0.0.0") as served:  # noqa: S104 - for a moment
        assert served.url.startswith("http://127.0.0.1:")


async def test_health_says_ok(running):
    """For whoever waits for the server to be up."""
    async with running.admin() as admin:
        assert {"status": "ok"} == (await admin.get("health")).json()


async def test_the_state_is_what_an_accounts_file_holds(running, tmp_path):
    """Saved and read again, it is the same clients, oddities included."""
    async with running.admin() as admin:
        state = (await admin.get("state")).json()
        (tmp_path / "state.json").write_bytes((await admin.get("state")).content)
    again = Sandbox(accounts=read_accounts(tmp_path / "state.json"))
    assert running.sandbox.state.clients == again.state.clients
    del state["accounts"], state["quirks"]
    expected = {"credit": "1000.000000", "currency": "AUD", "seed": 1, "transfers": 0}
    assert {**expected, "requests": 0, "revision": running.sandbox.state.revision} == state


async def test_ledger_and_requests_can_be_read_on_from_a_number(running):
    """Money as strings, and a told flag for each transfer."""
    running.sandbox.fail("lost", after=1)
    async with running.client() as client, running.admin() as admin:
        await client.put("/reseller/transfer-credit", json=TRANSFER)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.put("/reseller/transfer-credit", json=TRANSFER)
        ledger = (await admin.get("ledger")).json()
        later = (await admin.get("ledger", params={"after": 1})).json()
        requests = (await admin.get("requests", params={"after": 1})).json()
    assert {
        "n": 1,
        "time": 60.0,
        "client_user_id": 1001,
        "amount": "1.000000",
        "currency": "AUD",
        "balance_after": "51.000000",
        "credit_after": "999.000000",
        "request": 1,
        "told": True,
    } == ledger[0]
    assert ledger[1:] == later
    assert [(2, False)] == [(entry["n"], entry["told"]) for entry in later]
    assert [
        {
            "n": 2,
            "time": 60.0,
            "method": "PUT",
            "path": "/v3/reseller/transfer-credit",
            "query": "",
            "operation": "transfer_credit",
            "client_user_id": 1001,
            "authorization": "Basic **********",
            "body": TRANSFER,
            "status": None,
            "fault": "lost",
        }
    ] == requests


async def test_passwords_are_masked_in_the_request_log(running):
    """At any depth; a body that cannot be read as an object is left out."""
    async with running.client() as client, running.admin() as admin:
        await client.post("/reseller/accounts", json={**ADA, "more": {"API_KEY": "k"}})
        await client.post("/reseller/accounts", content=b'"engine-1843')
        response = await admin.get("requests")
    assert "engine-1843" not in response.text
    bodies = [request["body"] for request in response.json()]
    assert ["**********", {"API_KEY": "**********"}] == [bodies[0]["password"], bodies[0]["more"]]
    assert bodies[1] is None


async def test_faults_are_armed_listed_and_forgotten(running):
    """A fault armed over HTTP strikes, and can be taken back by its id or with all others."""
    async with running.client() as client, running.admin() as admin:
        body = {"kind": "error", "status": 403, "times": 2}
        armed = await admin.post("faults", json=body)
        assert (201, 1, 0) == (armed.status_code, armed.json()["id"], armed.json()["struck"])
        assert 403 == (await client.get("/account")).status_code
        assert [1] == [fault["struck"] for fault in (await admin.get("faults")).json()]
        statuses = [(await admin.delete(f"faults/{n}")).status_code for n in (1, 1)]
        assert [204, 404] == statuses
        await admin.post("faults", json={"kind": "lost"})
        assert 204 == (await admin.delete("faults")).status_code
        assert [] == (await admin.get("faults")).json()


async def test_seconds_and_chances_may_have_a_point(running):
    """JSON's own numbers, not the money's."""
    body = {"kind": "slow", "seconds": 0.5, "chance": 0.25}
    async with running.admin() as admin:
        assert 201 == (await admin.post("faults", json=body)).status_code
    (armed,) = running.sandbox.faults
    assert (0.5, 0.25) == (armed.fault.seconds, armed.fault.chance)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "explode"}, "unknown fault 'explode': the faults are refuse, reset"),
        ({}, "unknown fault ''"),
        ({"kind": "lost", "operation": "pay"}, "unknown operation 'pay'"),
        ({"kind": "lost", "client": 1}, "unknown field 'client'"),
        ({"kind": "lost", "chance": 1.5}, "chance is a number from 0 to 1, not 1.5"),
        ({"kind": "lost", "client_user_id": 1.0}, "client_user_id is a whole number"),
        ({"kind": "refuse"}, "it does reset, lost"),
        ([], "the body must be a JSON object"),
    ],
)
async def test_an_impossible_fault_is_a_422_that_names_the_possible(running, body, message):
    """And nothing is armed."""
    async with running.admin() as admin:
        response = await admin.post("faults", json=body)
    assert 422 == response.status_code
    assert message in response.json()["error"]
    assert () == running.sandbox.faults


async def test_clients_are_added_and_spend(running):
    """What a test does by method, another process does by HTTP."""
    async with running.admin() as admin:
        added = await admin.post("accounts", json={"balance": 5.5, "currency": "EUR"})
        spent = await admin.post("accounts/1013/spend", json={"amount": "1.25"})
        one = await admin.post("accounts/1013/spend")
        twice = await admin.post("accounts", json={"user_id": 1013})
        nobody = await admin.post("accounts/9/spend")
        nothing = await admin.post("accounts/1013/spend", json={"amount": "0"})
        number = await admin.post("accounts/1013/spend", json={"amount": True})
    statuses = [r.status_code for r in (added, spent, one, twice, nobody, nothing, number)]
    assert [201, 200, 200, 422, 404, 422, 422] == statuses
    assert ("5.500000", "EUR") == (added.json()["balance"], added.json()["currency"])
    assert Decimal("3.25") == running.sandbox.balance(1013)


async def test_a_reset_over_http_is_a_reset(running):
    """The answer is the state of the beginning."""
    running.sandbox.spend(1001, 1)
    async with running.admin() as admin:
        state = (await admin.post("reset")).json()
    assert "50.000000" == state["accounts"][0]["balance"]
    assert Decimal(50) == running.sandbox.balance(1001)


@pytest.mark.parametrize("after", ["x", "-1", "1" * 10])
async def test_after_is_a_number(running, after):
    """Anything else is a slip of the caller's."""
    async with running.admin() as admin:
        assert 422 == (await admin.get("ledger", params={"after": after})).status_code


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "state", {"host": "evil.test"}),
        ("POST", "reset", {"host": "evil.test"}),
        ("GET", "", {"host": "localhost.evil.test"}),
        ("GET", "", {"host": "127.0.0.1:80:80"}),
        ("GET", "", {"host": "[::1"}),
        ("GET", "", {"host": ""}),
        ("POST", "console/reset", {"origin": "http://localhost:1"}),
        ("POST", "console/reset", {"sec-fetch-site": "cross-site"}),
        ("POST", "console/reset", {"sec-fetch-site": "same-site"}),
        ("OPTIONS", "faults", {"origin": "http://evil.test"}),
        ("POST", "reset", {"origin": "http://evil.test"}),
        ("DELETE", "faults", {"origin": "null"}),
    ],
)
async def test_pages_of_other_sites_are_kept_out(running, method, path, headers):
    """A browser on this machine may have any page open."""
    running.sandbox.fail("lost")
    async with running.admin() as admin:
        response = await admin.request(method, path, headers=headers)
    assert 403 == response.status_code
    assert ["lost"] == [armed.fault.kind for armed in running.sandbox.faults]


@pytest.mark.parametrize("more", ["0", ".evil.test", "@evil.test", "/"])
async def test_an_origin_that_only_begins_like_ours_is_another_site(running, more):
    """A browser says `http://127.0.0.1:8730.evil.test` for a page of evil.test."""
    origin = running.served.url.removesuffix("/v3") + more
    running.sandbox.fail("lost")
    async with running.admin() as admin:
        response = await admin.post("reset", headers={"origin": origin})
    assert 403 == response.status_code
    assert ["lost"] == [armed.fault.kind for armed in running.sandbox.faults]


async def test_the_own_page_may_change_the_sandbox(running):
    """A form on the sandbox's own address has that address as its origin."""
    origin = running.served.url.removesuffix("/v3")
    async with running.admin() as admin:
        assert 200 == (await admin.post("reset", headers={"origin": origin})).status_code


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8730", "127.0.0.1", "[::1]:8730", "[::1]"]
)
async def test_the_names_of_this_machine_are_let_in(running, host):
    """With a port or without, and however they are written."""
    async with running.admin() as admin:
        assert 200 == (await admin.get("", headers={"host": host})).status_code


async def test_a_request_without_a_host_is_no_error_of_ours(running):
    """HTTP/1.0 knew none: it is refused like a stranger's."""
    host, port = running.served.url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /_sandbox/reset HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 403 ")

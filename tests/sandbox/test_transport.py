import asyncio
import contextlib
import subprocess
import sys
from decimal import Decimal
from typing import Any

import httpx
import httpx2
import pytest

from clicksend_reseller import (
    AccountFields,
    AlreadyExistsError,
    APIConnectionError,
    AsyncResellerClient,
    AuthenticationError,
    InsufficientCreditError,
    Outcome,
    RateLimitError,
    RetryPolicy,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.sandbox import Sandbox

FAMILIES = {"httpx": httpx, "httpx2": httpx2}

TRANSFER = {"client_user_id": 1001, "balance": 1, "currency": "AUD"}


async def collect(stream, parts):
    """Keep what comes, also where it breaks off."""
    async for part in stream:
        parts.append(part)  # a comprehension would lose them


def raw_client(sandbox, family="httpx", **options):
    """Make a client of the library itself."""
    return FAMILIES[family].AsyncClient(
        transport=sandbox.transport(family),
        base_url="http://localhost/v3",
        auth=("sandbox", "sandbox"),
        **options,
    )


class Body:
    """A one-shot body that tells whether it was asked for, and whether it was taken whole."""

    def __init__(self):
        self.asked = self.taken = False

    async def __aiter__(self):
        self.asked = True
        yield b'{"client_user_id": 1001, "balance": 1, "currency": "AUD"}'
        self.taken = True


async def test_an_error_knows_its_request():
    """As the library's own do, which is what their handlers print."""
    sandbox = Sandbox()
    sandbox.fail("lost")
    async with raw_client(sandbox) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="set to fail: lost") as caught:
            await client.get("/account")
    assert "/v3/account" == caught.value.request.url.path


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_silence_lasts_until_the_caller_gives_up(family, kind):
    """The transfer is applied, nobody is told, and a cancellation passes through untouched."""
    sandbox = Sandbox()
    sandbox.fail(kind)
    async with raw_client(sandbox, family) as client:
        call = asyncio.create_task(client.put("/reseller/transfer-credit", json=TRANSFER))
        await asyncio.sleep(0.01)  # an answer would have come: nothing is waited for in process
        assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [False] == [entry.told for entry in sandbox.ledger]


@pytest.mark.parametrize("kind", ["reset", "lost", "cut", "garbage"])
async def test_whatever_loses_the_answer_has_taken_the_whole_body(kind):
    """On a socket it would have left, so a one-shot body must count it as left here too."""
    sandbox, body = Sandbox(), Body()
    sandbox.fail(kind)
    async with raw_client(sandbox) as client:
        with pytest.raises(httpx.TransportError):
            await client.put("/reseller/transfer-credit", content=body)
    assert (True, True) == (body.asked, body.taken)


async def test_a_refused_connection_never_asks_for_the_body():
    """That is the proof of "unsent"; it comes before faults that were armed earlier."""
    sandbox, body = Sandbox(), Body()
    sandbox.fail("lost")
    sandbox.fail("refuse")
    async with raw_client(sandbox) as client:
        with pytest.raises(httpx.ConnectError):
            await client.put("/reseller/transfer-credit", content=body)
    assert (False, (), ()) == (body.asked, sandbox.requests, sandbox.ledger)
    assert ["lost"] == [armed.fault.kind for armed in sandbox.faults]


async def test_a_refused_connection_can_be_of_one_operation():
    """The path is known before the body is."""
    sandbox = Sandbox()
    sandbox.fail("refuse", operation="transfer_credit")
    async with raw_client(sandbox) as client:
        assert 200 == (await client.get("/account")).status_code
        with pytest.raises(httpx.ConnectError):
            await client.put("/reseller/transfer-credit", json=TRANSFER)


async def test_a_cut_answer_keeps_its_status_and_half_its_body():
    """Half an answer is more than none: the status line was readable."""
    sandbox = Sandbox()
    sandbox.fail("cut")
    async with raw_client(sandbox) as client, client.stream("GET", "/account") as response:
        half = int(response.headers["content-length"]) // 2
        parts: list[bytes] = []
        with pytest.raises(httpx.RemoteProtocolError):
            await collect(response.aiter_raw(), parts)
    assert (200, half) == (response.status_code, len(b"".join(parts)))


async def test_a_told_transfer_is_marked_in_the_ledger():
    """``told`` says that the caller was given the whole answer."""
    sandbox = Sandbox()
    async with raw_client(sandbox) as client:
        await client.put("/reseller/transfer-credit", json=TRANSFER)
    logged = sandbox.requests[-1]
    assert (1, "PUT", "transfer_credit", 1001, 200, None) == (
        logged.n,
        logged.method,
        logged.operation,
        logged.client_user_id,
        logged.status,
        logged.fault,
    )
    assert [(1, True)] == [(entry.request, entry.told) for entry in sandbox.ledger]


async def test_a_caller_who_leaves_before_the_answer_was_not_told():
    """Every answer takes a turn of the loop, so a cancellation can fall between."""
    sandbox = Sandbox()
    async with raw_client(sandbox) as client:
        call = asyncio.create_task(client.put("/reseller/transfer-credit", json=TRANSFER))
        while not sandbox.ledger:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [False] == [entry.told for entry in sandbox.ledger]


def test_an_unknown_family_is_refused():
    """There are two."""
    with pytest.raises(ValueError, match="family is 'httpx' or 'httpx2', not 'aiohttp'"):
        Sandbox().transport("aiohttp")  # type: ignore[call-overload]  # that is the test


def test_each_family_gets_a_transport_of_its_own():
    """An httpx2 transport goes into an httpx2 client, and never into httpx's."""
    sandbox = Sandbox()
    assert isinstance(sandbox.transport(), httpx.AsyncBaseTransport)
    assert isinstance(sandbox.transport("httpx2"), httpx2.AsyncBaseTransport)
    is_one_library = httpx is httpx2  # under the alias
    odd = isinstance(sandbox.transport("httpx2"), httpx.AsyncBaseTransport)
    assert is_one_library is odd


IN_PROCESS_USE = """
import sys
from clicksend_reseller.sandbox import Fault, Quirks, Sandbox
Sandbox().transport()
Sandbox().client()
print(*sorted({"starlette", "uvicorn", "h11._connection", "httpx2", "jinja2"} & set(sys.modules)))
"""


def test_in_process_use_loads_no_extra():
    """Tests of a user need nothing but the package itself."""
    run = subprocess.run(
        [sys.executable, "-c", IN_PROCESS_USE], capture_output=True, text=True, check=True
    )
    assert {"h11._connection"} >= set(run.stdout.split())


FIELDS = AccountFields(
    username="ada",
    password="engine-1843",
    user_email="ada@client.test",
    user_phone="518-481-1002",
    user_first_name="Ada",
    user_last_name="Byron",
    account_name="Engines",
    country="US",
)


async def test_the_client_reads_all_of_the_cast():
    """Every oddity of the first twelve becomes an account."""
    sandbox = Sandbox(accounts=31)
    async with sandbox.client() as client:
        seen = {account.user_id: account async for account in client.iter_accounts(limit=15)}
    assert {user_id: sandbox.balance(user_id) for user_id in range(1001, 1032)} == {
        user_id: account.balance for user_id, account in seen.items()
    }
    assert ("61200001004", None, None, True) == (
        seen[1004].user_phone,
        seen[1007].subaccount,
        seen[1008].currency,
        seen[1006].banned,
    )


async def test_the_client_creates_updates_and_pays():
    """The story of one client, from the creation to the first credit."""
    sandbox = Sandbox()
    async with sandbox.client() as client:
        ada = await client.create_account(FIELDS)
        with pytest.raises(AlreadyExistsError):
            await client.create_account(FIELDS)
        changed = AccountFields.from_account(ada, password="engine-1844", account_name="Notes")
        assert "Notes" == (await client.update_account(ada.user_id, changed)).account_name
        receipt = await client.transfer_credit(ada.user_id, 12, "USD")
        own = await client.get_own_account()
    assert receipt.account is not None
    assert (Decimal(12), Decimal(982)) == (receipt.account.balance, own.balance)
    assert [Decimal(12)] == sandbox.transfers_to(ada.user_id)


@pytest.mark.parametrize("kind", ["lost", "cut", "garbage", "page"])
async def test_the_client_sends_a_transfer_once_and_owns_up(kind):
    """The answer is lost, the money has moved, and the error says that it cannot know."""
    sandbox = Sandbox()
    sandbox.fail(kind, times=None)
    async with sandbox.client() as client:
        with pytest.raises(TransferOutcomeUnknownError) as caught:
            await client.transfer_credit(1001, 12, "AUD")
    assert (Outcome.UNKNOWN, [Decimal(12)]) == (caught.value.outcome, sandbox.transfers_to(1001))
    assert [False] == [entry.told for entry in sandbox.ledger]


@pytest.mark.parametrize(("user_id", "kind"), [(1011, "lost"), (1012, "hang")])
async def test_the_last_two_of_the_cast_always_leave_a_transfer_in_doubt(user_id, kind):
    """1011 loses every answer and 1012 never gives one; reads of both go well."""
    sandbox = Sandbox()
    async with sandbox.client(timeout=0.05) as client:
        for _ in range(2):
            with pytest.raises(TransferOutcomeUnknownError):
                await client.transfer_credit(user_id, 5, "AUD")
        assert Decimal(40) == (await client.get_account(user_id)).balance
    assert [Decimal(5)] * 2 == sandbox.transfers_to(user_id)
    assert [kind, kind, None] == [request.fault for request in sandbox.requests]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("reads", [False, True])
async def test_a_transport_that_repeats_a_request_pays_once(family, reads, monkeypatch):
    """The body is given once here too, also after a hook has read it: as on a socket."""
    library = FAMILIES[family]
    sandbox = Sandbox()
    sandbox.fail("lost", times=None)
    transport = sandbox.transport(family)
    send = transport.handle_async_request

    async def send_again(request):
        with contextlib.suppress(library.TransportError):
            return await send(request)
        return await send(request)

    async def look(request):
        if reads:
            await request.aread()

    monkeypatch.setattr(transport, "handle_async_request", send_again)
    hooks = {"request": [look]}
    async with library.AsyncClient(transport=transport, event_hooks=hooks) as http_client:
        options: dict[str, Any] = {"base_url": "http://localhost/v3", "http_client": http_client}
        async with AsyncResellerClient("sandbox", "sandbox", **options) as client:
            with pytest.raises(TransferOutcomeUnknownError):
                await client.transfer_credit(1001, 5, "AUD")
    assert [5] == sandbox.transfers_to(1001)


async def test_the_client_repeats_a_transfer_that_was_never_asked_for():
    """A refused connection is proof, so the second attempt pays, once."""
    sandbox = Sandbox()
    sandbox.fail("refuse", operation="transfer_credit")
    async with sandbox.client(retry=RetryPolicy(base_delay=0.001)) as client:
        await client.transfer_credit(1001, 12, "AUD")
    assert [Decimal(12)] == sandbox.transfers_to(1001)


async def test_the_client_gives_up_unsent_where_every_connection_is_refused():
    """No attempt left, so nothing can have been applied."""
    sandbox = Sandbox()
    sandbox.fail("refuse", times=None)
    async with sandbox.client(retry=RetryPolicy(max_retries=1, base_delay=0.001)) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.transfer_credit(1001, 12, "AUD")
    assert (Outcome.NOT_SENT, 2, ()) == (
        caught.value.outcome,
        caught.value.attempts,
        sandbox.ledger,
    )


async def test_the_client_knows_the_refusals():
    """Short of credit, too many calls, and somebody else's key."""
    sandbox = Sandbox(credit="5")
    sandbox.fail("limit", after=1, retry_after=0)
    async with sandbox.client() as client:
        with pytest.raises(InsufficientCreditError):
            await client.transfer_credit(1001, 12, "AUD")
        with pytest.raises(RateLimitError) as caught:
            await client.transfer_credit(1001, 1, "AUD")
    assert (Outcome.REJECTED, ()) == (caught.value.outcome, sandbox.ledger)
    async with sandbox.client() as client:
        sandbox.fail("error", status=401, response_code="UNAUTHORIZED")
        with pytest.raises(AuthenticationError):
            await client.list_accounts()


def test_two_sandboxes_with_other_names_are_other_realms():
    """A journal's key used here never answers for the live account."""
    realms = {Sandbox(username=name).client().realm for name in ("one", "two")}
    assert 2 == len(realms)
    assert all("localhost" in realm for realm in realms)


@pytest.mark.parametrize(
    "name", ["base_url", "username", "api_key", "transport", "http_client", "proxy"]
)
def test_a_client_of_a_sandbox_cannot_be_led_elsewhere(name):
    """A slip in a test must not move real money."""
    options: Any = {name: None}
    with pytest.raises(TypeError, match=f"'{name}' belongs to the sandbox"):
        Sandbox().client(**options)

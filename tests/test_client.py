"""What does the client put on the wire, and what does it give back?"""

import base64
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import httpx
import httpx2
import pytest

import clicksend_reseller
from clicksend_reseller import (
    AsyncResellerClient,
    CallEvent,
    ClientStateError,
    ConfigurationError,
    Currency,
    OutcomeUnknownError,
    Secret,
    TransferReceipt,
)
from clicksend_reseller.sandbox import Quirks, Sandbox
from support.clients import FIELDS, make_client
from support.fault_server import FaultServer

BODY = {
    "username": "acme2",
    "password": "open-sesame-please",
    "user_email": "owner@acme2.test",
    "user_phone": "+15005550002",
    "user_first_name": "Ann",
    "user_last_name": "Example",
    "account_name": "Acme Two",
    "country": "US",
}

CALLS = {
    "list_accounts": (
        lambda client: client.list_accounts(page=2, limit=50),
        ("GET", "/v3/reseller/accounts?page=2&limit=50", None),
    ),
    "list_accounts by default": (
        lambda client: client.list_accounts(),
        ("GET", "/v3/reseller/accounts?page=1&limit=100", None),
    ),
    "get_account": (
        lambda client: client.get_account(42),
        ("GET", "/v3/reseller/accounts/42", None),
    ),
    "create_account": (
        lambda client: client.create_account(FIELDS),
        ("POST", "/v3/reseller/accounts", BODY),
    ),
    "update_account": (
        lambda client: client.update_account(42, FIELDS),
        ("PUT", "/v3/reseller/accounts/42", BODY),
    ),
    "transfer_credit": (
        lambda client: client.transfer_credit(60, 12, "USD"),
        (
            "PUT",
            "/v3/reseller/transfer-credit",
            {"client_user_id": 60, "balance": 12, "currency": "USD"},
        ),
    ),
    "transfer_credit back": (
        lambda client: client.transfer_credit(60, -5, "AUD", allow_negative=True),
        (
            "PUT",
            "/v3/reseller/transfer-credit",
            {"client_user_id": 60, "balance": -5, "currency": "AUD"},
        ),
    ),
    "get_own_account": (lambda client: client.get_own_account(), ("GET", "/v3/account", None)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("family", ["own stack", "httpx", "httpx2"])
async def test_each_operation_sends_exactly_its_request(name, family):
    """Method, path, query and body are the documented ones, whichever client carries them."""
    call, expected = CALLS[name]
    async with FaultServer() as server, client_of(family, server) as client:
        await call(client)
        (request,) = server.requests
    body = json.loads(request.body) if request.body else None
    assert expected == (request.method, request.path, body)


async def test_headers_carry_credentials_and_ask_for_plain_json():
    """Basic credentials, identity encoding, a sized body and who we are."""
    async with FaultServer() as server, make_client(server) as client:
        await client.transfer_credit(60, 12, "USD")
        (request,) = server.requests
    headers = {name.lower(): value for name, value in dict(request.headers).items()}
    assert (
        f"Basic {base64.b64encode(b'user:key-of-the-tests').decode()}" == headers["authorization"]
    )
    assert "identity" == headers["accept-encoding"]
    assert "application/json" == headers["accept"] == headers["content-type"]
    assert str(len(request.body)) == headers["content-length"]
    assert "transfer-encoding" not in headers
    assert headers["user-agent"].startswith(f"clicksend-reseller/{clicksend_reseller.__version__}")


async def test_an_account_comes_back_typed():
    """Decimals, strings and flags for what the wire sends as strings, ints and ints."""
    async with FaultServer() as server, make_client(server) as client:
        account = await client.get_account(42)
    assert (42, Decimal("170.728701"), True, False) == (
        account.user_id,
        account.balance,
        account.active,
        account.banned,
    )
    assert "+61200000971" == account.user_phone
    assert account.subaccount is not None
    assert Secret("00000000-0000-0000-0000-000000000070") == account.subaccount.api_key
    assert (
        Currency(
            currency_name_short="AUD",
            currency_name_long="Australian Dollars",
            currency_prefix_d="$",
            currency_prefix_c="c",
        )
        == account.currency
    )


async def test_a_transfer_gives_a_receipt():
    """What was moved, and the client afterwards."""
    async with FaultServer() as server, make_client(server) as client:
        receipt = await client.transfer_credit(60, 12, "USD")
    assert TransferReceipt(client_user_id=60, amount=12, currency="USD") == attrs.evolve(
        receipt, account=None
    )
    assert receipt.account is not None
    assert Decimal("170.728701") == receipt.account.balance


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_all_accounts_are_walked_in_order(prefetch):
    """237 accounts over pages of 50 come once each, in the server's order."""
    async with FaultServer(accounts=237) as server, make_client(server) as client:
        walk = client.iter_accounts(limit=50, prefetch=prefetch)
        ids = [account.user_id async for account in walk]
        requests = len(server.requests)
    assert list(range(1, 238)) == ids
    assert (5, 237, True) == (walk.report.pages, walk.report.accounts, walk.report.complete)
    assert 5 == requests


@pytest.mark.parametrize("next_page_url", ["bare", "other-host", "none"])
async def test_a_walk_never_follows_the_url_of_the_next_page(next_page_url):
    """It has been seen to name another host, or none: pages are asked for by number."""
    sandbox = Sandbox(quirks=Quirks(next_page_url=next_page_url))
    async with sandbox.client() as client:
        walk = client.iter_accounts(limit=5)
        assert list(range(1001, 1013)) == [account.user_id async for account in walk]
    asked = [request.path for request in sandbox.requests]
    assert ["/v3/reseller/accounts"] * 3 == asked


BAD_CALLS = {
    "page 0": lambda client: client.list_accounts(page=0),
    "page True": lambda client: client.list_accounts(page=True),
    "limit 0": lambda client: client.list_accounts(limit=0),
    "id 0": lambda client: client.get_account(0),
    "id negative": lambda client: client.get_account(-1),
    "id as another route": lambda client: client.get_account("../transfer-credit"),
    "id True": lambda client: client.get_account(True),  # noqa: FBT003
    "id 2**31": lambda client: client.get_account(2**31),
    "id float": lambda client: client.update_account(1.0, FIELDS),
    "fields dict": lambda client: client.create_account(BODY),
    "fields blank": lambda client: client.create_account(attrs.evolve(FIELDS, username=" ")),
    "amount 0": lambda client: client.transfer_credit(1, 0, "AUD"),
    "amount 1.5": lambda client: client.transfer_credit(1, 1.5, "AUD"),
    "amount text": lambda client: client.transfer_credit(1, "12", "AUD"),
    "amount True": lambda client: client.transfer_credit(1, True, "AUD"),  # noqa: FBT003
    "amount Decimal": lambda client: client.transfer_credit(1, Decimal(12), "AUD"),
    "amount negative": lambda client: client.transfer_credit(1, -5, "AUD"),
    "amount 2**31": lambda client: client.transfer_credit(1, 2**31, "AUD"),
    "currency empty": lambda client: client.transfer_credit(1, 5, ""),
    "currency word": lambda client: client.transfer_credit(1, 5, "DOLLARS"),
    "currency small": lambda client: client.transfer_credit(1, 5, "aud"),
    "currency None": lambda client: client.transfer_credit(1, 5, None),
    "key without journal": lambda client: client.transfer_credit(
        1, 5, "AUD", idempotency_key="inv-1"
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
async def test_bad_input_is_refused_before_anything_is_sent(name):
    """A ValueError or TypeError, and no connection was opened."""
    async with FaultServer() as server, make_client(server) as client:
        with pytest.raises((ValueError, TypeError)):
            await BAD_CALLS[name](client)
        assert 0 == server.connections


@pytest.mark.parametrize("bad", [{"prefetch": -1}, {"limit": 0}, {"start_page": 0}])
def test_a_bad_walk_is_refused_at_once(bad):
    """Not at the first page, which may be far from the mistake."""
    with pytest.raises(ValueError, match="must be"):
        AsyncResellerClient("user", "key").iter_accounts(**bad)


def test_nothing_secret_is_in_the_client_s_repr():
    """User name and URL help; the key is nobody's business."""
    client = AsyncResellerClient("user", "key-of-the-tests")
    assert "AsyncResellerClient(username='user', base_url='https://rest.clicksend.com/v3')" == repr(
        client
    )
    assert "https://rest.clicksend.com/v3 as user" == client.realm
    assert (None, None) == (client.rate_limit, client.journal)


MOCK2 = httpx2.MockTransport(lambda _: httpx2.Response(200))
MOCK = httpx.MockTransport(lambda _: httpx.Response(200))


class HalfAJournal:
    async def intend(self, *_: object) -> None: ...

    async def claim(self, *_: object) -> None: ...


async def awaited(event: CallEvent) -> None:
    """Observe, if only somebody waited for it."""


class Awaited:
    async def __call__(self, event: CallEvent) -> None: ...


WRONG: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "no such kind of transport": ({"transport": object()}, TypeError),
    "a client that cannot be awaited": ({"http_client": httpx.Client()}, TypeError),
    "no client": ({"http_client": object()}, TypeError),
    "two ways": (
        {"transport": MOCK, "http_client": httpx.AsyncClient()},
        ConfigurationError,
    ),
    "a proxy that is ignored": (
        {"transport": MOCK, "proxy": "http://127.0.0.1:1"},
        ConfigurationError,
    ),
    "a proxy that is none": ({"proxy": "gopher://user:pass-word@host"}, ConfigurationError),
    "no time": ({"timeout": 0}, ConfigurationError),
    "endless time": ({"deadline": float("inf")}, ConfigurationError),
    "time as text": ({"timeout": "20"}, TypeError),
    "no places": ({"max_concurrency": 0}, ConfigurationError),
    "no policy": ({"retry": None}, TypeError),
    "a number of retries": ({"retry": 3}, TypeError),
    "a rate": ({"limiter": 5}, TypeError),
    "a limiter that is not async": ({"limiter": contextlib.nullcontext}, TypeError),
    "a lock of threads": ({"limiter": threading.Lock()}, TypeError),
    "no journal": ({"journal": 5}, TypeError),
    "a journal's file": ({"journal": "transfers.db"}, TypeError),
    "a journal's class, half": ({"journal": HalfAJournal()}, TypeError),
    "no observer": ({"observer": 5}, TypeError),
    "an observer that is awaited": ({"observer": awaited}, TypeError),
    "an observer bound and awaited": ({"observer": partial(awaited)}, TypeError),
    "an observer whose calls are awaited": ({"observer": Awaited()}, TypeError),
    "a context by name": ({"ssl_context": "x"}, TypeError),
    "a proxy that is no text": ({"proxy": 5}, TypeError),
    "plain http": ({"base_url": "http://rest.clicksend.com/v3"}, ConfigurationError),
}


if httpx is not httpx2:  # under the alias there is one library, and its transports are right
    WRONG["a transport of httpx2"] = ({"transport": MOCK2}, TypeError)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_refused_when_the_client_is_made(name):
    """With a word on what is wrong, and no secret in it."""
    options, error = WRONG[name]
    with pytest.raises(error) as caught:
        AsyncResellerClient("user", "key-of-the-tests", **options)
    assert "pass-word" not in str(caught.value)
    assert "key-of-the-tests" not in str(caught.value)


def test_a_client_that_could_not_be_made_shows_nothing():
    """A traceback with locals prints it half made."""
    half = object.__new__(AsyncResellerClient)
    assert "AsyncResellerClient()" == repr(half)


def test_a_client_without_credentials_says_what_to_do(monkeypatch):
    """It names the argument and the variable."""
    monkeypatch.delenv("CLICKSEND_USERNAME", raising=False)
    monkeypatch.delenv("CLICKSEND_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="pass username= or set CLICKSEND_USERNAME"):
        AsyncResellerClient()
    with pytest.raises(ConfigurationError, match="pass api_key= or set CLICKSEND_API_KEY"):
        AsyncResellerClient("user")


async def test_the_environment_gives_what_no_argument_does(monkeypatch):
    """User name, key and base URL."""
    async with FaultServer() as server:
        monkeypatch.setenv("CLICKSEND_USERNAME", "user")
        monkeypatch.setenv("CLICKSEND_API_KEY", "key-of-the-tests")
        monkeypatch.setenv("CLICKSEND_BASE_URL", server.url + "/")
        async with AsyncResellerClient() as client:
            await client.get_own_account()
        assert f"{server.url} as user" == client.realm
        (request,) = server.requests
    assert "/v3/account" == request.path


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_client_of_the_caller_s_stays_open(library):
    """Whoever made it closes it."""
    async with FaultServer() as server, library.AsyncClient() as foreign:
        async with make_client(server, http_client=foreign) as client:
            await client.get_account(1)
        assert not foreign.is_closed
        with pytest.raises(ClientStateError):
            await client.get_account(1)


@pytest.mark.parametrize("family", ["own stack", "httpx", "httpx2"])
async def test_a_lost_answer_is_one_error_on_every_stack(family):
    """Sent once, unknown, whichever library raised what."""
    async with FaultServer() as server, client_of(family, server) as client:
        server.script("lost_fin_applied")
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.transfer_credit(60, 12, "USD")
        assert {("transfer", 60, 12): 1} == server.applied
    assert 1 == caught.value.attempts


@contextlib.asynccontextmanager
async def client_of(family: str, server: FaultServer) -> AsyncIterator[AsyncResellerClient]:
    """Make a client over our own stack, or over an AsyncClient of a library."""
    if family == "own stack":
        async with make_client(server) as client:
            yield client
        return
    library = {"httpx": httpx, "httpx2": httpx2}[family]
    async with library.AsyncClient() as foreign, make_client(server, http_client=foreign) as client:
        yield client

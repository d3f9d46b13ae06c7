"""Five canaries: do they show in anything that a program prints, logs, pickles or copies?"""

import asyncio
import base64
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any, cast

import attrs
import httpx
import pytest

from clicksend_reseller import (
    AccountFields,
    AccountPage,
    AsyncResellerClient,
    ResellerError,
    Secret,
    to_dict,
)
from support.clients import FIELDS, QUICK
from support.good_answers import ACCOUNT

KEY = "canary-api-key-1f0c"
CORE = "canary-of-a-password"  # as it stands in every form that quotes and escapes leave
PASSWORD = f'"{CORE}" wörd'
SUBACCOUNT_KEY = "canary-subaccount-key"
UNKNOWN_FIELD = "canary-in-an-unknown-field"
BASIC = base64.b64encode(f"user:{KEY}".encode()).decode()
CANARIES = [
    KEY,
    BASIC,
    PASSWORD,
    json.dumps(PASSWORD)[1:-1],
    json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
    CORE,
    SUBACCOUNT_KEY,
    UNKNOWN_FIELD,
]

SECRETIVE = ACCOUNT | {
    "_subaccount": ACCOUNT["_subaccount"]
    | {"api_key": SUBACCOUNT_KEY, "smtp_token": UNKNOWN_FIELD},
    "webhook": {"urls": [{"name": "a", "auth_secret": UNKNOWN_FIELD}], "Api-Key": [UNKNOWN_FIELD]},
}
SUCCESS = {"http_code": 200, "response_code": "SUCCESS", "response_msg": "", "data": SECRETIVE}
PAGE = SUCCESS | {"data": {"total": 1, "last_page": 1, "current_page": 1, "data": [SECRETIVE]}}


def _shown(thing: object) -> Iterator[str]:
    """Everything that a thing shows of itself."""
    yield repr(thing)
    yield str(thing)
    yield f"{thing}"
    yield f"{thing!r:>300}"
    yield "%s %r" % (thing, thing)  # noqa: UP031 - how old code prints
    yield repr(pickle.dumps(thing))
    yield repr(pickle.loads(pickle.dumps(thing)))  # noqa: S301 - our own
    yield repr(copy.copy(thing))
    yield repr(copy.deepcopy(thing))
    if attrs.has(type(thing)):
        yield repr(attrs.asdict(cast("attrs.AttrsInstance", thing)))
        yield json.dumps(to_dict(thing))
    if isinstance(thing, BaseException):
        yield from _shown_by_error(thing)


def _shown_by_error(error: BaseException) -> Iterator[str]:
    yield "".join(traceback.format_exception(error))
    yield from traceback.TracebackException.from_exception(error, capture_locals=True).format()
    yield repr(vars(error))
    links = [error.__cause__, error.__context__]
    for link in filter(None, links):
        yield from _shown_by_error(link)


def _assert_silent(*things: object) -> None:
    for thing in things:
        for text in _shown(thing):
            assert [] == [canary for canary in CANARIES if canary in text], text[:2_000]


@pytest.fixture
def log(caplog):
    """Look through the whole log at the end."""
    caplog.set_level(1)
    yield caplog
    assert [] == [canary for canary in CANARIES if canary in caplog.text]


@pytest.fixture
def fields():
    """Fields with a password that JSON has to quote."""
    return attrs.evolve(FIELDS, password=PASSWORD)


def _client_answering(answer, **options) -> AsyncResellerClient:
    transport = httpx.MockTransport(answer)
    return AsyncResellerClient("user", KEY, transport=transport, retry=QUICK, **options)


async def test_models_keep_their_secrets(log, fields):
    """And give them to those who ask."""
    answers = {"GET": SUCCESS, "PUT": SUCCESS}
    async with _client_answering(lambda r: httpx.Response(200, json=answers[r.method])) as client:
        account = await client.get_account(1)
        receipt = await client.transfer_credit(1, 5, "AUD")
        answers["GET"] = PAGE
        page = await client.list_accounts()
        assert isinstance(page, AccountPage)
        _assert_silent(account, account.subaccount, account.extra, receipt, page, fields)
        for text in (repr(client), str(client), f"{client}"):
            assert KEY not in text
    subaccount: Any = account.subaccount
    assert SUBACCOUNT_KEY == subaccount.api_key.get_secret_value()
    assert SUBACCOUNT_KEY == to_dict(account, secrets=True)["subaccount"]["api_key"]
    assert UNKNOWN_FIELD == subaccount.extra["smtp_token"].get_secret_value()


def _echo(request: httpx.Request) -> httpx.Response:
    """A refusal that repeats whatever it was sent, wherever it can, the password first."""
    body = request.content.decode()
    password = json.loads(body or "{}").get("password", "")
    said = f"{password} is weak, you sent {body} with {request.headers['Authorization']} and {KEY}"
    data = {"password": [f"{said} is weak"], "user_email": said}
    details = [{"field": "password", "reason": said}]
    refusal = {"http_code": 400, "response_code": "BAD_REQUEST", "response_msg": said}
    return httpx.Response(400, json=refusal | {"data": data, "details": details})


def _echo_plainly(request: httpx.Request) -> httpx.Response:
    sent = f"{request.headers['Authorization']} {KEY} {request.content.decode()}"
    return httpx.Response(500, text=f"<html>{sent} api_key={SUBACCOUNT_KEY}</html>")


def _echo_names(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=SUCCESS | {"data": {"api_key": SUBACCOUNT_KEY}})


def _fail(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError(f"lost {request.headers['Authorization']} {KEY}", request=request)


@pytest.mark.parametrize("answer", [_echo, _echo_plainly, _echo_names, _fail])
async def test_errors_keep_secrets_that_a_server_repeats(log, fields, answer):
    """In message, excerpt, field errors, traceback with locals, pickle and log."""
    async with _client_answering(answer) as client:
        for call in (
            client.create_account(fields),
            client.update_account(1, fields),
            client.get_account(1),
        ):
            with pytest.raises(ResellerError) as caught:
                await call
            _assert_silent(caught.value)


@pytest.mark.parametrize("seconds", [0.0, 0.01])
async def test_a_cancelled_call_keeps_its_secrets(log, fields, seconds):
    """Frames of the HTTP library hold headers and body."""

    async def never(request: httpx.Request) -> httpx.Response:
        await request.aread()
        await asyncio.Event().wait()
        raise AssertionError

    async with _client_answering(never, timeout=0.05) as client:
        for call in (client.create_account(fields), client.get_account(1)):
            task = asyncio.ensure_future(call)
            await asyncio.sleep(seconds)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            for text in _shown_by_error(caught.value):
                assert [] == [canary for canary in CANARIES if canary in text], text


async def test_logs_of_the_http_library_hold_no_secret(log, fields):
    """At level 1, over a real socket."""
    from support.fault_server import FaultServer  # noqa: PLC0415

    async with (
        FaultServer() as server,
        AsyncResellerClient("user", KEY, base_url=server.url, retry=QUICK) as client,
    ):
        await client.create_account(fields)
        server.script("lost_fin")
        with pytest.raises(ResellerError) as caught:
            await client.create_account(fields)
        _assert_silent(caught.value)
        logging.getLogger("clicksend_reseller").debug("the client is %r", client)
    assert any(record.name.startswith("httpcore") for record in log.records)


async def test_no_mask_becomes_a_password(fields):
    """What was pickled or printed raises before anything is sent; a copy is as good as new."""
    sent: list[bytes] = []

    def take(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(200, json=SUCCESS)

    async with _client_answering(take) as client:
        travelled = pickle.loads(pickle.dumps(fields))  # noqa: S301 - our own
        with pytest.raises(ValueError, match="did not travel"):
            await client.create_account(travelled)
        with pytest.raises(ValueError, match="mask"):
            AccountFields(**{**attrs.asdict(fields), "password": str(fields.password)})
        assert [] == sent
        await client.create_account(copy.deepcopy(fields))
        await client.update_account(1, copy.copy(fields))
    assert [PASSWORD, PASSWORD] == [json.loads(body)["password"] for body in sent]
    assert Secret(PASSWORD) == fields.password

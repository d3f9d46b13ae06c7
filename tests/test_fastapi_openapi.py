"""Our answers in OpenAPI; sub-applications, WebSockets and the Idempotency-Key header."""

import contextlib
import json
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Header, WebSocket
from openapi_spec_validator import validate
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from clicksend_reseller import RetryPolicy, Transfer, TransferReceipt
from clicksend_reseller.fastapi import (
    Problem,
    ResellerDep,
    add_exception_handlers,
    problem_responses,
    reseller_lifespan,
)
from clicksend_reseller.sandbox import Sandbox
from support.memory_journal import MemoryJournal
from support.uvicorn_server import serving

ONCE = RetryPolicy(max_retries=0)
PROBLEM = "application/problem+json"
BODY = {"client_user_id": 1001, "amount": 5, "currency": "AUD"}


@contextlib.asynccontextmanager
async def asking(app):
    """Serve the application, and give an HTTP client for it."""
    async with serving(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield http


def make_app(sandbox, **options):
    """Make an application whose answers are described."""
    app = FastAPI(
        lifespan=reseller_lifespan(lambda: sandbox.client(retry=ONCE, **options)),
        responses=problem_responses(),
    )
    add_exception_handlers(app)
    return app


def add_transfers(app):
    """Take the key from the header that its draft names."""

    @app.post("/transfers/{user_id}")
    async def transfer(
        user_id: int,
        reseller: ResellerDep,
        key: Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=255)],
        amount: int = 5,
    ) -> TransferReceipt:
        return await reseller.transfer_credit(user_id, amount, "AUD", idempotency_key=key)


async def test_our_answers_stand_in_openapi_as_they_are_given():
    """Every status of the table, under its media type, in a description that is valid."""
    sandbox = Sandbox()
    app = make_app(sandbox, journal=MemoryJournal())
    add_transfers(app)
    async with asking(app) as http:
        description = (await http.get("/openapi.json")).json()
        missing = await http.post("/transfers/999999", headers={"Idempotency-Key": "k"})
    validate(description)
    responses = description["paths"]["/transfers/{user_id}"]["post"]["responses"]
    expected = {"200", "402", "404", "409", "422", "500", "502", "503", "504"}
    assert expected == set(responses)
    for status in expected - {"200"}:
        schema = responses[status]["content"][PROBLEM]["schema"]
        assert "Problem" == schema["title"]
        assert {"type", "title", "status", "detail", "outcome"} == set(schema["required"])
        assert ["not_sent", "rejected", "unknown", "applied"] == (
            schema["properties"]["outcome"]["enum"]
        )
    assert "application/json" in responses["422"]["content"]
    assert (404, PROBLEM) == (missing.status_code, missing.headers["content-type"])
    assert "rejected" == Problem.model_validate_json(missing.content).outcome


async def test_an_idempotency_key_is_replayed_and_a_reused_one_is_a_conflict():
    """The same request again moves nothing and says so; another one under the key is a 409."""
    sandbox = Sandbox()
    app = make_app(sandbox, journal=MemoryJournal())
    add_transfers(app)
    key = {"Idempotency-Key": "order-17"}
    async with asking(app) as http:
        first = await http.post("/transfers/1001", headers=key)
        again = await http.post("/transfers/1001", headers=key)
        other = await http.post("/transfers/1001?amount=6", headers=key)
        without = await http.post("/transfers/1001")
    assert [200, 200, 409, 422] == [a.status_code for a in (first, again, other, without)]
    assert [False, True] == [first.json()["replayed"], again.json()["replayed"]]
    assert ("urn:problem-type:clicksend-reseller:key-reused", "not_sent") == (
        other.json()["type"],
        other.json()["outcome"],
    )
    assert [5] == sandbox.transfers_to(1001)


async def test_a_mounted_application_gets_the_client():
    """Of the outermost lifespan, over real HTTP."""
    sandbox, inner = Sandbox(), FastAPI()
    add_exception_handlers(inner)

    @inner.post("/transfers")
    async def transfer(wanted: Transfer, reseller: ResellerDep) -> TransferReceipt:
        return await reseller.transfer_credit(wanted.client_user_id, wanted.amount, wanted.currency)

    app = make_app(sandbox)
    app.mount("/inner", inner)
    async with asking(app) as http:
        answer = await http.post("/inner/transfers", json={**BODY, "idempotency_key": "k"})
        problem = await http.post(
            "/inner/transfers", json={**BODY, "client_user_id": 999_999, "idempotency_key": "k"}
        )
    assert 200 == answer.status_code
    assert [5] == sandbox.transfers_to(1001)
    assert (404, PROBLEM) == (problem.status_code, problem.headers["content-type"])


async def test_a_lifespan_on_the_mounted_application_alone_is_a_clear_error(caplog):
    """Starlette does not run it, and the error says where it belongs."""
    inner, app = make_app(Sandbox()), FastAPI()

    @inner.get("/own")
    async def own(reseller: ResellerDep) -> str:
        return repr(reseller)

    app.mount("/inner", inner)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        with pytest.raises(RuntimeError, match="to the outermost one"):
            await http.get("/inner/own")


def with_socket(app):
    """Add a WebSocket that moves credit for each message."""

    @app.websocket("/ws")
    async def talk(socket: WebSocket, reseller: ResellerDep) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            receipt = await reseller.transfer_credit(int(text), 5, "AUD")
            await socket.send_json({"amount": receipt.amount})

    return app


async def test_a_websocket_gets_the_client_and_a_failure_closes_it():
    """With the problem's title and outcome; silence would leave the caller waiting."""
    sandbox = Sandbox()
    async with (
        serving(with_socket(make_app(sandbox))) as url,
        connect(url.replace("http", "ws") + "/ws", proxy=None) as socket,
    ):
        await socket.send("1001")
        assert {"amount": 5} == json.loads(await socket.recv())
        await socket.send("1011")  # every answer of this client is lost
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (1011, "Outcome unknown: unknown") == (closed.value.rcvd.code, closed.value.rcvd.reason)
    assert [[5], [5]] == [sandbox.transfers_to(each) for each in (1001, 1011)]


async def test_a_websocket_without_the_lifespan_is_a_clear_error(caplog):
    """The server's log has the line to add."""
    app = with_socket(FastAPI())
    async with serving(app) as url:
        with pytest.raises((InvalidStatus, ConnectionClosedError)):
            async with connect(url.replace("http", "ws") + "/ws", proxy=None) as socket:
                await socket.recv()
    assert "add app = FastAPI(lifespan=reseller_lifespan(" in caplog.text

"""Cancelled calls and closed clients, on real sockets."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import httpx
import pytest
import uvicorn
from fastapi.responses import StreamingResponse

from clicksend_reseller import (
    APIConnectionError,
    AsyncResellerClient,
    ClientStateError,
    Outcome,
    ResellerError,
    RetryPolicy,
    TransferOutcomeUnknownError,
)
from clicksend_reseller._calls import attempt
from support import tls
from support.clients import ONCE, TRANSFER, make_client, transfer
from support.event_loop import a_few_turns
from support.fault_server import FaultServer
from support.limiter import Leaving, cancelled_from_within, hang

# --- cancellation


async def test_a_cancelled_transfer_that_had_left_goes_on(caplog):
    """The caller is freed at once, the note says what is known, and the log says what became."""
    async with FaultServer() as server, make_client(server, timeout=1.0) as client:
        server.script("drip_head")
        task = asyncio.ensure_future(transfer(client))
        await server.until_arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert asyncio.CancelledError is type(caught.value)
        (note,) = caught.value.__notes__
        assert "it may have been applied" in note
        assert [("WARNING", True)] == [
            (record.levelname, "cancelled after it had left" in record.getMessage())
            for record in caplog.records
        ]
        await client.aclose()
        assert "ended: unknown (no answer came within 1 s)" in caplog.text
        assert TRANSFER == server.applied


async def test_the_fate_of_a_cancelled_transfer_becomes_known(caplog):
    """The answer that nobody waits for is read all the same."""
    async with FaultServer() as server, make_client(server) as client:
        server.script("slow_answer")
        task = asyncio.ensure_future(transfer(client))
        await server.until_arrived()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.aclose()
        assert TRANSFER == server.applied
    assert "whose caller had gone, ended: applied" in caplog.text


async def test_a_transfer_cancelled_in_the_queue_was_not_sent():
    """The note says so, and it is true."""
    async with FaultServer() as server:
        server.script("stall")
        async with make_client(server, timeout=0.2, max_concurrency=1, retry=ONCE) as client:
            first = asyncio.ensure_future(client.get_account(9))
            await server.until_arrived()
            task = asyncio.ensure_future(transfer(client))
            await a_few_turns()  # it waits for its turn
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            with contextlib.suppress(ResellerError):
                await first
            await client.get_account(1)
        (note,) = caught.value.__notes__
        assert re.fullmatch(r"transfer_credit of 5 AUD .*: cancelled, and nothing was sent", note)
        assert {} == server.applied


async def test_a_cancelled_read_has_nothing_to_note():
    """It changes nothing, and its connection is closed."""
    async with FaultServer.striking("stall") as server, make_client(server) as client:
        task = asyncio.ensure_future(client.get_account(1))
        await server.until_arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert not hasattr(caught.value, "__notes__")
        await server.quiet()


async def test_time_outs_of_the_caller_s_own_work():
    """asyncio.timeout, wait_for and a task group see the cancellation they expect."""
    async with FaultServer.striking("stall_applied") as server:
        async with make_client(server, timeout=0.8) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.transfer_credit(1, 1, "AUD")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.transfer_credit(1, 2, "AUD"), 0.2)

            async def with_a_failing_sibling() -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(client.transfer_credit(1, 3, "AUD"))
                    await server.until_arrived(3)
                    raise LookupError("the sibling failed")

            with pytest.raises(ExceptionGroup) as caught:
                await with_a_failing_sibling()
            assert ["LookupError"] == [type(error).__name__ for error in caught.value.exceptions]
            current = asyncio.current_task()
            assert current is not None
            assert 0 == current.cancelling()
        assert {("transfer", 1, n): 1 for n in (1, 2, 3)} == server.applied


async def test_a_fastapi_client_that_hangs_up_cuts_no_transfer(caplog):
    """The framework cancels the handler; the transfer ends, once, and its fate is logged."""
    async with FaultServer() as server, make_client(server, timeout=0.5) as client:
        server.script("drip_head")
        app = fastapi.FastAPI()

        @app.get("/pay")
        async def pay() -> StreamingResponse:
            async def story() -> AsyncIterator[str]:
                yield "paying\n"
                await transfer(client)
                yield "paid\n"

            return StreamingResponse(story())

        async with serving(app) as url, httpx.AsyncClient() as browser:
            async with browser.stream("GET", f"{url}/pay") as answer:
                async for _ in answer.aiter_lines():
                    break
                await server.until_arrived()
            async with asyncio.timeout(2):
                while "cancelled after it had left" not in caplog.text:  # noqa: ASYNC110  # bounded
                    await asyncio.sleep(0.005)
        assert TRANSFER == server.applied


@contextlib.asynccontextmanager
async def serving(app: fastapi.FastAPI) -> AsyncIterator[str]:
    """Serve an application on a port of its own."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn offers no event
        await asyncio.sleep(0.001)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


# --- closing


async def test_closing_waits_for_a_transfer_that_has_left():
    """Its caller gets the receipt."""
    async with FaultServer() as server, make_client(server) as client:
        server.script("slow_answer")
        task = asyncio.ensure_future(transfer(client))
        await server.until_arrived()
        await client.aclose()
        assert 1 == (await task).client_user_id


async def test_closing_stops_a_transfer_that_has_not_left():
    """Its caller hears that the client was closed and nothing was sent, not a cancellation."""
    async with FaultServer() as server:
        server.script("stall", operation="get_account")
        async with make_client(server, timeout=0.3, max_concurrency=1, retry=ONCE) as client:
            reading = asyncio.ensure_future(client.get_account(9))
            await server.until_arrived()
            task = asyncio.ensure_future(transfer(client))
            await a_few_turns()  # it waits for its turn
            await client.aclose()
            with pytest.raises(ClientStateError) as caught:
                await task
            assert Outcome.NOT_SENT is caught.value.outcome
            with pytest.raises(ResellerError):
                await reading
        assert {} == server.applied


async def test_closing_does_not_wait_for_a_transfer_that_is_still_connecting():
    """Nothing of it can have left, so its whole time is not waited for."""
    async with FaultServer.striking("tls_stall") as server:
        client = make_client(server, ssl_context=tls.client_context(), timeout=60.0)
        task = asyncio.ensure_future(transfer(client))
        async with asyncio.timeout(5):
            while not server.open_connections:  # noqa: ASYNC110  # bounded just above
                await asyncio.sleep(0.001)
            await client.aclose()
            with pytest.raises(ClientStateError) as caught:
                await task
            await server.quiet()
        assert (Outcome.NOT_SENT, 1) == (caught.value.outcome, caught.value.attempts)
        assert {} == server.applied


async def test_closing_cuts_what_does_not_end_and_reports_it(monkeypatch, caplog):
    """A transfer beyond its time is cut; its caller hears unknown, the log has an error."""
    monkeypatch.setattr(attempt, "SETTLE_SECONDS", -0.95)
    async with FaultServer.striking("stall_applied") as server:
        client = make_client(server, timeout=1.0)
        task = asyncio.ensure_future(transfer(client))
        await server.until_arrived()
        await client.aclose()
        with pytest.raises(TransferOutcomeUnknownError, match="closed before the answer came"):
            await task
        assert TRANSFER == server.applied
    assert re.search(r"transfer_credit of 5 AUD .* was cut off by aclose\(\)", caplog.text)


async def test_a_transfer_cut_without_a_caller_is_reported_too(monkeypatch, caplog):
    """Its caller had gone, then its time was over: the log is all there is."""
    monkeypatch.setattr(attempt, "SETTLE_SECONDS", -0.95)
    async with FaultServer.striking("stall_applied") as server:
        client = make_client(server, timeout=1.0)
        task = asyncio.ensure_future(transfer(client))
        await server.until_arrived()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.aclose()
    assert "whose caller had gone, ended: cut off, outcome unknown" in caplog.text


async def test_a_read_that_waits_for_its_turn_stops_at_closing():
    """It is told so, and never sent."""
    async with FaultServer.striking("stall") as server:
        client = make_client(server, timeout=0.2, max_concurrency=1, retry=ONCE)
        first = asyncio.ensure_future(client.get_account(1))
        await server.until_arrived()
        second = asyncio.ensure_future(client.get_account(2))
        await a_few_turns()  # it waits for its turn
        await client.aclose()
        with pytest.raises(ClientStateError, match="waited for its turn"):
            await second
        with pytest.raises(ResellerError):
            await first
        assert 1 == len(server.requests)


async def test_a_read_that_waits_to_be_repeated_stops_at_closing():
    """It does not hold the exit up for its back-off."""
    async with FaultServer.striking("status_503") as server:
        policy = RetryPolicy(base_delay=60, max_delay=60)
        client = make_client(server, retry=policy)
        task = asyncio.ensure_future(client.get_account(1))
        await server.until_arrived()
        await asyncio.sleep(0.02)  # the refusal has come, and it waits to try again
        await client.aclose()
        async with asyncio.timeout(1):
            with pytest.raises(ClientStateError):
                await task


async def test_closing_twice_and_at_once_is_fine():
    """And using it afterwards is an error that sends nothing."""
    async with FaultServer() as server:
        client = make_client(server)
        await client.get_account(1)
        await asyncio.gather(client.aclose(), client.aclose())
        await client.aclose()
        for call in (client.get_account(1), transfer(client), client.__aenter__()):
            with pytest.raises(ClientStateError, match="closed") as caught:
                await call
            assert Outcome.NOT_SENT is caught.value.outcome
        assert 1 == len(server.requests)


async def test_a_cancelled_closing_goes_on_for_the_others():
    """Whoever else waits for it gets a closed client, and the transfer its receipt."""
    async with FaultServer() as server:
        client = make_client(server)
        server.script("slow_answer")
        task = asyncio.ensure_future(transfer(client))
        await server.until_arrived()
        first, second = (asyncio.ensure_future(client.aclose()) for _ in range(2))
        await a_few_turns()  # both wait for the transfer
        first.cancel()
        await second
        assert 1 == (await task).client_user_id
        await server.quiet()
        assert 0 == server.open_connections


@pytest.mark.parametrize("make", [transfer, lambda client: client.get_account(1)])
async def test_an_attempt_that_is_cancelled_from_within_is_no_cancellation(make):
    """Nobody cancelled the caller, and nobody closed the client."""

    class Cancelling(Leaving):
        async def __aenter__(self) -> None:
            raise asyncio.CancelledError

    async with FaultServer() as server, make_client(server, limiter=Cancelling(hang)) as client:
        with pytest.raises(APIConnectionError, match="cancelled from within") as caught:
            await make(client)
        assert Outcome.NOT_SENT is caught.value.outcome
        assert 0 == server.connections


async def test_a_read_that_its_transport_cancels_is_unknown():
    """It may have left; nobody cancelled its caller."""

    class Cancelling(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise asyncio.CancelledError

    options: dict[str, Any] = {"transport": Cancelling(), "retry": ONCE}
    async with AsyncResellerClient("user", "key", **options) as client:
        with pytest.raises(APIConnectionError, match="cancelled from within") as caught:
            await client.get_account(1)
    assert (Outcome.UNKNOWN, 1) == (caught.value.outcome, caught.value.attempts)


@pytest.mark.parametrize("make", [transfer, lambda client: client.get_account(1)])
async def test_a_limiter_that_is_cancelled_on_leaving_does_not_hide_what_came(make):
    """The answer is there, and nobody cancelled the call."""
    limiter = Leaving(cancelled_from_within)
    async with FaultServer() as server, make_client(server, limiter=limiter) as client:
        assert await make(client)


async def test_a_cancelled_read_stays_cancelled():
    """What the caller asked for is not turned into an error."""
    async with FaultServer.striking("stall") as server, make_client(server, timeout=1.0) as client:
        task = asyncio.ensure_future(client.get_account(1))
        await server.until_arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_what_waits_in_a_pause_stops_at_closing():
    """It does not hold the exit up for a server's minute."""
    async with FaultServer() as server:
        client = make_client(server, retry=RetryPolicy(max_retries=0))
        client._calls._attempts._throttle.pause(60)
        calls = [asyncio.ensure_future(call) for call in (client.get_account(1), transfer(client))]
        await a_few_turns()  # both wait for the end of the pause
        async with asyncio.timeout(1):
            await client.aclose()
            for call in calls:
                with pytest.raises(ClientStateError, match="closed while the call waited"):
                    await call
        assert 0 == server.connections


async def test_a_client_that_was_never_used_closes():
    """There is nothing to wait for."""
    await AsyncResellerClient("user", "key").aclose()


def test_a_client_belongs_to_one_event_loop():
    """On another loop it raises before the first byte, and is told where to be closed."""

    async def use(client: AsyncResellerClient) -> None:
        await client.get_account(1)

    async def misuse(client: AsyncResellerClient, server: FaultServer) -> None:
        with pytest.raises(ClientStateError, match="another one"):
            await transfer(client)
        with pytest.raises(ClientStateError, match="on the event loop"):
            await client.aclose()

    with asyncio.Runner() as first:

        async def start() -> tuple[FaultServer, AsyncResellerClient]:
            server = await FaultServer().__aenter__()
            client = make_client(server)
            await use(client)
            return server, client

        server, client = first.run(start())
        asyncio.run(misuse(client, server))
        assert 1 == len(server.requests)
        first.run(client.aclose())
        first.run(server.__aexit__())

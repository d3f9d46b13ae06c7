"""How does one request become one answer? On real sockets, and over other people's transports."""

import asyncio
import base64
import contextlib
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import pytest

from clicksend_reseller import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AsyncResellerClient,
    BadRequestError,
    Outcome,
    OutcomeUnknownError,
    RateLimitError,
    ResellerError,
    RetryPolicy,
    TransferOutcomeUnknownError,
)
from support.clients import FIELDS, make_client, mocked_client
from support.fault_server import FaultServer
from support.good_answers import ACCOUNT, answer, envelope
from support.memory_journal import MemoryJournal

CANARY = "canary-of-the-caller"
ONCE = RetryPolicy(max_retries=0)


# --- hostile answers

HOSTILE = [
    "endless_body",
    "endless_chunks",
    "nested_gzip_bomb",
    "gzip_answer",
    "brackets_200k",
    "digits_10k",
    "balance_nan",
    "balance_huge",
    "latin_1",
    "duplicate_keys",
    "head_200k",
    "drip_body",
    "drip_head",
    "endless_102",
]


@pytest.mark.parametrize("fault", HOSTILE)
async def test_a_hostile_answer_costs_little_time_and_memory(fault):
    """One of our errors, within the time limit and 20 MB."""
    striking = FaultServer.striking(fault)
    async with striking as server, make_client(server, retry=ONCE, timeout=0.5) as client:
        tracemalloc.start()
        began = asyncio.get_running_loop().time()
        with pytest.raises(ResellerError) as caught:
            await client.get_account(1)
        seconds = asyncio.get_running_loop().time() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20e6
    assert seconds < 5
    assert Outcome.UNKNOWN is caught.value.outcome


async def test_half_an_answer_keeps_its_status():
    """The status line was heard, even if the rest was not."""
    striking = FaultServer.striking("half_body_of_503")
    async with striking as server, make_client(server, retry=ONCE) as client:
        with pytest.raises(APIResponseError) as caught:
            await client.get_account(1)
    assert 503 == caught.value.status_code


async def test_half_a_429_is_still_a_refusal():
    """A 429 in any form is the server's word that it did nothing."""

    class Cut(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"http'
            raise httpx.ReadError("cut")

    async with mocked_client(lambda _: httpx.Response(429, stream=Cut())) as client:
        with pytest.raises(ResellerError) as caught:
            await client.transfer_credit(1, 5, "AUD")
    assert ("RateLimitError", Outcome.REJECTED) == (
        type(caught.value).__name__,
        caught.value.outcome,
    )


async def test_a_429_whose_body_never_ends_is_still_a_refusal():
    """Its status line was heard in time."""

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"http'
            await asyncio.Event().wait()

    answer = httpx.Response(429, stream=Endless())
    async with mocked_client(lambda _: answer, timeout=0.05) as client:
        with pytest.raises(RateLimitError) as caught:
            await client.transfer_credit(1, 5, "AUD")
    assert Outcome.REJECTED is caught.value.outcome


async def test_what_a_foreign_answer_raises_becomes_ours():
    """Whatever breaks while it is read."""

    class Odd(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            raise LookupError("what is this")

    async with mocked_client(lambda _: httpx.Response(200, stream=Odd())) as client:
        with pytest.raises(APIConnectionError, match="LookupError: what is this"):
            await client.get_account(1)


# --- other people's transports


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_transport_that_sends_again_gets_an_error(library):
    """The body is given once, so four tries are one send."""

    class Insistent(library.AsyncHTTPTransport):  # type: ignore[name-defined, misc]  # either
        async def handle_async_request(self, request):
            for _ in range(3):
                with contextlib.suppress(library.TransportError):
                    return await super().handle_async_request(request)
            return await super().handle_async_request(request)

    async with FaultServer() as server:
        server.script("lost_fin_applied", times=None)
        async with (
            library.AsyncClient(transport=Insistent()) as foreign,
            make_client(server, http_client=foreign) as client,
        ):
            with pytest.raises(TransferOutcomeUnknownError, match="given once"):
                await client.transfer_credit(1, 5, "AUD")
        assert {("transfer", 1, 5): 1} == server.applied


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_body_that_a_hook_has_read_is_not_sent_again(library):
    """httpx leaves plain bytes behind a hook's reading, which could be sent for ever."""
    seen = []

    class Insistent(library.AsyncHTTPTransport):  # type: ignore[name-defined, misc]  # either
        async def handle_async_request(self, request):
            for _ in range(4):
                with contextlib.suppress(library.TransportError):
                    return await super().handle_async_request(request)
            return await super().handle_async_request(request)

    async def look(request):
        seen.extend([await request.aread(), await request.aread(), request.content])

    hooks, journal = {"request": [look]}, MemoryJournal()
    async with (
        FaultServer() as server,
        library.AsyncClient(transport=Insistent(), event_hooks=hooks) as foreign,
        make_client(server, http_client=foreign, journal=journal) as client,
    ):
        assert 1 == (await client.transfer_credit(1, 7, "AUD")).client_user_id
        server.script("lost_fin_applied", times=None)
        with pytest.raises(TransferOutcomeUnknownError, match="given once"):
            await client.transfer_credit(1, 5, "AUD")
        with pytest.raises(OutcomeUnknownError):
            await client.update_account(2, FIELDS)
        bodies = [request.body for request in server.requests if request.body]
        assert {("transfer", 1, 7): 1, ("transfer", 1, 5): 1} == {
            write: count for write, count in server.applied.items() if write[0] == "transfer"
        }
    assert bodies == seen[::3]


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_late_second_answer_on_a_foreign_pool_is_nobody_s(library):
    """A read's answer that comes twice was taken for a transfer's: a receipt for a refusal."""
    read = answer(200, envelope(200, "SUCCESS", "Here are your data.", ACCOUNT))
    refusal = answer(400, envelope(400, "BAD_REQUEST", "No.", None))

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    writer.write(read)
                    await asyncio.sleep(0.05)  # the second comes when nobody reads any more
                    writer.write(read)
                else:
                    await asyncio.sleep(0.2)  # the stray answer is there before the right one
                    writer.write(refusal)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v3"
    async with (
        server,
        library.AsyncClient() as foreign,
        AsyncResellerClient("u", "k", base_url=url, http_client=foreign) as client,
    ):
        assert 60 == (await client.get_account(60)).user_id
        with pytest.raises(BadRequestError):
            await client.transfer_credit(60, 5, "AUD")


async def test_a_client_that_follows_redirects_is_told_not_to():
    """A 302 would turn the PUT into a GET that answers 200: a transfer that looks done."""
    async with FaultServer() as server, httpx.AsyncClient(follow_redirects=True) as foreign:
        server.script("redirect_302_elsewhere")
        async with make_client(server, http_client=foreign) as client:
            with pytest.raises(TransferOutcomeUnknownError):
                await client.transfer_credit(1, 5, "AUD")
        assert 1 == len(server.requests)


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_foreign_client_keeps_its_own_headers(library):
    """The credentials go out with each request of ours, and with none of the caller's."""
    async with FaultServer() as server, library.AsyncClient(headers={"X-Ours": "no"}) as foreign:
        before = dict(foreign.headers)
        async with make_client(server, http_client=foreign) as client:
            await client.get_account(1)
        assert before == dict(foreign.headers)
        (request,) = server.requests
    assert request.headers["authorization"].startswith("Basic ")
    assert ("identity", "no") == (request.headers["accept-encoding"], request.headers["x-ours"])


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_foreign_client_adds_no_credentials_of_its_own(library):
    """They would replace ours, and the other service's would go to this one."""
    foreign = library.AsyncClient(auth=("somebody", CANARY))
    async with FaultServer() as server, foreign:
        async with make_client(server, http_client=foreign) as client:
            await client.get_account(1)
            await client.transfer_credit(1, 5, "AUD")
        ours = base64.b64encode(b"user:key-of-the-tests").decode()
        assert {f"Basic {ours}"} == {each.headers["authorization"] for each in server.requests}


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_an_illegal_header_of_a_foreign_client_is_not_shown(library):
    """It may be a secret of the caller's that we know nothing of."""
    headers = {"X-Token": f"{CANARY}\n"}
    async with FaultServer() as server, library.AsyncClient(headers=headers) as foreign:
        async with make_client(server, http_client=foreign) as client:
            with pytest.raises(APIConnectionError, match="llegal header value") as caught:
                await client.get_account(1)
        assert 0 == len(server.requests)
    error: BaseException | None = caught.value
    assert (Outcome.NOT_SENT, True) == (caught.value.outcome, caught.value.permanent)
    while error is not None:
        assert CANARY not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__


async def test_what_a_foreign_transport_raises_becomes_ours():
    """Even what no HTTP library would raise, and the body says what is known."""

    async def explode(request: httpx.Request) -> httpx.Response:
        raise LookupError("what is this")

    async with mocked_client(explode) as client:
        with pytest.raises(APIConnectionError, match="LookupError: what is this"):
            await client.get_account(1)
        with pytest.raises(OutcomeUnknownError):  # MockTransport has read the body by then
            await client.transfer_credit(1, 5, "AUD")


async def test_a_transport_that_never_asks_for_the_body_sends_nothing():
    """Positive evidence, whatever it raises afterwards."""

    class Deaf(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("after the answer, it says")

    async with AsyncResellerClient("user", "key", transport=Deaf(), retry=ONCE) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.transfer_credit(1, 5, "AUD")
    assert Outcome.NOT_SENT is caught.value.outcome


async def test_a_transport_that_goes_on_by_itself_gets_nothing():
    """The call has ended as unsent, so the body stays here whoever asks for it later."""
    taken: list[bytes | Exception] = []

    class Stubborn(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.later = asyncio.ensure_future(self.take(request))
            await asyncio.Event().wait()
            raise AssertionError

        async def take(self, request: httpx.Request) -> None:
            await asyncio.sleep(0.05)  # the client has given up by then
            try:
                taken.append(await request.aread())
            except RuntimeError as exc:
                taken.append(exc)

    transport = Stubborn()
    options: dict[str, Any] = {"transport": transport, "timeout": 0.01, "retry": ONCE}
    async with AsyncResellerClient("user", "key", **options) as client:
        with pytest.raises(APITimeoutError) as caught:
            await client.transfer_credit(1, 5, "AUD")
        await transport.later
    assert Outcome.NOT_SENT is caught.value.outcome
    assert ["BodyRefusedError"] == [type(what).__name__ for what in taken]


async def test_an_answer_to_a_body_that_was_never_taken_is_no_answer():
    """Nothing left, so nothing was applied, whatever a transport says."""

    class Hasty(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            envelope = {"http_code": 200, "response_code": "SUCCESS", "data": None}
            return httpx.Response(200, json=envelope)

    async with AsyncResellerClient("user", "key", transport=Hasty()) as client:
        with pytest.raises(APIConnectionError, match="without taking the body") as caught:
            await client.transfer_credit(1, 5, "AUD")
    assert (Outcome.NOT_SENT, 1) == (caught.value.outcome, caught.value.attempts)


async def test_an_answer_counts_even_if_it_cannot_be_closed():
    """It has been read to its end by then."""

    class Sticky(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"http_code": 200, "response_code": "SUCCESS", "data": null}'

        async def aclose(self) -> None:
            raise OSError("stuck")

    async with mocked_client(lambda _: httpx.Response(200, stream=Sticky())) as client:
        receipt = await client.transfer_credit(1, 5, "AUD")
    assert 5 == receipt.amount

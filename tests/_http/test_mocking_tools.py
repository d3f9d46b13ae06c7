"""Tools that mock or trace httpx see every request; a served sandbox is the oracle."""

import contextlib
from typing import Any

import httpx
import pytest
import respx
import vcr
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clicksend_reseller import AsyncResellerClient, RetryPolicy, TransferOutcomeUnknownError
from clicksend_reseller.otel import observer
from clicksend_reseller.sandbox import Sandbox
from support.clients import make_client
from support.fault_server import FaultServer

RECEIPT = {
    "http_code": 200,
    "response_code": "SUCCESS",
    "response_msg": "Credits have been transferred.",
    "data": None,
}
ONCE = RetryPolicy(max_retries=0)


async def transfer(url: str, **options: Any) -> None:
    """Move 5 AUD to the first client of a sandbox."""
    async with AsyncResellerClient("sandbox", "sandbox", base_url=url, **options) as client:
        await client.transfer_credit(1001, 5, "AUD")


async def test_under_pytest_httpx_a_transfer_reaches_no_server(httpx_mock):
    """It patches httpx's transport, which ours is."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        httpx_mock.add_response(
            method="PUT", url=f"{served.url}/reseller/transfer-credit", json=RECEIPT
        )
        await transfer(served.url)
    assert [] == sandbox.transfers_to(1001)
    assert 1 == len(httpx_mock.get_requests())


@pytest.mark.parametrize("using", ["httpcore", "httpx"])
async def test_under_respx_a_transfer_reaches_no_server(using):
    """It patches httpcore's connections, or httpx's transports."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        with respx.mock(using=using) as router:
            route = router.put(f"{served.url}/reseller/transfer-credit").respond(json=RECEIPT)
            await transfer(served.url)
    assert [] == sandbox.transfers_to(1001)
    assert 1 == route.call_count


async def test_under_respx_a_transfer_through_a_proxy_reaches_no_server():
    """Whatever respx makes of it, nothing leaves."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        with respx.mock() as router:
            router.put(url__regex=".*transfer-credit").respond(json=RECEIPT)
            with contextlib.suppress(TransferOutcomeUnknownError, AssertionError):
                await transfer(served.url, proxy=served.url, retry=ONCE)
    assert [] == sandbox.transfers_to(1001)


async def test_vcr_records_a_transfer_once_and_plays_it_without_a_server(tmp_path):
    """It takes the body from us, sends it once while recording, and never while playing."""
    sandbox, cassette = Sandbox(), str(tmp_path / "cassette.yaml")
    async with sandbox.serve() as served:
        with vcr.use_cassette(cassette):
            await transfer(served.url)
        assert [5] == sandbox.transfers_to(1001)
        with vcr.use_cassette(cassette, record_mode="none") as played:
            await transfer(served.url)
    assert [5] == sandbox.transfers_to(1001)
    assert 1 == played.play_count


async def test_vcr_lets_nothing_through_that_is_not_on_its_cassette(tmp_path):
    """Nothing reaches the server; what is known is less, since VCR took the body."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        with (
            vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none"),
            pytest.raises(TransferOutcomeUnknownError, match="CannotOverwrite"),
        ):
            await transfer(served.url)
    assert [] == sandbox.transfers_to(1001)


@pytest.fixture
def spans():
    """Instrument httpx, and collect spans."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        yield exporter, provider
    finally:
        HTTPXClientInstrumentor().uninstrument()


async def test_the_instrumentation_of_httpx_makes_one_span_for_each_request(spans):
    """Nested below ours; the header goes out, and a lost answer is not sent for again."""
    exporter, provider = spans
    async with FaultServer() as server:
        server.script("lost_fin_applied", operation="transfer_credit")
        watching = observer(tracer_provider=provider)
        async with make_client(server, observer=watching) as client:
            await client.get_account(1)
            with pytest.raises(TransferOutcomeUnknownError):
                await client.transfer_credit(1, 5, "AUD")
        assert {("transfer", 1, 5): 1} == server.applied
        requests = server.arrived
    theirs = [each for each in exporter.get_finished_spans() if each.kind.name == "CLIENT"]
    ours = {each.context.span_id for each in exporter.get_finished_spans()}
    assert ["GET", "PUT"] == [each.name for each in theirs if each.name in {"GET", "PUT"}]
    for request, span in zip(
        requests, [s for s in theirs if s.name in {"GET", "PUT"}], strict=True
    ):
        assert f"{span.context.span_id:016x}" in request.headers["traceparent"]
        assert span.parent.span_id in ours


async def test_a_mock_transport_of_the_caller_s_stays_what_it_is():
    """`transport=` needs no patch."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=RECEIPT))
    async with AsyncResellerClient("user", "key", transport=transport) as client:
        assert 5 == (await client.transfer_credit(1, 5, "AUD")).amount

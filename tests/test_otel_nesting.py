"""Our spans beside those of the real instrumentations: what nests where, over real HTTP."""

import contextlib
import logging

import httpx
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clicksend_reseller import RetryPolicy, TransferReceipt, otel
from clicksend_reseller.fastapi import ResellerDep, reseller_lifespan
from support.clients import make_client
from support.fault_server import FaultServer
from support.uvicorn_server import serving

QUICK = RetryPolicy(base_delay=0.001)


@contextlib.contextmanager
def instrumented(app):
    """Instrument httpx and the application, and give what is exported."""
    spans, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    HTTPXClientInstrumentor().instrument(tracer_provider=tracers)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers)
    try:
        yield spans, tracers
    finally:
        FastAPIInstrumentor.uninstrument_app(app)
        HTTPXClientInstrumentor().uninstrument()
        logging.getLogger("opentelemetry").setLevel(logging.NOTSET)


def tree(spans):
    """Give each client span of ours and httpx's with the name of the span above it."""
    names = {span.context.span_id: span.name for span in spans}
    return [
        (span.name, names.get(span.parent.span_id) if span.parent else None)
        for span in spans
        if span.kind is trace.SpanKind.CLIENT
    ]


async def test_requests_nest_below_the_call_and_the_call_below_the_endpoint():
    """One span of ours for a call with two attempts, and httpx's two below it."""
    async with FaultServer() as server:
        app = FastAPI()

        @app.post("/transfers")
        async def transfer(reseller: ResellerDep) -> TransferReceipt:
            await reseller.get_account(1)
            return await reseller.transfer_credit(1, 5, "AUD")

        with instrumented(app) as (spans, tracers):
            observer = otel.observer(tracer_provider=tracers)
            app.router.lifespan_context = reseller_lifespan(
                lambda: make_client(
                    server, retry=QUICK, observer=observer, transport=httpx.AsyncHTTPTransport()
                )
            )
            server.script("status_503", operation="get_account")
            async with serving(app) as url, httpx.AsyncClient(trust_env=False) as http:
                # Not instrumented: a transport that the instrumentation has not wrapped.
                HTTPXClientInstrumentor.uninstrument_client(http)
                assert 200 == (await http.post(f"{url}/transfers")).status_code
    ours = {span.name: span for span in spans.get_finished_spans() if "clicksend" in span.name}
    for span in ours.values():
        assert "127.0.0.1" == span.attributes["server.address"]
        assert int(server.url.split(":")[2].split("/")[0]) == span.attributes["server.port"]
    assert [
        ("GET", "clicksend.get_account"),
        ("GET", "clicksend.get_account"),
        ("clicksend.get_account", "POST /transfers"),
        ("PUT", "clicksend.transfer_credit"),
        ("clicksend.transfer_credit", "POST /transfers"),
    ] == [pair for pair in tree(spans.get_finished_spans()) if pair != ("POST", None)]

import asyncio
import gc
import json
import subprocess
import sys
import weakref

import attrs
import httpx
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clicksend_reseller import (
    AsyncResellerClient,
    CallEvent,
    NotFoundError,
    RetryPolicy,
    TransferOutcomeUnknownError,
    otel,
)
from clicksend_reseller.sandbox import Sandbox
from support.waiting import until

SERVER = {"server.address": "localhost", "server.port": 8730}  # the sandbox's base URL
AT_ONCE = RetryPolicy(base_delay=0.0)


class Telemetry:
    """The real SDK, whose exporter and reader keep everything in memory."""

    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.observer = otel.observer(tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    @property
    def span(self):
        (span,) = self.spans
        return span

    def points(self, name):
        """Give the points of one metric: labels, and the sum or the count."""
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        return [
            (
                dict(point.attributes or {}),
                getattr(point, "value", None) or getattr(point, "count", 0),
            )
            for metric in metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry():
    """Have an SDK of one's own, and no span left open."""
    before = context.get_current()
    yield Telemetry()
    assert before == context.get_current()


def story(span):
    """Give the span's events without times."""
    return [
        (event.name, {k: v for k, v in event.attributes.items() if k != "clicksend.seconds"})
        for event in span.events
    ]


def made_of(span):
    """Give what a span says, as one value."""
    return (span.name, span.kind, span.status.status_code, dict(span.attributes))


async def test_a_429_and_then_a_success_is_one_span(telemetry):
    """One CLIENT span for the call, with one resend; the attempts and the wait are its events."""
    sandbox = Sandbox()
    sandbox.fail("limit", retry_after=0)
    async with sandbox.client(observer=telemetry.observer, retry=AT_ONCE) as client:
        await client.get_account(1001)
    assert (
        "clicksend.get_account",
        trace.SpanKind.CLIENT,
        trace.StatusCode.UNSET,
        {
            "http.request.method": "GET",
            "url.template": "/reseller/accounts/{client_user_id}",
            **SERVER,
            "http.request.resend_count": 1,
            "http.response.status_code": 200,
        },
    ) == made_of(telemetry.span)
    limited = {"http.response.status_code": 429}
    first = {"clicksend.attempt": 1}
    assert [
        ("attempt", {**first, **limited, "clicksend.outcome": "rejected"}),
        ("waiting", {**first, **limited}),
        ("attempt", {"clicksend.attempt": 2, "http.response.status_code": 200}),
    ] == story(telemetry.span)
    labels = {"clicksend.operation": "get_account"}
    assert [(labels, 1)] == telemetry.points("clicksend.call.retries")
    assert [(labels, 1)] == telemetry.points("clicksend.call.duration")


class Watching(SpanProcessor):
    """Knows each span, and keeps none."""

    def __init__(self):
        self.spans = []

    def on_start(self, span, parent_context=None):
        self.spans.append(weakref.ref(span))


async def test_nothing_is_kept_of_a_call_that_has_ended(telemetry):
    """However it ended: a service makes millions."""
    watching = Watching()
    telemetry.tracers.add_span_processor(watching)
    sandbox = Sandbox()
    sandbox.fail("error", after=1, status=404)
    async with sandbox.client(observer=telemetry.observer) as client:
        await client.get_account(1001)
        with pytest.raises(NotFoundError):
            await client.get_account(1001)
        call = asyncio.ensure_future(client.get_account(1001))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        del call
        gc.collect()
    assert [None] * 3 == [span() for span in watching.spans]


async def test_a_lost_answer_is_an_error_of_unknown_outcome(telemetry):
    """A transfer in doubt can be searched for, and is counted as such."""
    sandbox = Sandbox()
    sandbox.fail("lost")
    async with sandbox.client(observer=telemetry.observer) as client:
        with pytest.raises(TransferOutcomeUnknownError):
            await client.transfer_credit(1001, 5, "AUD")
        await client.transfer_credit(1001, 6, "AUD")
    lost, made = telemetry.spans
    said = {
        "http.request.method": "PUT",
        "url.template": "/reseller/transfer-credit",
        **SERVER,
        "http.request.resend_count": 0,
    }
    name, kind = "clicksend.transfer_credit", trace.SpanKind.CLIENT
    unknown = {**said, "clicksend.outcome": "unknown", "error.type": "unknown"}
    assert (name, kind, trace.StatusCode.ERROR, unknown) == made_of(lost)
    applied = {**said, "clicksend.outcome": "applied", "http.response.status_code": 200}
    assert (name, kind, trace.StatusCode.UNSET, applied) == made_of(made)
    assert [
        ({"clicksend.outcome": "unknown"}, 1),
        ({"clicksend.outcome": "applied"}, 1),
    ] == telemetry.points("clicksend.transfers")
    assert [] == telemetry.points("clicksend.call.retries")


async def test_a_cancelled_call_ends_its_span(telemetry):
    """With what is known at that moment: it had left, so its outcome is unknown."""
    sandbox = Sandbox()
    sandbox.fail("slow", seconds=0.1)
    async with sandbox.client(observer=telemetry.observer) as client:
        task = asyncio.ensure_future(client.transfer_credit(1001, 5, "AUD"))
        await until(lambda: sandbox.ledger)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended = telemetry.span
    assert (
        "clicksend.transfer_credit",
        trace.SpanKind.CLIENT,
        trace.StatusCode.ERROR,
        {
            "http.request.method": "PUT",
            "url.template": "/reseller/transfer-credit",
            **SERVER,
            "http.request.resend_count": 0,
            "clicksend.outcome": "unknown",
            "error.type": "unknown",
        },
    ) == made_of(ended)
    assert [ended] == list(telemetry.spans)
    assert [({"clicksend.outcome": "unknown"}, 1)] == telemetry.points("clicksend.transfers")


async def test_a_call_cancelled_in_the_queue_was_not_sent(telemetry):
    """Its span has no attempt in it."""
    sandbox = Sandbox()
    sandbox.fail("slow", seconds=0.05)
    options = {"observer": telemetry.observer, "max_concurrency": 1}
    async with sandbox.client(**options) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(client.get_own_account())
        await until(lambda: sandbox.requests)
        queued = tasks.create_task(client.transfer_credit(1001, 5, "AUD"))
        await asyncio.sleep(0)
        queued.cancel()
    transfer = telemetry.spans[0]
    assert ("clicksend.transfer_credit", "not_sent", []) == (
        transfer.name,
        transfer.attributes["clicksend.outcome"],
        story(transfer),
    )
    assert () == sandbox.ledger


async def test_a_refusal_has_its_status_as_the_type_of_the_error(telemetry):
    """As the conventions for HTTP spans have it."""
    async with Sandbox().client(observer=telemetry.observer) as client:
        with pytest.raises(NotFoundError):
            await client.get_account(999_999)
    attributes = telemetry.span.attributes
    assert ("404", "rejected") == (attributes["error.type"], attributes["clicksend.outcome"])


async def test_spans_stand_between_the_callers_and_the_http_librarys(telemetry):
    """What is traced below a call hangs on its span, also in the task of a write."""
    seen = []
    inner = Sandbox().transport()

    class Traced(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            seen.append(trace.get_current_span())
            return await inner.handle_async_request(request)

    client = AsyncResellerClient(
        *("sandbox", "sandbox"),
        base_url="http://localhost/v3",
        transport=Traced(),
        observer=telemetry.observer,
    )
    with telemetry.tracers.get_tracer("test").start_as_current_span("order") as order:
        async with client, asyncio.TaskGroup() as tasks:
            tasks.create_task(client.get_account(1001))
            tasks.create_task(client.transfer_credit(1001, 5, "AUD"))
        assert order is trace.get_current_span()
    read, transfer, _ = telemetry.spans
    assert {read.context.span_id, transfer.context.span_id} == {
        span.get_span_context().span_id for span in seen
    }
    parents = {span.parent.span_id for span in (read, transfer)}
    assert {order.get_span_context().span_id} == parents


async def test_spans_and_metrics_hold_no_ids_amounts_or_keys(telemetry):
    """More people read them than should see money."""
    async with Sandbox().client(observer=telemetry.observer) as client:
        await client.get_account(1007)
        await client.transfer_credit(1007, 432, "AUD")
    points = [telemetry.points(name) for name in ("clicksend.transfers", "clicksend.call.duration")]
    text = repr([(made_of(span), story(span)) for span in telemetry.spans] + points)
    for hidden in ("1007", "432", "AUD", "sandbox"):
        assert hidden not in text


def test_the_duration_is_counted_in_seconds(telemetry):
    """The boundaries that an SDK has by default are made for milliseconds."""
    ended = CallEvent(call_id=1, kind="finished", operation="get_account", attempt=1, seconds=0.3)
    telemetry.observer(attrs.evolve(ended, kind="started"))
    telemetry.observer(ended)
    (metric,) = telemetry.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert ("s", otel._SECONDS, 0.3) == (metric.unit, point.explicit_bounds, point.sum)


# --- the extra


def run(code):
    """Run Python in a process of its own, and give what it prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_nothing_of_opentelemetry_is_loaded_without_asking():
    """The client and its events need none of it."""
    code = """
import json, sys
from clicksend_reseller import *
print(json.dumps([name for name in sys.modules if "opentelemetry" in name or "otel" in name]))
"""
    assert [] == run(code)


def test_without_the_extra_the_line_that_adds_it_is_named():
    """Nobody should have to guess the name of a distribution."""
    code = """
import json, sys
sys.modules["opentelemetry"] = None
try:
    import clicksend_reseller.otel
except ModuleNotFoundError as error:
    print(json.dumps(str(error)))
"""
    assert 'this needs opentelemetry-api: pip install "clicksend-reseller[otel]"' == run(code)


def test_the_api_alone_is_enough():
    """Without an SDK there are no spans, and nothing fails."""
    code = """
import asyncio, json, sys
sys.modules["opentelemetry.sdk"] = None
from clicksend_reseller import otel
from clicksend_reseller.sandbox import Sandbox
async def main():
    async with Sandbox().client(observer=otel.observer()) as client:
        return (await client.get_account(1001)).user_id
print(json.dumps(asyncio.run(main())))
"""
    assert 1001 == run(code)

"""OpenTelemetry for the calls: one client span for each, and three metrics.

Needs the extra `[otel]`, which is the API alone: the application chooses an SDK and exporters.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any

import attrs

from clicksend_reseller import CallEvent, Outcome
from clicksend_reseller._wire.operations import ENDPOINTS

try:
    from opentelemetry import context, metrics, trace
except ModuleNotFoundError as _exc:
    advice = 'pip install "clicksend-reseller[otel]"'
    raise ModuleNotFoundError(f"this needs opentelemetry-api: {advice}", name=_exc.name) from _exc

__all__ = ["observer"]

_NAME = "clicksend_reseller"
_ROUTES = {each.name: (each.method, each.route) for each in ENDPOINTS}
# The SDK's own boundaries are made for milliseconds.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0)


def observer(
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> Callable[[CallEvent], None]:
    """Make an observer to pass to `AsyncResellerClient(observer=…)`; one can serve several.

    Args:
        tracer_provider: else the global one.
        meter_provider: else the global one.
    """
    tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
    return _Observer(tracer, metrics.get_meter(_NAME, meter_provider=meter_provider)).observe


@attrs.frozen
class _Open:
    span: trace.Span
    token: Token[context.Context]


class _Observer:
    def __init__(self, tracer: trace.Tracer, meter: metrics.Meter) -> None:
        self._tracer = tracer
        self._open: dict[int, _Open] = {}
        self._duration = meter.create_histogram(
            "clicksend.call.duration",
            unit="s",
            description="how long calls took, with their repeats and waits",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._retries = meter.create_counter(
            "clicksend.call.retries", unit="{attempt}", description="attempts after the first"
        )
        self._transfers = meter.create_counter(
            "clicksend.transfers", unit="{transfer}", description="transfers by outcome"
        )

    def observe(self, event: CallEvent) -> None:
        match event.kind:
            case "started":
                self._start(event)
            case "finished":
                self._finish(event)
            case _:
                self._note(event)

    def _start(self, event: CallEvent) -> None:
        method, template = _ROUTES[event.operation]
        span = self._tracer.start_span(
            f"clicksend.{event.operation}",
            kind=trace.SpanKind.CLIENT,
            attributes={"http.request.method": method, "url.template": template, **_server(event)},
        )
        # All events of a call come from the caller's task, so its context can be given back.
        token = context.attach(trace.set_span_in_context(span))
        self._open[event.call_id] = _Open(span, token)

    def _note(self, event: CallEvent) -> None:
        when = {"clicksend.attempt": event.attempt, "clicksend.seconds": event.seconds}
        self._open[event.call_id].span.add_event(event.kind, {**when, **_said(event)})

    def _finish(self, event: CallEvent) -> None:
        call = self._open.pop(event.call_id)
        context.detach(call.token)
        resends = max(event.attempt - 1, 0)
        call.span.set_attributes({"http.request.resend_count": resends, **_said(event)})
        if event.outcome not in {None, Outcome.APPLIED}:
            call.span.set_status(trace.StatusCode.ERROR)
            call.span.set_attribute("error.type", _error_type(event))
        call.span.end()
        self._count(event, resends)

    def _count(self, event: CallEvent, resends: int) -> None:
        labels: dict[str, Any] = {"clicksend.operation": event.operation}
        if resends:
            self._retries.add(resends, labels)
        outcome = {"clicksend.outcome": event.outcome.value} if event.outcome else {}
        self._duration.record(event.seconds, {**labels, **outcome})
        if event.operation == "transfer_credit":
            self._transfers.add(1, outcome)


def _server(event: CallEvent) -> dict[str, str | int]:
    named = {"server.address": event.host, "server.port": event.port}
    return {name: value for name, value in named.items() if value}


def _said(event: CallEvent) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if event.status_code is not None:
        said["http.response.status_code"] = event.status_code
    if event.outcome is not None:
        said["clicksend.outcome"] = event.outcome.value
    return said


def _error_type(event: CallEvent) -> str:
    failed = event.status_code is not None and event.status_code >= 400
    return str(event.status_code) if failed else str(event.outcome)

"""The events of a call for the observer, its log lines, and the note on its cancellation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

from clicksend_reseller._calls.state import CallState
from clicksend_reseller.models import CallEvent, Outcome

Observer = Callable[[CallEvent], None]

# Its arguments are strings, never the call itself: a tool that keeps the arguments of a log record,
# as Sentry does, would keep the account in it.
_logger = logging.getLogger("clicksend_reseller")

# On a cancelled write: what is noted for its caller, and what is logged.
_WHEN_CANCELLED = {
    Outcome.NOT_SENT: ("cancelled, and nothing was sent", ""),
    Outcome.REJECTED: ("cancelled, and the API had refused it: nothing was changed", ""),
    Outcome.UNKNOWN: (
        (
            "cancelled after it had left, so it may have been applied; "
            "do not repeat it before you have checked"
        ),
        "was cancelled after it had left: its outcome is unknown",
    ),
    Outcome.APPLIED: (
        "cancelled, but it was applied: do not repeat it",
        "was cancelled after it had been applied",
    ),
}


class EventEmitter:
    """Events of the calls of one client.

    Args:
        observer: called at each step, if there is one.
        base_url: whose host and port each event names.
    """

    def __init__(self, observer: Observer | None, base_url: str) -> None:
        self._observer = observer
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)

    def attempted(self, call: CallState[Any], outcome: Outcome | None, seconds: float) -> None:
        log_attempt(call, outcome, seconds)
        self.emit(call, "attempt", outcome=outcome, seconds=seconds)

    def waits(self, call: CallState[Any], error: BaseException, seconds: float) -> None:
        text = "%s: attempt %d failed, another follows in %.2f s: %s"
        _logger.info(
            text, str(call), call.attempts, seconds, error, extra=call.fields(seconds=seconds)
        )
        self.emit(call, "waiting", seconds=seconds)

    def emit(
        self,
        call: CallState[Any],
        kind: Literal["started", "attempt", "waiting", "finished"],
        *,
        outcome: Outcome | None = None,
        seconds: float | None = None,
    ) -> None:
        """Call the observer, if there is one; without seconds the call's own count."""
        if self._observer is None:
            return
        if seconds is None:
            seconds = asyncio.get_running_loop().time() - call.began
        event = CallEvent(
            call_id=call.id,
            kind=kind,
            operation=call.operation.name,
            host=self._host,
            port=self._port,
            attempt=call.attempts,
            status_code=call.status,
            outcome=outcome,
            seconds=seconds,
        )
        try:
            self._observer(event)
        except Exception:
            _logger.exception("%s: the observer failed at %s", str(call), kind, extra=call.fields())


def log_attempt(call: CallState[Any], outcome: Outcome | None, seconds: float) -> None:
    """Say how one attempt ended; a read that succeeded has no outcome."""
    if _logger.isEnabledFor(logging.DEBUG):
        _logger.debug(
            "%s: attempt %d ended after %.3f s: status %s, %s",
            *(str(call), call.attempts, seconds, call.status, outcome or "read"),
            extra=call.fields(status_code=call.status, outcome=outcome, seconds=seconds),
        )


def note_on(cancelled: asyncio.CancelledError, call: CallState[Any], outcome: Outcome) -> None:
    """Say on the cancellation of a write, and in the log, what is known of it."""
    note, log = _WHEN_CANCELLED[outcome]
    cancelled.add_note(f"{call}: {note}")
    if log:
        _logger.warning("%s %s", str(call), log, extra=call.fields(outcome=outcome))

"""What happened in a sandbox: one line for each request that arrived, for a person to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clicksend_reseller.sandbox.service.forms import read_json
from clicksend_reseller.sandbox.service.redaction import masked_query

if TYPE_CHECKING:
    from clicksend_reseller.sandbox.control import SandboxControl
    from clicksend_reseller.sandbox.service.faults import Armed
    from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest

# Enough to see what went wrong; a walk over a long list would fill the screen.
LINES = 50

# What the caller got, by the kind of fault that was used.
_GOT = {
    "reset": "connection reset",
    "lost": "answer lost",
    "hang": "no answer",
    "drip": "answer too slow to end",
    "cut": "half an answer",
    "garbage": "answer that is no HTTP",
    "page": "HTML page {status}",
    "empty": "{status} without a body",
    "error": "answer {status}",
    "limit": "answer {status}",
    "redirect": "answer {status}",
    "slow": "answer {status} late",
}


def trace(sandbox: SandboxControl) -> str:
    """Say what arrived, what was applied, what the caller got, and which faults still wait.

    Bodies are left out, but for the three fields of a transfer: the others hold passwords.
    """
    requests, faults = sandbox.requests, sandbox.faults
    caused = {entry.request: entry for entry in sandbox.ledger}
    lines = [line(request, caused.get(request.n)) for request in requests[-LINES:]]
    earlier = len(requests) - len(lines)
    return "\n".join(
        [
            *([f"… {earlier} earlier requests"] if earlier else []),
            *(lines or ["no request arrived"]),
            *(f"still armed: {_armed(fault)}" for fault in faults),
        ]
    )


def line(request: LoggedRequest, entry: Entry | None) -> str:
    """Describe one request and of the transfer that it caused, if it did."""
    asked = f" {_transfer(request.body)}" if request.operation == "transfer_credit" else ""
    return f"{request.method} {_path(request)}{asked} → {outcome(request, entry)}"


def outcome(request: LoggedRequest, entry: Entry | None) -> str:
    """Say whether a request's transfer was applied, and what the caller got."""
    got = _answer_words(request)
    if entry is not None:
        return f"applied, {_delivery(got, entry, request)}"
    return f"not applied, {got}" if request.operation == "transfer_credit" else got


def _answer_words(request: LoggedRequest) -> str:
    if request.fault is None:
        return f"answer {request.status}"
    return _GOT[request.fault].format(status=request.status)


def _delivery(got: str, entry: Entry, request: LoggedRequest) -> str:
    # A caller who left by itself is the only one that no fault kept from the right answer.
    left = not entry.told and request.fault in {None, "slow"}
    return f"{got}, but the caller had gone" if left else got


def _path(request: LoggedRequest) -> str:
    path = request.path.removeprefix("/v3/").removeprefix("reseller/")
    return _short(f"{path}?{masked_query(request.query)}" if request.query else path, 60)


def _transfer(body: bytes) -> str:
    given = read_json(body)
    if given is None:
        return "(no JSON object)"
    names = ("client_user_id", "balance", "currency")
    return " ".join(_short(given.get(name, "-"), 20) for name in names)


def _short(value: object, most: int) -> str:
    text = str(value)
    shown = text if text.isascii() and text.isprintable() else ascii(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def _armed(armed: Armed) -> str:
    fault = armed.fault
    client = f" for {fault.client_user_id}" if fault.client_user_id else ""
    struck = f", used {armed.struck} of {fault.times or 'any number of'} times"
    return f"{fault.kind} on {fault.operation or 'every request'}{client}{struck}"

"""The sandbox's state as JSON: money as strings, passwords and keys masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from clicksend_reseller.sandbox.service.accounts import account_json
from clicksend_reseller.sandbox.service.forms import read_json
from clicksend_reseller.sandbox.service.redaction import masked
from clicksend_reseller.sandbox.service.state import MONEY_OF_ENTRY

if TYPE_CHECKING:
    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.faults import Armed
    from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest, SandboxState


def state(held: SandboxState) -> dict[str, Any]:
    """Give the whole state; its ``accounts`` are what ``--accounts FILE`` reads."""
    with held.lock:
        return {
            "revision": held.revision,
            "credit": str(held.credit),
            "currency": held.setup.currency,
            "seed": held.setup.seed,
            "quirks": attrs.asdict(held.setup.quirks),
            "transfers": len(held.ledger),
            "requests": held.requests_seen,
            "accounts": [account(client) for client in held.clients.values()],
        }


def account(client: Client) -> dict[str, Any]:
    """Give a client as the wire has it, and what the balance is counted in."""
    return {**account_json(client, client.balance), "currency": client.currency}


def entry(written: Entry) -> dict[str, Any]:
    """Give a transfer of the ledger."""
    money = {name: str(getattr(written, name)) for name in MONEY_OF_ENTRY}
    return {**attrs.asdict(written), **money}


def request(logged: LoggedRequest) -> dict[str, Any]:
    """Give a logged request; a body that is no JSON object is left out, as it cannot be masked."""
    fields = {name: value for name, value in attrs.asdict(logged).items() if name not in _INNER}
    return {**fields, "body": masked(read_json(logged.body))}


_INNER = {"entry", "answer"}  # for the console


def fault(armed: Armed) -> dict[str, Any]:
    """Give a fault and what it has seen."""
    return {**attrs.asdict(armed.fault), "passed": armed.passed, "struck": armed.struck}

"""What does the console show? Plain values for its template, cut to what a page can hold."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import attrs

from clicksend_reseller._wire.money import CONTEXT, minus
from clicksend_reseller.sandbox import serialize
from clicksend_reseller.sandbox.service.faults import OPERATIONS, SERVED_KINDS
from clicksend_reseller.sandbox.service.state import Balance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.faults import Fault
    from clicksend_reseller.sandbox.service.state import SandboxState

ACCOUNTS_A_PAGE = 50
ROWS_SHOWN = 50

_WIDTH, _HEIGHT = 120, 28

# What each kind does, in the few words that fit into a list.
KINDS_IN_WORDS = {
    "reset": "the connection breaks, nothing is applied",
    "lost": "applied, then the connection is closed",
    "hang": "applied, then silence",
    "drip": "applied, the answer one byte at a time",
    "cut": "applied, half an answer",
    "garbage": "applied, an answer that is not HTTP",
    "page": "applied, an HTML page (502)",
    "empty": "applied, 200 without a body",
    "error": "refused in an envelope (500)",
    "limit": "refused, too many requests (429)",
    "redirect": "refused, sent to itself (307)",
    "slow": "the right answer, after some seconds",
}


@attrs.frozen(kw_only=True)
class Asked:
    """Which accounts a reader wants to see.

    Attributes:
        search: part of an id, a user name, an account name or an address.
    """

    search: str = ""
    page: int = 1

    @property
    def query(self) -> str:
        """The query string that asks for the same again."""
        given = {"q": self.search, "page": str(self.page) if self.page > 1 else ""}
        words = urlencode({name: value for name, value in given.items() if value})
        return f"?{words}" if words else ""

    def at(self, page: int) -> Asked:
        """The same search, at another page."""
        return attrs.evolve(self, page=page)


@attrs.frozen(kw_only=True)
class Row:
    """One account of the list.

    Attributes:
        tags: words about it, such as "banned".
        balances: what it had since when, the oldest first, and has now.
    """

    client: Client
    tags: tuple[str, ...]
    balances: tuple[Balance, ...]

    @property
    def points(self) -> str:
        """The balance line, as points of an SVG."""
        return _line([balance.amount for balance in self.balances])


def console_page(
    world: SandboxState, asked: Asked, *, problem: str = "", given: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Give what the template needs, all of one moment.

    Args:
        world: what is shown.
        asked: which accounts.
        problem: what was wrong with the form that was sent.
        given: that form, to be filled in again.
    """
    with world.lock:
        return {
            **_numbers(world),
            **_accounts(world, asked),
            "transfers": world.ledger[: -ROWS_SHOWN - 1 : -1],
            "logged": [serialize.request(each) for each in _last(list(world.requests))],
            "faults": world.faults.armed,
            "kinds": {kind: KINDS_IN_WORDS[kind] for kind in SERVED_KINDS},
            "operations": OPERATIONS,
            "problem": problem,
            "given": given or {"operation": "transfer_credit", "times": "1"},
        }


def _numbers(world: SandboxState) -> dict[str, Any]:
    return {
        "revision": world.revision,
        "credit": world.credit,
        "currency": world.setup.currency,
        "clients": len(world.clients),
        "applied": len(world.ledger),
        "untold": sum(not entry.told for entry in world.ledger),
        "requests": world.requests_seen,
        "known": world.clients,
    }


def _last(items: Sequence[Any]) -> list[Any]:
    return list(items[: -ROWS_SHOWN - 1 : -1])


def _accounts(world: SandboxState, asked: Asked) -> dict[str, Any]:
    found = [each for each in world.clients.values() if _matches(each, asked.search.lower())]
    found.sort(key=lambda client: client.user_id)
    last = max(1, math.ceil(len(found) / ACCOUNTS_A_PAGE))
    page = min(asked.page, last)
    first = (page - 1) * ACCOUNTS_A_PAGE
    rows = [_row(world, client) for client in found[first : first + ACCOUNTS_A_PAGE]]
    return {"rows": rows, "found": len(found), "asked": asked.at(page), "last": last}


def _matches(client: Client, search: str) -> bool:
    fields = (client.row.get(name) for name in ("username", "account_name", "user_email"))
    return any(search in str(text).lower() for text in (client.user_id, *fields))


def _row(world: SandboxState, client: Client) -> Row:
    kept = tuple(world.balances.get(client.user_id, ()))
    return Row(
        client=client,
        tags=_tags(client, world.setup.standing_faults),
        balances=kept or (Balance(None, client.balance),),
    )


def _tags(client: Client, standing: Sequence[Fault]) -> tuple[str, ...]:
    faults = [fault.kind for fault in standing if fault.client_user_id == client.user_id]
    marks = {
        "inactive": not client.row.get("active", 1),
        "banned": bool(client.row.get("banned")),
        "in debt": client.balance < 0,
    }
    words = [word for word, holds in marks.items() if holds]
    return (*words, *(f"every transfer: {kind}" for kind in faults))


def _line(amounts: Sequence[Decimal]) -> str:
    least, most = min(amounts), max(amounts)
    span = minus(most, least)
    step = _WIDTH / max(1, len(amounts) - 1)
    heights = [
        float(CONTEXT.divide(minus(amount, least), span)) if span else 0.5 for amount in amounts
    ]
    places = [(n * step, (1 - height) * (_HEIGHT - 4) + 2) for n, height in enumerate(heights)]
    if len(places) == 1:
        places.append((_WIDTH, places[0][1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def amount_in_words(amount: Decimal) -> str:
    """Write money with two decimals, or with as many as it needs."""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def in_lines(content: object) -> str:
    """Write JSON over several lines, as a person reads it."""
    return json.dumps(content, indent=2, default=str, ensure_ascii=False)


def clock_time(seconds: float) -> str:
    """Write a time of the sandbox's clock as this machine's wall would show it."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds}"  # a clock of the caller's own may count anything


def iso_time(seconds: float) -> str:
    """Write a time for machines; nothing where it is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return ""

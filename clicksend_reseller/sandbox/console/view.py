"""The values that the console's template shows, cut to what a page can hold."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import attrs

from clicksend_reseller.sandbox.console.formats import most_decimals
from clicksend_reseller.sandbox.console.rows import (
    refused_transfers,
    request_row,
    transfer_rows,
)
from clicksend_reseller.sandbox.console.timeline import (
    Timeline,
    client_timeline,
    credit_timeline,
)
from clicksend_reseller.sandbox.service.faults import OPERATIONS, SERVED_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.faults import Fault
    from clicksend_reseller.sandbox.service.state import LoggedRequest, SandboxState

ACCOUNTS_A_PAGE = 50
ROWS_SHOWN, MORE_ROWS = 12, 200

# What each kind does, short enough for the closed list to show it whole.
KIND_LABELS = {
    "reset": "not applied, broken off",
    "lost": "applied, answer lost",
    "hang": "applied, then silence",
    "drip": "applied, byte by byte",
    "cut": "applied, half an answer",
    "garbage": "applied, no HTTP",
    "page": "applied, HTML 502",
    "empty": "applied, empty 200",
    "error": "refused, 500",
    "limit": "refused, 429",
    "redirect": "refused, 307",
    "slow": "the right answer, late",
}


@attrs.frozen(kw_only=True)
class PageQuery:
    """What a reader wants to see.

    Attributes:
        search: part of an id, a user name, an account name or an address.
        more: earlier transfers and requests too.
        request: the number of one request that is wanted whatever its age.
    """

    search: str = ""
    page: int = 1
    more: bool = False
    request: int | None = None

    @property
    def query(self) -> str:
        """The query string that asks for the same again."""
        given = {
            "q": self.search,
            "page": str(self.page) if self.page > 1 else "",
            "more": "1" if self.more else "",
            "request": str(self.request or ""),
        }
        query = urlencode({name: value for name, value in given.items() if value})
        return f"?{query}" if query else ""

    def at(self, page: int) -> PageQuery:
        """The same search, at another page."""
        return attrs.evolve(self, page=page)

    def with_more(self, *, more: bool) -> PageQuery:
        """The same, with or without earlier rows."""
        return attrs.evolve(self, more=more)

    def about(self, request: int) -> PageQuery:
        """The same, and one request whatever its age."""
        return attrs.evolve(self, request=request)


@attrs.frozen(kw_only=True)
class Row:
    """One account of the list.

    Attributes:
        tags: such as "banned".
    """

    client: Client
    tags: tuple[str, ...]
    timeline: Timeline


def console_page(
    state: SandboxState,
    asked: PageQuery,
    *,
    problem: str = "",
    given: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Give what the template needs, all of one moment.

    Args:
        state: what is shown.
        asked: which accounts, and how many rows.
        problem: what was wrong with the form that was sent.
        given: that form, to be filled in again.
    """
    with state.lock:
        refused = refused_transfers(state)
        return {
            **_numbers(state, refused),
            **_accounts(state, asked, refused),
            **_traffic(state, asked, refused),
            "faults": state.faults.armed,
            "kinds": {kind: KIND_LABELS[kind] for kind in SERVED_KINDS},
            "operations": OPERATIONS,
            "problem": problem,
            "given": given or {"operation": "transfer_credit", "times": "1"},
        }


def _numbers(state: SandboxState, refused: Sequence[LoggedRequest]) -> dict[str, Any]:
    return {
        "revision": state.revision,
        "credit": state.credit,
        "credit_line": credit_timeline(state),
        "currency": state.setup.currency,
        "clients": len(state.clients),
        "applied": len(state.ledger),
        "undelivered": sum(not entry.told for entry in state.ledger),
        "unapplied": len(refused),
        "requests": state.requests_seen,
        "known": state.clients,
    }


def _traffic(
    state: SandboxState, asked: PageQuery, refused: Sequence[LoggedRequest]
) -> dict[str, Any]:
    count = MORE_ROWS if asked.more else ROWS_SHOWN
    transfers = transfer_rows(state, refused, count)
    logged = list(state.requests)[: -count - 1 : -1]
    if asked.request is not None and asked.request not in {each.n for each in logged}:
        logged += [each for each in state.requests if each.n == asked.request]
    amounts = [row.amount for row in transfers if not isinstance(row.amount, str)]
    entries = [row.entry for row in transfers if row.entry]
    return {
        "transfers": transfers,
        "logged": [request_row(state, each) for each in logged],
        "at_hand": {each.n for each in logged},
        "decimals": {
            "amount": most_decimals(amounts),
            "balance": most_decimals(entry.balance_after for entry in entries),
            "credit": most_decimals(entry.credit_after for entry in entries),
        },
    }


def _accounts(
    state: SandboxState, asked: PageQuery, refused: Iterable[LoggedRequest]
) -> dict[str, Any]:
    found = [each for each in state.clients.values() if _matches(each, asked.search.lower())]
    found.sort(key=lambda client: client.user_id)
    last = max(1, math.ceil(len(found) / ACCOUNTS_A_PAGE))
    page = min(asked.page, last)
    first = (page - 1) * ACCOUNTS_A_PAGE
    clients = found[first : first + ACCOUNTS_A_PAGE]
    unapplied: defaultdict[int | None, list[LoggedRequest]] = defaultdict(list)
    for request in refused:
        unapplied[request.client_user_id].append(request)
    return {
        "rows": [_row(state, client, unapplied[client.user_id]) for client in clients],
        "balance_decimals": most_decimals(client.balance for client in clients),
        "found": len(found),
        "asked": asked.at(page),
        "last": last,
    }


def _matches(client: Client, search: str) -> bool:
    if not search:
        return True
    fields = (client.row.get(name) for name in ("username", "account_name", "user_email"))
    return any(search in str(text).lower() for text in (client.user_id, *fields))


def _row(state: SandboxState, client: Client, refused: Sequence[LoggedRequest]) -> Row:
    return Row(
        client=client,
        tags=_tags(client, state.setup.standing_faults),
        timeline=client_timeline(state, client, refused),
    )


def _tags(client: Client, standing: Sequence[Fault]) -> tuple[str, ...]:
    faults = [fault.kind for fault in standing if fault.client_user_id == client.user_id]
    marks = {
        "inactive": not client.row.get("active", 1),
        "banned": bool(client.row.get("banned")),
        "in debt": client.balance < 0,
    }
    tags = [tag for tag, holds in marks.items() if holds]
    return (*tags, *(f"every transfer: {kind}" for kind in faults))

"""One page of the account list, with its paging fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.quirks import Quirks

# Seen on other lists (L): a slash before the question mark, and never the limit.
_URLS = {
    "bare": "/?page={}",
    "other-host": "https://rest.clicksend.com/v3/reseller/accounts/?page={}",
}


def page_of(
    clients: Sequence[Client], query: str, quirks: Quirks, row: Callable[[Client], dict[str, Any]]
) -> dict[str, Any]:
    """Give the ``data`` of a list answer."""
    page = _positive_param(query, "page", 1)
    limit = _positive_param(query, "limit", 15)
    per_page = min(max(limit, quirks.min_limit or 1), quirks.max_limit)
    last_page = -(-len(clients) // per_page) or quirks.empty_last_page
    first = (page - 1) * per_page
    rows = [row(client) for client in clients[first : first + per_page]]
    return {
        "total": len(clients),
        "per_page": per_page,
        "current_page": page,
        "last_page": last_page,
        "next_page_url": _url(quirks, page + 1) if page < last_page else None,
        "prev_page_url": _url(quirks, page - 1) if page > 1 else None,
        "from": first + 1 if rows else None,
        "to": first + len(rows) if rows else 0,
        "data": rows,
    }


def _positive_param(query: str, name: str, default: int) -> int:
    return positive_number(parse_qs(query).get(name, [""])[-1]) or default


def positive_number(text: str) -> int | None:
    """Read digits; None for anything else, and for zero."""
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return (int(text) or None) if is_number else None


def _url(quirks: Quirks, page: int) -> str | None:
    template = _URLS.get(quirks.next_page_url)
    return template.format(page) if template else None

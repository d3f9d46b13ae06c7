"""Amounts, times and JSON as the console writes them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

_FIGURE_SPACE = "\N{FIGURE SPACE}"  # as wide as a digit
_LARGE = Decimal(10_000_000)  # from here on its digits would not fit


def format_amount(amount: Decimal) -> str:
    """Write money with two decimals, or with as many as it needs."""
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def format_short_amount(amount: Decimal) -> str:
    """Write money for the scale of a small picture, where a large amount may be rounded."""
    if amount.copy_abs() >= _LARGE:
        return f"{amount / 1_000_000:,.1f}M"
    return f"{amount:.2f}"


def most_decimals(amounts: Iterable[Decimal]) -> int:
    """Count the decimals of the amount that needs the most."""
    return max((_decimals(amount) for amount in amounts), default=2)


def padding(amount: Decimal, decimals: int) -> str:
    """Give what stands after an amount, so that its point is below the points above it."""
    return _FIGURE_SPACE * max(0, decimals - _decimals(amount))


def _decimals(amount: Decimal) -> int:
    return len(format_amount(amount).partition(".")[2])


def format_json(content: object) -> str:
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

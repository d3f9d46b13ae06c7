"""The rates and waits in an answer's headers, read strictly.

A header that came more than once has a value on each line; the one that asks for the longest
wait counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from clicksend_reseller.models import RateLimit

_RATES = frozenset(
    f"{prefix}ratelimit-{name}" for prefix in ("x-", "") for name in ("limit", "remaining", "reset")
)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_TOO_LONG_TO_READ = re.compile(r"[0-9]{10,}", re.ASCII)


def rate_limit(headers: Mapping[str, str], *, now: datetime) -> RateLimit | None:
    """Read the rate headers, None where there are none (L).

    Args:
        headers: names in lower case.
        now: when the answer came.
    """
    if _RATES.isdisjoint(headers):
        return None
    limit, remaining = _rate(headers, "limit", min), _rate(headers, "remaining", min)
    reset = _rate(headers, "reset", max)
    if limit is remaining is reset is None:
        return None
    return RateLimit(
        limit=None if limit is None else int(limit),
        remaining=None if remaining is None else int(remaining),
        resets_in=reset,
        received_at=now,
    )


def retry_after(headers: Mapping[str, str], *, now: datetime, limited: bool) -> float | None:
    """Read how long the API asks to wait, in seconds: digits or an HTTP date, nothing else.

    Args:
        headers: names in lower case.
        now: when the answer came, for an answer that says no date of its own.
        limited: the answer is a 429, where ratelimit-reset says the same (L). Every other answer
            has that header too, where it asks for nothing.
    """
    # A date is the server's, so it is measured against the server's clock where it shows one.
    dates = filter(None, map(_date, _values(headers, "date")))
    now = min(dates, default=now)
    waits = [_wait(value, now) for value in _values(headers, "retry-after")]
    seconds = max((wait for wait in waits if wait is not None), default=None)
    return _rate(headers, "reset", max) if seconds is None and limited else seconds


def _rate(
    headers: Mapping[str, str], name: str, pick: Callable[[list[float]], float]
) -> float | None:
    for spelling in (f"x-ratelimit-{name}", f"ratelimit-{name}"):
        if spelling in headers:
            numbers = map(_seconds, _values(headers, spelling))
            found = [number for number in numbers if number is not None]
            return pick(found) if found else None
    return None


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    return [value.strip() for value in headers.get(name, "").split("\n")]


def _wait(value: str, now: datetime) -> float | None:
    seconds, date = _seconds(value), _date(value)
    if seconds is None and date is not None:
        return max(0.0, (date - now).total_seconds())
    return seconds


def _seconds(value: str) -> float | None:
    if _TOO_LONG_TO_READ.fullmatch(value):
        return 1e9
    return float(value) if _SECONDS.fullmatch(value) else None


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

"""What do the answer's headers ask for? Rates and waits, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from clicksend_reseller.models import RateLimit

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_TOO_LONG_TO_READ = re.compile(r"[0-9]{10,}", re.ASCII)


def rate_limit(headers: Mapping[str, str], *, now: datetime) -> RateLimit | None:
    """Read the rate headers, None where there are none (L).

    Args:
        headers: names in lower case.
        now: when the answer came.
    """
    limit, remaining, reset = (_rate(headers, name) for name in ("limit", "remaining", "reset"))
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
        now: when the answer came.
        limited: the answer is a 429, where ratelimit-reset says the same (L). It stands on every
            other answer too, and asks for nothing there.
    """
    value = headers.get("retry-after", "").strip()
    seconds = _seconds(value)
    if seconds is None:
        seconds = _until(value, now)
    return _rate(headers, "reset") if seconds is None and limited else seconds


def _rate(headers: Mapping[str, str], name: str) -> float | None:
    return _seconds(headers.get(f"x-ratelimit-{name}", headers.get(f"ratelimit-{name}", "")))


def _seconds(value: str) -> float | None:
    if _TOO_LONG_TO_READ.fullmatch(value):
        return 1e9
    return float(value) if _SECONDS.fullmatch(value) else None


def _until(value: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())

"""Limits of the wire and of the journal, each in one place."""

from __future__ import annotations

import re
from typing import TypeGuard

# Ids and amounts are int32 on the documentation page (D).
MAX_INT = 2**31 - 1

CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

# Seconds. A settlement that cannot be written in its time leaves the row `sent`; a person may judge
# it when no attempt can still be alive.
MAX_JOURNALED_TIMEOUT = 120.0
SETTLE_SECONDS = 30.0
RESOLVABLE_AFTER = MAX_JOURNALED_TIMEOUT + SETTLE_SECONDS


def is_positive(value: object) -> TypeGuard[int]:
    """Return True for an id or an amount: an int from 1 to `MAX_INT`, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_INT


def whole_number(name: str, value: object) -> int:
    """Check that an argument is an int.

    Raises:
        TypeError: it is none, or a bool.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    return int(value)

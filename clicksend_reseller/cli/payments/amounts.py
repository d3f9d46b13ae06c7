"""The checks of amounts, currencies and keys, before a person is asked."""

from __future__ import annotations

import re

from clicksend_reseller._wire.keys import RULE, is_key, normalized
from clicksend_reseller._wire.limits import CURRENCY, MAX_INT
from clicksend_reseller.cli.exit_status import CommandError, Status

_MAX_BATCH_LENGTH = 200

_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


def number(text: str) -> int | None:
    """Read a whole number from 1 on, without sign, blanks, thousands or leading zeros."""
    if not _NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if value <= MAX_INT else None


def fault_of_currency(text: str) -> str:
    """Say what a currency must be; empty where it is one."""
    return "" if CURRENCY.fullmatch(text) else "currency must be three capital letters"


def fault_of_key(text: str) -> str:
    """Say what a key must be; empty where it is one."""
    # A blank at an end is mostly a slip of whoever typed it or made the file.
    return "" if is_key(text) and text == text.strip() else f"key {RULE}"


def checked_key(key: str) -> str:
    """Give a key that can be recorded, in its one spelling.

    Raises:
        CommandError: it cannot.
    """
    key = normalized(key)
    if fault := fault_of_key(key):
        raise CommandError(Status.USAGE, f"--{fault}, not {key!r:.80}; nothing was sent")
    return key


def checked_batch(name: str) -> str:
    """Give the name of a batch in one spelling: its keys begin with it.

    Raises:
        CommandError: it makes no keys.
    """
    batch = normalized(name.strip())
    if not batch or len(batch) > _MAX_BATCH_LENGTH or not batch.isprintable():
        raise CommandError(
            Status.USAGE,
            f"--batch must be 1 to {_MAX_BATCH_LENGTH} printable characters, not {name!r:.80}",
        )
    return batch

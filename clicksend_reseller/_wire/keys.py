"""The one rule for the keys of transfers: for the client, every journal and the command line."""

from __future__ import annotations

import unicodedata
from typing import Protocol, runtime_checkable

MAX_KEY_LENGTH = 255
RULE = f"must be 1 to {MAX_KEY_LENGTH} printable characters"


@runtime_checkable
class _Readable(Protocol):
    async def get(self, key: str) -> object: ...


def normalized(text: str) -> str:
    """Give the one spelling of a text: an accent may be typed in two ways, and is one key."""
    return unicodedata.normalize("NFC", text)


def spellings(key: str) -> tuple[str, ...]:
    """Give the spellings under which a key may be on record, its own first.

    Versions before this rule kept the very text that was given.
    """
    if key.isascii():
        return (key,)
    composed = normalized(key)
    return tuple(dict.fromkeys((key, composed, unicodedata.normalize("NFD", composed))))


def is_key(text: str) -> bool:
    """Return True if a text can be a key."""
    return text.isprintable() and 1 <= len(normalized(text)) <= MAX_KEY_LENGTH


def fault_of_key(key: object) -> str:
    """Say what is wrong with a key; empty where nothing is."""
    return "" if isinstance(key, str) and is_key(key) else f"{RULE}, not {key!r:.80}"


async def key_in(journal: object, given: str) -> str:
    """Give the spelling of a key to ask a journal for: the one on record, else the one spelling.

    What an earlier version has paid under the text that was given is not paid again.
    """
    key = normalized(given)
    if key != given and isinstance(journal, _Readable) and await journal.get(given) is not None:
        return given
    return key

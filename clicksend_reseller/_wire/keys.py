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
    """Normalize a text to NFC: an accent can be typed in two ways, and is one key."""
    return unicodedata.normalize("NFC", text)


def spellings(key: str) -> tuple[str, ...]:
    """Give the forms in which a key may be on record, the given one first.

    Versions before this rule kept keys as they were given.
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
    """Give the form of a key to ask a journal for: as given where that is on record, else in NFC.

    What an earlier version has paid under the text as it was given is not paid again.
    """
    key = normalized(given)
    if key != given and isinstance(journal, _Readable) and await journal.get(given) is not None:
        return given
    return key

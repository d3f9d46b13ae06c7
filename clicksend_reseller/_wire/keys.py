"""The one rule for the keys of transfers: for the client, every journal and the command line."""

from __future__ import annotations

import unicodedata

LONGEST_KEY = 255


def normalized(text: str) -> str:
    """Give the one spelling of a text: an accent may be typed in two ways, and is one key."""
    return unicodedata.normalize("NFC", text)


def spellings(key: str) -> tuple[str, ...]:
    """Give the spellings under which a key may be on record, its own first.

    Versions before this rule kept the very text that was given.
    """
    composed = normalized(key)
    return tuple(dict.fromkeys((key, composed, unicodedata.normalize("NFD", composed))))


def fault_of_key(key: object) -> str:
    """Say what is wrong with a key; empty where nothing is."""
    if isinstance(key, str) and key.isprintable() and 1 <= len(normalized(key)) <= LONGEST_KEY:
        return ""
    return f"must be 1 to {LONGEST_KEY} printable characters, not {key!r:.80}"

"""What must not be shown? Values under telling names, and known secrets wherever they turn up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from clicksend_reseller import _json
from clicksend_reseller.models import MASK, Secret

EXCERPT_LENGTH = 200

# Masking a short value would mangle prose: with "k" masked, "taken" becomes "ta***en".
_SHORTEST_MASKED_VALUE = 8

# How deep an unknown field may nest; deeper is nobody's data, and would exhaust the stack.
_DEEPEST = 64

_TELLING = r"(?:api[_-]?key|passw|pwd|token|secret|credential|authorization|private[_-]?key)"
_TELLING_NAME = re.compile(_TELLING, re.IGNORECASE)
_TELLING_PAIR = re.compile(
    rf"""(["']?[\w-]*{_TELLING}[\w-]*["']?\s*[:=]\s*)  # a name and its sign
         ("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,&;}}\]<]+)  # a value, perhaps cut off
    """,
    re.IGNORECASE | re.VERBOSE,
)


@lru_cache(maxsize=512)
def tells_a_secret(name: str) -> bool:
    """Tell whether values under this name are secrets."""
    return _TELLING_NAME.search(name) is not None


def conceal(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Wrap what stands under a telling name, at any depth.

    Raises:
        ValueError: the fields nest too deeply to be looked through.
    """
    return {
        name: _concealed(value, hidden=tells_a_secret(name), depth=1)
        for name, value in fields.items()
    }


def _concealed(value: Any, *, hidden: bool, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"an unknown field nests more than {_DEEPEST} deep")
    if _json.is_object(value):
        return {
            name: _concealed(item, hidden=hidden or tells_a_secret(name), depth=depth + 1)
            for name, item in value.items()
        }
    if _json.is_array(value):
        return [_concealed(item, hidden=hidden, depth=depth + 1) for item in value]
    if hidden and value is not None and not isinstance(value, bool | Secret):
        return Secret(str(value))
    return value


def hide(text: str, secrets: Iterable[str]) -> str:
    """Mask the known secrets of a call in a text that a server or a library wrote."""
    for secret in secrets:
        for form in _forms(secret):
            text = text.replace(form, MASK)
    return text


def excerpt(text: str, secrets: Iterable[str]) -> str:
    """Give the start of an answer, fit to be printed."""
    masked = _TELLING_PAIR.sub(rf"\g<1>{MASK}", hide(text, secrets))
    return printable(masked[:EXCERPT_LENGTH])


def printable(text: str) -> str:
    """Escape what could forge a log line or break a terminal."""
    if text.isprintable():
        return text
    shown = (char if char.isprintable() else repr(char)[1:-1] for char in text)
    return "".join(shown)[:EXCERPT_LENGTH]


def _forms(secret: str) -> tuple[str, ...]:
    if len(secret) < _SHORTEST_MASKED_VALUE:
        return ()
    quoted = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return tuple(dict.fromkeys((secret, *quoted)))

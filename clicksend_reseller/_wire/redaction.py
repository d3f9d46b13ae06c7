"""Masking of values under sensitive names, and of known secrets wherever they turn up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from clicksend_reseller._secret import MASK, Secret
from clicksend_reseller._wire import strict_json

EXCERPT_LENGTH = 200

# Masking a short value would mangle prose: with "k" masked, "taken" becomes "ta***en".
_MIN_MASKED_LENGTH = 8

# How deep an unknown field is kept; no real data is deeper, and it would exhaust the stack.
_MAX_DEPTH = 64

# Names that were found harmless. The bounds keep a server from filling the memory.
_harmless_names: set[str] = set()
_MAX_KNOWN_NAMES, _MAX_NAME_LENGTH = 512, 64

_CONTAINERS = frozenset({dict, list})

_SENSITIVE = r"(?:api[_-]?key|passw|pwd|token|secret|credential|authorization|private[_-]?key)"
_SENSITIVE_NAME = re.compile(_SENSITIVE, re.IGNORECASE)
_QUOTE = r"(?:\\++[\"']|&quot;|&\#0?39;)"  # as a string in a string or a page of HTML holds it
# Possessive, and only from the start of a word: a text of "tokentoken…" is else cubic work.
_SENSITIVE_PAIR = re.compile(
    rf"""
    (
      (?<![\w-]) (?=[\w-]*?{_SENSITIVE}) [\w-]++  # a name
      (?:["']|{_QUOTE})?+ \s*+ (?:=?>|[:=]) \s*+  # and its sign
    )
    (?:  # a value, perhaps cut off
      "(?:[^"\\]|\\.)*+"?+
    | '(?:[^'\\]|\\.)*+'?+
    | {_QUOTE}.*?(?:{_QUOTE}|\Z)
    | [\[{{].*  # it has names of its own inside: hide the rest
    | (?:(?:basic|bearer)\s++)?+[^\s,&;}}\]<]++
    )
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def is_sensitive_name(name: str) -> bool:
    """Return True if values under this name are secrets."""
    if name in _harmless_names:
        return False
    if _SENSITIVE_NAME.search(name) is not None:
        return True
    if len(name) <= _MAX_NAME_LENGTH and len(_harmless_names) < _MAX_KNOWN_NAMES:
        _harmless_names.add(name)
    return False


def wrap_secrets(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Wrap the values of sensitive names, at any depth; what nests too deeply becomes None."""
    if _harmless_names.issuperset(fields) and _CONTAINERS.isdisjoint(map(type, fields.values())):
        return {**fields}
    return {
        name: _wrapped(value, hidden=is_sensitive_name(name), depth=1)
        for name, value in fields.items()
    }


def _wrapped(value: Any, *, hidden: bool, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if strict_json.is_object(value):
        return {
            name: _wrapped(item, hidden=hidden or is_sensitive_name(name), depth=depth + 1)
            for name, item in value.items()
        }
    if strict_json.is_array(value):
        return [_wrapped(item, hidden=hidden, depth=depth + 1) for item in value]
    if hidden and value is not None and not isinstance(value, bool | Secret):
        return Secret(str(value))
    return value


def hide(text: str, secrets: Iterable[str]) -> str:
    """Mask the known secrets of a call in a text that a server or a library wrote."""
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):  # one may be a part of another
        text = text.replace(form, MASK)
    return text


def excerpt(text: str, secrets: Iterable[str]) -> str:
    """Give the start of an answer, fit to be printed."""
    masked = _SENSITIVE_PAIR.sub(rf"\g<1>{MASK}", hide(text, secrets))
    return printable(masked[:EXCERPT_LENGTH])


def printable(text: str) -> str:
    """Escape what could forge a log line or break a terminal."""
    if text.isprintable():
        return text
    shown = (char if char.isprintable() else repr(char)[1:-1] for char in text)
    return "".join(shown)[:EXCERPT_LENGTH]


def _forms(secret: str) -> set[str]:
    """Give a secret as it is and as JSON writes it; PHP escapes the slash too."""
    if len(secret) < _MIN_MASKED_LENGTH:
        return set()
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return forms | {form.replace("/", r"\/") for form in forms}

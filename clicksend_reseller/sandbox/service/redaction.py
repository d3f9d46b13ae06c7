"""Masking of credentials, passwords and keys in what is logged."""

from __future__ import annotations

import re
from typing import Any, cast

MASK = "**********"

_NAMES = "password|api_key|apikey|token|secret"
_NAMED = re.compile(_NAMES, re.IGNORECASE)
_IN_QUERY = re.compile(rf"(?P<name>[^&=]*(?:{_NAMES})[^&=]*)=[^&]*", re.IGNORECASE)
_SCHEMES = ("basic", "bearer", "digest")
_MAX_DEPTH = 20


def masked_authorization(header: str) -> str:
    """Keep the scheme of an Authorization header where there is one."""
    scheme = header.partition(" ")[0]
    if not header:
        return ""
    return f"{scheme} {MASK}" if scheme.lower() in _SCHEMES else MASK


def masked_query(query: str) -> str:
    """Mask the values of a query string that a name gives away."""
    return _IN_QUERY.sub(rf"\g<name>={MASK}", query)


def masked(content: object, *, depth: int = 0) -> object:
    """Mask the values of a JSON document that a name gives away, at any depth."""
    if not isinstance(content, dict | list):
        return content
    if depth == _MAX_DEPTH:
        return MASK
    if isinstance(content, list):
        items = cast("list[object]", content)
        return [masked(item, depth=depth + 1) for item in items]
    fields = cast("dict[str, Any]", content)
    return {
        name: MASK if _NAMED.search(name) else masked(fields[name], depth=depth + 1)
        for name in fields
    }

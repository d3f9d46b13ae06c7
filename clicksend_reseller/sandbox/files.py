"""Which clients does a file hold? JSON: a list of accounts, or what ``state`` prints."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from clicksend_reseller.sandbox.rows import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_accounts(path: Path) -> list[Mapping[str, Any]]:
    """Read the accounts of a file.

    Raises:
        ValueError: it cannot be read, or an id comes twice; the message names file and line.
    """
    text = _text(path)
    accounts = _rows(path, _json(path, text))
    seen: set[object] = set()
    for user_id in [row["user_id"] for row in accounts if "user_id" in row]:
        if user_id in seen:
            raise ValueError(f"{path}, line {_second(user_id, text)}: {user_id} comes twice")
        seen.add(user_id)
    return accounts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{path} cannot be read: {exc}") from exc


def _json(path: Path, text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as exc:
        raise ValueError(f"{path}, line {exc.lineno}: {exc.msg}") from exc


def _rows(path: Path, content: object) -> list[Mapping[str, Any]]:
    whole = as_object(content)
    rows: Any = whole.get("accounts") if whole else content
    if not isinstance(rows, list):
        raise ValueError(  # noqa: TRY004 - a file's fault, as the others
            f'{path} holds neither a list nor an object with "accounts"'
        )
    accounts = [as_object(row) for row in cast("list[object]", rows)]
    if None in accounts:
        raise ValueError(f"{path}: account {accounts.index(None) + 1} is no JSON object")
    return [row for row in accounts if row is not None]


def _second(user_id: object, text: str) -> int:
    places = [m.start() for m in re.finditer(rf'"user_id"\s*:\s*{re.escape(str(user_id))}\b', text)]
    return text.count("\n", 0, places[1]) + 1 if len(places) > 1 else 0

"""The clients of a JSON file: a list of accounts, or what ``state`` prints."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from clicksend_reseller.sandbox.service.accounts import as_object
from clicksend_reseller.sandbox.service.money import RATES
from clicksend_reseller.sandbox.service.seed import ClientReader

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from clicksend_reseller.sandbox.service.accounts import Client


def _no_number(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_number)
_BETWEEN = " \t\r\n,"
_ACCOUNTS = re.compile(r'"accounts"\s*:\s*(?=\[)')


def read_accounts(path: Path, *, currencies: Container[str] = RATES) -> list[Client]:
    """Read the clients of a file.

    Args:
        path: of the file.
        currencies: those that there is a rate for.

    Raises:
        ValueError: it cannot be read, an account is impossible, or an id comes twice; the message
            names the file and the line.
    """
    text = _text(path)
    rows = _rows(path, _json(path, text))
    reader = ClientReader(currencies)
    clients: list[Client] = []
    for number, row in enumerate(rows):
        try:
            clients.append(reader.read(as_object(row)))
        except ValueError as exc:
            position = _positions(text, rows)[
                number
            ]  # looked for only now: it takes as long as reading
            raise ValueError(f"{path}, line {text.count(chr(10), 0, position) + 1}: {exc}") from exc
    return clients


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{path} cannot be read: {exc}") from exc


def _json(path: Path, text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"{path}, line {exc.lineno}: {exc.msg}") from exc
    except (ValueError, RecursionError) as exc:  # a number or a nesting that is out of all bounds
        raise ValueError(f"{path} cannot be read: {exc}") from exc


def _rows(path: Path, content: object) -> list[object]:
    whole = as_object(content)
    rows: Any = whole.get("accounts") if whole else content
    if not isinstance(rows, list):
        raise ValueError(  # noqa: TRY004 - a file's fault, as the others
            f'{path} holds neither a list nor an object with "accounts"'
        )
    return cast("list[object]", rows)


def _positions(text: str, rows: list[object]) -> list[int]:
    """Find where each row begins, which the parser does not say."""
    for begin in (0, *(key.end() for key in _ACCOUNTS.finditer(text))):
        opened = text.index("[", begin)
        if _DECODER.raw_decode(text, opened)[0] == rows:
            return list(_row_starts(text, opened + 1, len(rows)))
    raise AssertionError  # the rows were read from this very text


def _row_starts(text: str, position: int, count: int) -> Iterator[int]:
    for _ in range(count):
        while text[position] in _BETWEEN:
            position += 1
        yield position
        position = _DECODER.raw_decode(text, position)[1]

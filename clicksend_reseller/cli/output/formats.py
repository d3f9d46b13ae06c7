"""The formats of rows: a table, tabs, CSV, JSON and JSON Lines, each written a row at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from rich.console import Console

from clicksend_reseller.cli.output.console import printable
from clicksend_reseller.cli.output.tables import Drawn

Value = str | int | bool | None
Record = Mapping[str, Value]
Write = Callable[[str], object]


class Writer(Protocol):
    """Rows in, text out."""

    def row(self, record: Record) -> None:
        """Write one row."""
        ...

    def end(self) -> None:
        """Write what belongs after the last row."""
        ...


def writer(name: str, columns: Sequence[str], write: Write, console: Console | None) -> Writer:
    """Make the writer of a format.

    Args:
        name: of the format.
        columns: in their order.
        write: where text goes.
        console: the terminal that a table is drawn on, None where there is none.
    """
    if name == "table" and console is not None:
        return Drawn(columns, shown, console)
    if name == "json":
        return _JSON(columns, write)
    lines: dict[str, tuple[str, Callable[[Iterable[Value]], str]]] = {
        "table": ("\t".join(columns) + "\n", lambda values: "\t".join(map(shown, values)) + "\n"),
        "csv": (",".join(columns) + "\n", csv_line),
        "jsonl": ("", lambda values: _object(columns, values) + "\n"),
    }
    head, line = lines[name]
    write(head)
    return _Lines(columns, write, line)


class _Lines:
    """A row is a line, and nothing follows the last one."""

    def __init__(
        self, columns: Sequence[str], write: Write, line: Callable[[Iterable[Value]], str]
    ) -> None:
        self._columns = columns
        self._write = write
        self._line = line

    def row(self, record: Record) -> None:
        self._write(self._line(record[name] for name in self._columns))

    def end(self) -> None:
        pass


class _JSON:
    def __init__(self, columns: Sequence[str], write: Write) -> None:
        self._columns = columns
        self._write = write
        self._opening = "[\n  "

    def row(self, record: Record) -> None:
        values = (record[name] for name in self._columns)
        self._write(self._opening + _object(self._columns, values))
        self._opening = ",\n  "

    def end(self) -> None:
        self._write("[]\n" if self._opening.startswith("[") else "\n]\n")


def shown(value: Value) -> str:
    """Show a value to a person, on one line."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return printable(str(value))


def for_spreadsheets(record: Record) -> Record:
    """Put an apostrophe before each text that a spreadsheet would take for a formula."""
    return {name: _harmless(value) for name, value in record.items()}


_A_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _harmless(value: Value) -> Value:
    if not isinstance(value, str) or _A_NUMBER.fullmatch(value):
        return value
    return f"'{value}" if value.lstrip(" ").startswith(_BEGINS_A_FORMULA) else value


def csv_line(values: Iterable[Value]) -> str:
    """Write a line of CSV whose types a reader can tell without a hint.

    Strings, and money among them, are always quoted, numbers never, nothing is empty: otherwise
    "50" in the first hundred rows makes an integer column that "50.25" breaks.
    """
    return ",".join(map(_csv_field, values)) + "\n"


def _csv_field(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return '"' + value.replace('"', '""') + '"'


def _object(columns: Sequence[str], values: Iterable[Value]) -> str:
    # A lone surrogate, which JSON can carry and UTF-8 cannot, is escaped by the stream.
    return json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)

"""How do rows look as text? One writer for each format, all of them a row at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from clicksend_reseller.cli.output.console import printable

__all__ = ["Record", "Value", "Writer", "csv_line", "fitting", "for_spreadsheets", "writer"]

Value = str | int | bool | None
Record = Mapping[str, Value]
# Between two columns of a drawn table, and the least that a column of words is folded to.
_GAP = 2
_READABLE = 24

Write = Callable[[str], None]


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
        return _Drawn(columns, console)
    makers: dict[str, Callable[[Sequence[str], Write], Writer]] = {
        "table": _Tabs,
        "csv": _CSV,
        "json": _JSON,
        "jsonl": _JSONL,
    }
    return makers[name](columns, write)


class _Tabs:
    def __init__(self, columns: Sequence[str], write: Write) -> None:
        self._columns = columns
        self._write = write
        write("\t".join(columns) + "\n")

    def row(self, record: Record) -> None:
        self._write("\t".join(shown(record[name]) for name in self._columns) + "\n")

    def end(self) -> None:
        pass


class _CSV:
    def __init__(self, columns: Sequence[str], write: Write) -> None:
        self._columns = columns
        self._write = write
        write(",".join(columns) + "\n")

    def row(self, record: Record) -> None:
        self._write(csv_line(record[name] for name in self._columns))

    def end(self) -> None:
        pass


class _JSONL:
    def __init__(self, columns: Sequence[str], write: Write) -> None:
        self._columns = columns
        self._write = write

    def row(self, record: Record) -> None:
        self._write(_object(record, self._columns) + "\n")

    def end(self) -> None:
        pass


class _JSON:
    def __init__(self, columns: Sequence[str], write: Write) -> None:
        self._columns = columns
        self._write = write
        self._opening = "[\n  "

    def row(self, record: Record) -> None:
        self._write(self._opening + _object(record, self._columns))
        self._opening = ",\n  "

    def end(self) -> None:
        self._write("[]\n" if self._opening.startswith("[") else "\n]\n")


class _Drawn:
    def __init__(self, columns: Sequence[str], console: Console) -> None:
        self._columns = columns
        self._console = console
        self._rows: list[list[str]] = []

    def row(self, record: Record) -> None:
        self._rows.append([shown(record[name]) for name in self._columns])

    def end(self) -> None:
        if self._rows:
            self._console.print(fitting(self._columns, self._rows, self._console))


def fitting(
    columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console
) -> RenderableType:
    """Draw a table, or the rows below each other where it would have to cut a value off.

    The last column, which says why, may take several lines; where nothing is said it is left out.
    """
    if rows and len(columns) > 1 and not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    widths = [
        max(cell_len(value) for value in (name, *column))
        for name, column in zip(columns, zip(*rows, strict=True), strict=True)
    ] or [0]
    gaps = _GAP * (len(columns) - 1)
    if rows and sum(widths) + gaps > console.width:
        room = console.width - sum(widths[:-1]) - gaps
        if room < min(_READABLE, widths[-1]):
            return Group(*(_block(columns, row) for row in rows))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    return table


def _block(columns: Sequence[str], row: Sequence[str]) -> RenderableType:
    block = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    block.add_column(style="bold", no_wrap=True)
    block.add_column(overflow="fold")
    for name, value in zip(columns, row, strict=True):
        block.add_row(name, Text(value))
    return Group(block, "")


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


def _object(record: Record, columns: Sequence[str]) -> str:
    # A lone surrogate, which JSON can carry and UTF-8 cannot, is escaped by the stream.
    return json.dumps({name: record[name] for name in columns}, ensure_ascii=False)

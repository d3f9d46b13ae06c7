"""Tables on a terminal: they keep their shape, and say in words what their colours say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Beside these words a colour; the words say it too.
_COLOURS = {
    **dict.fromkeys(("paid", "already_paid", "created", "confirmed", "applied"), "green"),
    **dict.fromkeys(("unknown", "inconclusive"), "bold red"),
    **dict.fromkeys(("rejected", "not_sent", "not sent", "refused", "exists", "sent"), "yellow"),
    **dict.fromkeys(("no_such_client", "banned", "refuted", "not_applied"), "yellow"),
}
# Where a row ended, and the words with which it stands apart.
_ENDS = ("status", "result")
_PROBLEMS = frozenset(
    ("unknown", "rejected", "not_sent", "not sent", "refused", "exists", "no_such_client", "banned")
)
# Longer than a column likes; the first ones go below their row first.
_BELOW = ("reason", "reasons", "response_msg", "note", "key")
_NAMES = ("username", "account_name", "user_email")
# Shorter above a column than the name by which it is asked for; a currency needs no word.
_HEADS = {"client_user_id": "client", "currency": ""}
_SHORTEST = 12
_GAP = 2

Row = dict[str, str]


class Drawn:
    """Draws all rows at their end, those with a problem apart and below.

    Empty columns are left out, money is aligned on the point, long names are shortened in the
    middle. What does not fit beside a row stands below it; nothing else is ever cut off.

    Args:
        columns: in their order.
        shown: gives the text of a value.
        console: the terminal.
    """

    def __init__(
        self, columns: Sequence[str], shown: Callable[[Any], str], console: Console
    ) -> None:
        self._columns = columns
        self._shown = shown
        self._console = console
        self._rows: list[Row] = []

    def row(self, record: Mapping[str, Any]) -> None:
        """Remember one row."""
        self._rows.append({name: self._shown(record[name]) for name in self._columns})

    def end(self) -> None:
        """Draw what has been remembered."""
        problems = [row for row in self._rows if _is_problem(row)]
        sound = [row for row in self._rows if not _is_problem(row)]
        if sound and problems:
            self._draw(sound)
            self._console.print()
            self._draw(problems)
        elif self._rows:
            self._draw(self._rows)

    def _draw(self, rows: list[Row]) -> None:
        names = [name for name in self._columns if any(row[name] for row in rows)]
        names = names or list(self._columns[:1])
        aligned = _aligned(names, rows)
        for beside, short in _shapes(names, aligned, self._console.width):
            if _width(beside, short) <= self._console.width:
                self._print(names, beside, short, rows)
                return
        for row in rows:
            self._print_block(names, row)

    def _print(
        self, names: Sequence[str], beside: list[str], short: list[Row], rows: list[Row]
    ) -> None:
        widths = _widths(beside, short)
        heads = [f"{n:>{widths[n]}}" if _is_money(n) else _HEADS.get(n, n) for n in beside]
        self._line(beside, widths, [Text(head, style="bold") for head in heads])
        below = [name for name in names if name not in beside]
        for row, drawn in zip(rows, short, strict=True):
            cells = [Text(drawn[name], style=_style(name, row[name])) for name in beside]
            self._line(beside, widths, cells)
            for name in filter(row.get, below):
                self._grid((4, f"{name}:", row[name]))

    def _line(self, names: Sequence[str], widths: Mapping[str, int], cells: list[Text]) -> None:
        line = Text()
        for name, cell in zip(names, cells, strict=True):
            line.append_text(cell)
            line.append(" " * (widths[name] - cell_len(cell.plain) + _GAP))
        line.rstrip()
        self._console.print(line)

    def _print_block(self, names: Sequence[str], row: Row) -> None:
        width = max(map(len, names))
        for name in names:
            self._grid((0, f"{name:<{width}}", row[name]))
        self._console.print()

    def _grid(self, line: tuple[int, str, str]) -> None:
        indent, name, value = line
        grid = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        style = _style(name.strip(), value) or ("dim" if indent else "")
        grid.add_row(Text(" " * indent + name, style="" if indent else "bold"), Text(value, style))
        self._console.print(grid)


def _is_problem(row: Row) -> bool:
    return any(row.get(name) in _PROBLEMS for name in _ENDS)


def _style(name: str, value: str) -> str:
    return _COLOURS.get(value, "") if name in {*_ENDS, "state", "verdict"} else ""


def _is_money(name: str) -> bool:
    return "balance" in name or "amount" in name or name in {"before", "after"}


def _aligned(names: Sequence[str], rows: list[Row]) -> list[Row]:
    """Pad money so that the points stand below each other."""
    drawn = [dict(row) for row in rows]
    for name in filter(_is_money, names):
        fractions = [len(row[name]) - len(row[name].split(".")[0]) for row in rows]
        texts = [
            f"{row[name]}{' ' * (max(fractions) - fraction) if row[name] else ''}"
            for row, fraction in zip(rows, fractions, strict=True)
        ]
        width = max(len(name), *map(len, texts))
        for row, text in zip(drawn, texts, strict=True):
            row[name] = f"{text:>{width}}"
    return drawn


def _shapes(
    names: Sequence[str], rows: list[Row], width: int
) -> Iterator[tuple[list[str], list[Row]]]:
    """Give the ways to draw rows, the best first: all beside each other, texts below, names cut."""
    beside = list(names)
    yield beside, rows
    for name in _BELOW:
        if name == "key":
            yield beside, _shortened(beside, rows, width)
        if name in beside and len(beside) > 1:
            beside = [other for other in beside if other != name]
            yield beside, rows
    yield beside, _shortened(beside, rows, width)


def _shortened(names: Sequence[str], rows: list[Row], width: int) -> list[Row]:
    """Shorten the longest names in the middle for as long as the row is too wide."""
    drawn = [dict(row) for row in rows]
    while (over := _width(names, drawn) - width) > 0:
        widths = {name: wide for name, wide in _widths(names, drawn).items() if name in _NAMES}
        longest = max(widths, key=widths.__getitem__, default="")
        if not longest or widths[longest] <= max(_SHORTEST, len(longest)):
            return drawn
        fits = max(widths[longest] - over, _SHORTEST, len(longest))
        for row in drawn:
            row[longest] = _short(row[longest], fits)
    return drawn


def _short(text: str, width: int) -> str:
    """Leave out the middle: names mostly differ at their ends."""
    if cell_len(text) <= width:
        return text
    first, last = text, text
    while cell_len(first) > (width - 1) // 2:
        first = first[:-1]
    while cell_len(last) > width - 1 - cell_len(first):
        last = last[1:]
    return f"{first}…{last}"


def _widths(names: Sequence[str], rows: list[Row]) -> dict[str, int]:
    return {
        name: max(cell_len(text) for text in (_HEADS.get(name, name), *(r[name] for r in rows)))
        for name in names
    }


def _width(names: Sequence[str], rows: list[Row]) -> int:
    return sum(_widths(names, rows).values()) + _GAP * (len(names) - 1)

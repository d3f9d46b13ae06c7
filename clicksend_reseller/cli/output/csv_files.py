"""The reading of a CSV file: row by row, each with its line, and every fault remembered."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.output.console import printable

_SHOWN = 20
_RANGES = 40
_MAX_FIELD_LENGTH = 10_000


class Faults:
    """What is wrong with a file: the first ones in full, all of them by line.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: list[tuple[int, str]] = []
        self._more: dict[str, list[int]] = defaultdict(list)
        self._count = 0

    def add(self, line: int, reason: str, value: str | None = None, *, words: str = "") -> None:
        """Remember a fault.

        Args:
            line: counted from 1; the first of a row that spans several.
            reason: the same words for the same fault.
            value: what stands there, if it may be shown.
            words: instead of reason and value, where the fault is shown in full.
        """
        self._count += 1
        if self._count <= _SHOWN:
            shown = "" if value is None else f", not {_short(value)!r}"
            self._first.append((line, words or f"{reason}{shown}"))
        else:
            self._more[reason].append(line)

    def __bool__(self) -> bool:
        return self._count > 0

    def refuse(self) -> None:
        """Name all faults, if there are any.

        Raises:
            CommandError: there are.
        """
        if not self._count:
            return
        counted = "1 fault" if self._count == 1 else f"{self._count} faults"
        lines = [f"{self._path} has {counted}, and nothing was sent:"]
        lines += [f"  line {line}: {what}" for line, what in self._first]
        lines += [
            f"  {_ranges(numbers)}: {reason}" for reason, numbers in sorted(self._more.items())
        ]
        raise CommandError(Status.USAGE, "\n".join(lines))


def read_rows(
    path: Path, needed: Sequence[str], optional: Sequence[str], faults: Faults, *, hidden: str = ""
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Read the rows of a file with a header.

    Args:
        path: UTF-8, with or without a BOM, commas between the columns.
        needed: the columns that must be there, in any order.
        optional: those that may be.
        faults: where a row with too few or too many fields is noted; it is left out.
        hidden: the column whose blanks at both ends count, and whose text is never shown.

    Yields:
        The line and the fields, without blanks round them.

    Raises:
        CommandError: it is no such file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _rows(stream, path, (needed, optional), faults, hidden=hidden)
    except OSError as exc:
        raise CommandError(Status.USAGE, f"{path} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(
            Status.USAGE, f"{path} is not UTF-8: save it as CSV UTF-8; nothing was sent"
        ) from None


def _rows(
    stream: Iterable[str],
    path: Path,
    columns: tuple[Sequence[str], Sequence[str]],
    faults: Faults,
    *,
    hidden: str,
) -> Iterator[tuple[int, Mapping[str, str]]]:
    lines = _lines(stream, faults)
    _, first = next(lines, (0, list[str]()))
    if not first:
        if faults:
            return
        raise CommandError(
            Status.USAGE, f"{path} is empty: its first line is {','.join(columns[0])}"
        )
    header = _header(path, first, *columns, has_secret=bool(hidden))
    for line, fields in lines:
        if len(fields) != len(header):
            faults.add(line, f"a row has {len(header)} fields", f"{len(fields)}")
            continue
        named = zip(header, fields, strict=True)
        yield line, {name: text if name == hidden else text.strip() for name, text in named}


def _lines(stream: Iterable[str], faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of each row that is not blank, with the row's first line."""
    reader = csv.reader(stream, strict=True)
    csv.field_size_limit(_MAX_FIELD_LENGTH)
    line = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as exc:
        # What a quote that is never closed has swallowed cannot be separated any more.
        faults.add(line, f"no CSV ({exc}), and nothing after it was read")


def _header(
    path: Path,
    fields: list[str],
    needed: Sequence[str],
    optional: Sequence[str],
    *,
    has_secret: bool,
) -> list[str]:
    names = [field.strip().lower() for field in fields]
    known = {*needed, *optional}
    if set(needed) <= set(names) <= known and len(set(names)) == len(names):
        return names
    wanted = ",".join(needed) + "".join(f"[,{name}]" for name in optional)
    hint = ""
    if len(names) == 1 and ";" in names[0]:
        hint = "; its columns are separated by ';': save it with commas"
    found = _lacking(needed, names) if has_secret else f"not {_short(','.join(fields))!r}"
    raise CommandError(
        Status.USAGE, f"{path}, line 1: the header is {wanted}, {found}{hint}; nothing was sent"
    )


def _lacking(needed: Sequence[str], names: Sequence[str]) -> str:
    """Say what is wrong with a header that may be a row, and its text a secret."""
    missing = [name for name in needed if name not in names]
    if missing:
        return f"and the header lacks {', '.join(missing)}"
    return f"and the header has {len(names)} columns, not these {len(needed)}"


def _ranges(lines: Sequence[int]) -> str:
    """Write 5, 6, 7, 9 as "lines 5-7, 9"."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:_RANGES]]
    left_out = sum(last - first + 1 for first, last in runs[_RANGES:])
    more = f" and {left_out} more" if left_out else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(words)}{more}"


def _short(value: str) -> str:
    text = printable(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

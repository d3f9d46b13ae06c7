"""The way of rows: to stdout or a file, in the format that was asked for."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Generator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import IO, cast

from rich.console import Console

from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import Format, GlobalOptions
from clicksend_reseller.cli.output.console import CommandConsole, Steps, folded, let_go, printable
from clicksend_reseller.cli.output.formats import Record, Writer, for_spreadsheets, writer
from clicksend_reseller.cli.output.whole_files import replaced

_SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}

_FLUSH_EVERY = 100


class Output:
    """Writes rows to stdout for as long as somebody reads them.

    Args:
        options: the format and the columns.
        columns: all that there are.
        usual: those that are shown where nobody asks for others.
        drawn: those of a table on a terminal; the usual ones where it is empty.
        suits: the format where none is asked for.
        goes_on: a reader that has left, or a full disk, stops the rows but not the command:
            what it does matters more than what it says.
        stream: instead of stdout.
        for_excel: let no text be taken for a formula by a spreadsheet; CSV only.

    Attributes:
        fault: why rows are no longer written, other than that nobody reads them.
    """

    def __init__(
        self,
        options: GlobalOptions,
        columns: Sequence[str],
        usual: Sequence[str] = (),
        *,
        drawn: Sequence[str] = (),
        suits: Format = "table",
        goes_on: bool = False,
        stream: IO[str] | None = None,
        for_excel: bool = False,
    ) -> None:
        self.fault: OSError | None = None
        self._format: Format = options.output or suits
        self._stream = stream or _stdout()
        is_drawn = self._format == "table" and self._stream.isatty()
        usual = (drawn if is_drawn else usual) or usual or columns
        self._columns = chosen(options.columns, columns, usual)
        if for_excel and self._format != "csv":
            raise CommandError(Status.USAGE, f"--excel is for CSV, not {self._format}")
        self._for_excel = for_excel
        self._goes_on = goes_on
        self._is_open = True
        self._rows = 0
        self._writer: Writer | None = None
        self._clear: Callable[[], None] | None = None

    @contextlib.contextmanager
    def counting(
        self, console: CommandConsole, what: str, total: int | None = None
    ) -> Generator[Steps]:
        """Show how far long work has come.

        A bar moves where the terminal is left alone until the end, and is taken off it before
        the first row, where a pipe may lead there too.
        """
        is_still = self._format == "table" or not self._stream.isatty()
        with console.counting(what, total, with_bar=is_still) as steps:
            if not self._stream.isatty() and not _is_plain_file(self._stream):
                self._clear = steps.clear
            yield steps

    @property
    def is_empty(self) -> bool:
        """A table without a row, which says nothing by itself; in JSON `[]` does."""
        return self._format == "table" and not self._rows

    @property
    def status(self) -> Status:
        """What the writing of rows makes of the status."""
        return Status.FAILED if self.fault else Status.DONE

    def row(self, record: Record) -> None:
        """Write one row.

        Raises:
            CommandError: nobody reads any more or the disk is full, and nothing else is to do.
        """
        with self._guarded():
            self._begun().row(for_spreadsheets(record) if self._for_excel else record)
            self._rows += 1
            if self._goes_on or self._rows % _FLUSH_EVERY == 0:
                self._stream.flush()

    def text(self, *lines: str, indent: int = 0) -> None:
        """Write lines that are no rows; a terminal breaks them between words.

        Args:
            lines: of any length.
            indent: blanks in front of what goes on in the next line; the first one has words there.
        """
        terminal = Console(file=self._stream)
        with self._guarded():
            for line in lines:
                text = folded(printable(line[indent:]), terminal, indent)
                self._stream.write(f"{line[:indent]}{text}\n")
            self._stream.flush()

    def one(self, record: Record) -> None:
        """Write the only row that there is; as JSON it is the object itself."""
        if self._format == "json":
            self._format = "jsonl"
        self.row(record)
        self.end()

    def end(self) -> None:
        """Write what belongs after the last row, and see it arrive; no row is no table."""
        with self._guarded():
            self._begun().end()
            self._stream.flush()

    def _begun(self) -> Writer:
        if self._writer is None:
            if self._clear is not None:
                self._clear()
            terminal = _Terminal(file=self._stream) if self._stream.isatty() else None
            self._writer = writer(self._format, self._columns, self._stream.write, terminal)
        return self._writer

    @contextlib.contextmanager
    def _guarded(self) -> Generator[None]:
        if not self._is_open:
            with contextlib.suppress(OSError, ValueError):
                yield
            return
        try:
            yield
        except BrokenPipeError:
            self._stop()
            if not self._goes_on:
                raise CommandError(Status.DONE) from None
        except OSError as exc:
            self._stop()
            self.fault = exc
            if not self._goes_on:
                raise CommandError(
                    Status.FAILED, f"the rows cannot be written: {exc.strerror or exc}"
                ) from None

    def _stop(self) -> None:
        self._is_open = False
        if self._stream is sys.stdout:
            let_go(sys.stdout.fileno())


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would leave the process


def chosen(asked: str | None, columns: Sequence[str], usual: Sequence[str]) -> list[str]:
    """Give the columns to write.

    Raises:
        CommandError: one that does not exist was asked for.
    """
    if asked is None:
        return list(usual)
    names = [name.strip() for name in asked.split(",") if name.strip()]
    unknown = [name for name in names if name not in columns]
    if unknown or not names:
        which = ", ".join(map(repr, unknown)) or "nothing"
        raise CommandError(
            Status.USAGE, f"--columns names {which}; there are: {', '.join(columns)}"
        )
    return list(dict.fromkeys(names))


@contextlib.contextmanager
def exported(
    options: GlobalOptions, to: Path | None, *columns: Sequence[str], for_excel: bool
) -> Generator[Output]:
    """Export rows to a file, there whole or not at all, or to stdout.

    Args:
        options: the format, which the ending of the file says else; CSV where nothing does.
        to: None is stdout.
        columns: all that there are, and the usual ones.
        for_excel: as in `Output`.
    """
    suits = _SUFFIXES.get(to.suffix.lower(), "csv") if to else "csv"
    with contextlib.nullcontext() if to is None else replaced(to) as stream:
        yield Output(options, *columns, suits=suits, stream=stream, for_excel=for_excel)


def _is_plain_file(stream: IO[str]) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    return False


def _stdout() -> IO[str]:
    stdout = cast("TextIOWrapper", sys.stdout)
    encoding = None if stdout.isatty() else "utf-8"
    stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    return stdout

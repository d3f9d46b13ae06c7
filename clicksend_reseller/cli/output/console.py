"""What a person reads and is asked on stderr: notes, questions, progress."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Generator
from typing import IO, TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.text import Text

from clicksend_reseller.cli.exit_status import CommandError, Status

if TYPE_CHECKING:
    from rich.progress import Progress

_LEVELS = {0: logging.WARNING, 1: logging.INFO}
_ROWS_PER_LINE = 100
_A_COMMAND = "clicksend-reseller "


def printable(text: str) -> str:
    """Show what a terminal would obey instead of printing: names come from other people."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def folded(line: str, console: Console, indent: int = 0) -> str:
    """Break a line between words where a terminal would break it anywhere.

    Args:
        line: of any length.
        console: where it is written; what is no terminal breaks no lines.
        indent: blanks in front of it, there already in its first line.
    """
    if not console.is_terminal:
        return line
    lines = textwrap.wrap(
        line, console.width - indent, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines)


class Steps:
    """Long work that is counted: on a bar, else in a line per 100, or not at all.

    Args:
        say: writes a line, where lines are wanted.
        bar: is moved instead.
    """

    def __init__(
        self, say: Callable[[int], None] | None = None, bar: Progress | None = None
    ) -> None:
        self._say = say
        self._bar = bar
        self._count = 0

    def step(self) -> None:
        """Count one more."""
        self._count += 1
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        elif self._say is not None and self._count % _ROWS_PER_LINE == 0:
            self._say(self._count)

    def clear(self) -> None:
        """Leave the terminal to others from now on."""
        if self._bar is not None:
            self._bar.stop()


class CommandConsole:
    """Speaks on stderr.

    Args:
        quiet: errors and questions only.
        verbose: 1 also logs what the client does, 2 logs everything.
    """

    def __init__(self, *, quiet: bool = False, verbose: int = 0) -> None:
        stream = cast("IO[str]", _Unbroken(sys.stderr))
        self.console: Console = Console(file=stream, highlight=False)
        self._quiet = quiet
        logger = logging.getLogger("clicksend_reseller")
        logger.handlers = [_Log(self)]
        logger.setLevel(logging.ERROR if quiet else _LEVELS.get(verbose, logging.DEBUG))
        logger.propagate = False

    @property
    def can_ask(self) -> bool:
        """A person sees what is asked and can answer."""
        return bool(sys.stdin) and sys.stdin.isatty() and sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Say something that may be left out."""
        if not self._quiet:
            self._print(text)

    def error(self, text: str) -> None:
        """Say why it went wrong."""
        self._print(text, style="red")

    def warn(self, text: str) -> None:
        """Say what deserves a look."""
        self._print(text, style="yellow")

    def show(self, lines: list[tuple[str, str]]) -> None:
        """Show names and values below each other, whatever the width."""
        width = max(len(name) for name, _ in lines)
        for name, value in lines:
            text = folded(printable(value), self.console, width + 4)
            line = Text(f"  {name:<{width}}  {text}")
            self.console.print(line, soft_wrap=True)  # or a path could not be copied

    def confirm(self, question: str) -> None:
        """Ask; the default is no.

        Raises:
            CommandError: the answer was no, or nobody is there to answer.
        """
        if not self.can_ask:
            raise CommandError(
                Status.DECLINED,
                "nothing was sent: there is no terminal to ask on, and no --yes was given",
            )
        answer = self._ask(f"{question} [y/N] ")
        if answer is None:
            self._print("")
        if (answer or "").strip().lower() not in {"y", "yes"}:
            raise CommandError(Status.DECLINED, "declined: nothing was sent")

    def _ask(self, prompt: str) -> str | None:
        _forget_what_was_typed()
        self.console.file.write(prompt)
        self.console.file.flush()
        return sys.stdin.readline() or None

    @contextlib.contextmanager
    def waiting(self, text: str) -> Generator[None]:
        """Show a line on a terminal for as long as something is awaited."""
        if self._quiet or not self.console.is_terminal or self.console.is_dumb_terminal:
            yield
            return
        with self.console.status(Text(text), spinner="line", spinner_style="green"):
            yield

    @contextlib.contextmanager
    def counting(
        self, what: str, total: int | None = None, *, with_bar: bool = True
    ) -> Generator[Steps]:
        """Show how far long work has come: a bar on a terminal, else a line per 100.

        Args:
            what: is counted.
            total: None where it is not known.
            with_bar: nothing else is written to the terminal meanwhile.
        """
        if self._quiet or (not self.console.is_terminal and _is_one_stream()):
            yield Steps()
        elif with_bar and self.console.is_terminal and not self.console.is_dumb_terminal:
            with _bar(self.console, total) as bar:
                bar.add_task(what, total=total)
                yield Steps(bar=bar)
        else:
            of = "" if total is None else f" of {total}"
            yield Steps(say=lambda count: self.note(f"{what}: {count}{of}"))

    def _print(self, text: str, style: str = "") -> None:
        for line in text.split("\n"):
            # A command is copied, and half of one may move money without its last options.
            is_whole = not self.console.is_terminal or _A_COMMAND in line
            self.console.print(Text(printable(line), style=style), soft_wrap=is_whole)


def _is_one_stream() -> bool:
    """Return True if rows and words go the same way, so that words would stand among the rows."""
    with contextlib.suppress(OSError, ValueError):
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    return False


def _forget_what_was_typed() -> None:
    # A "y" that was typed or pasted before the question is no answer to it.
    with contextlib.suppress(ImportError, OSError, ValueError):
        import termios  # noqa: PLC0415 - not on Windows

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


class _Unbroken:
    """Stderr for as long as somebody hears it: a terminal that has gone stops nothing.

    Without it rich would leave the process at a broken pipe, with transfers under way.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


class _Log(logging.Handler):
    def __init__(self, console: CommandConsole) -> None:
        super().__init__()
        self._voice = console

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        say = self._voice.error if record.levelno >= logging.ERROR else self._voice.warn
        say(printable(text))


def _bar(console: Console, total: int | None) -> Progress:
    from rich.progress import (  # noqa: PLC0415 - only long work on a terminal needs it
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    # The default of rich is red, which says that something is wrong.
    middle = [] if total is None else [BarColumn(complete_style="green", finished_style="green")]
    return Progress(
        TextColumn("{task.description}"),
        *middle,
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def let_go(stream_number: int) -> None:
    """Point a stream whose reader has left to nowhere, so that Python can flush it at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream_number)
    os.close(nowhere)

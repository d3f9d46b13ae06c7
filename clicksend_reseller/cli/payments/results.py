"""The file of results: what became of each row, written before and after it for the next run."""

from __future__ import annotations

import contextlib
import csv
import os
import re
from pathlib import Path
from typing import IO

from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.payments.rows import CREATED_COLUMNS, NewAccount

_COLUMNS = (*CREATED_COLUMNS, "api")


class Results:
    """A file that says of each row what became of it; its last word on a user name counts.

    Args:
        path: None keeps nothing.
        api: the base URL: what was created in a sandbox has not been created elsewhere.

    Raises:
        CommandError: it holds something else, or cannot be written.
    """

    def __init__(self, path: Path | None, api: str) -> None:
        self._path = path
        self._api = api
        self.words: dict[str, str] = {}
        self._stream: IO[str] | None = None
        if path is None:
            return
        try:
            self._read(path)
            self._stream = path.open("a", encoding="utf-8", newline="")
            if not self._stream.tell():
                self._append(_COLUMNS)
        except (OSError, UnicodeDecodeError, csv.Error) as exc:
            self.close()
            raise CommandError(Status.USAGE, f"--results {path}: {exc}") from None

    def close(self) -> None:
        """Let go of the file; what could not be written has been said."""
        with contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.close()

    def write(self, row: NewAccount) -> None:
        """Write a line, on the disk before this returns.

        Raises:
            CommandError: it cannot be written, so nothing further may be tried.
        """
        try:
            reason = " ".join((row.reason or "").split())
            name = _on_one_line(row.username)
            self._append((name, row.status, row.user_id or "", reason, self._api))
        except OSError as exc:
            word = "not tried" if row.status == "trying" else row.status
            raise CommandError(
                Status.UNKNOWN if row.status == "unknown" else Status.FAILED,
                f"--results {self._path} cannot be written ({exc.strerror}); "
                f"{row.username!r} is {word}",
            ) from None

    def _append(self, fields: tuple[object, ...]) -> None:
        if self._stream is None:
            return
        csv.writer(self._stream, lineterminator="\n").writerow(fields)
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        if not path.is_file():
            raise CommandError(
                Status.USAGE, f"--results {path} is no plain file, which the next run could read"
            )
        if not (text := path.read_text("utf-8")):
            return
        header, *lines = text.split("\n")
        if tuple(header.split(",")) != _COLUMNS:
            raise CommandError(
                Status.USAGE, f"--results {path} is no file of results: name another one"
            )
        # Line by line, so that a quote that a crash has left open swallows no other row.
        for number, line in enumerate(lines, 1):
            if line.strip():
                [row] = csv.reader([line])
                self._learn(path, row, is_cut=number == len(lines))
        if lines[-1:] != [""]:
            with path.open("a", encoding="utf-8", newline="") as stream:
                stream.write("\n")

    def _learn(self, path: Path, row: list[str], *, is_cut: bool) -> None:
        """Take a line in; one that a crash has cut off is of a row that was being tried."""
        api = row[-1] if len(row) == len(_COLUMNS) else ""
        if not self._api.startswith(api):
            raise CommandError(Status.USAGE, f"--results {path} is about {api}, not {self._api}")
        self.words[_as_it_was(row[0])] = row[1] if api == self._api and not is_cut else "trying"


_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}


def _on_one_line(name: str) -> str:
    """Write a name so that a line of the file is a row, whatever is in the name."""
    return "".join(_ESCAPES.get(char, char) for char in name)


def _as_it_was(written: str) -> str:
    backwards = {escape: char for char, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nr]", lambda found: backwards[found[0]], written)

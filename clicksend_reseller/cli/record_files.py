"""How is the journal's file made? In its owner's folder, readable by nobody else."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from clicksend_reseller import ConfigurationError
from clicksend_reseller.cli.statuses import EndedError, Status

if TYPE_CHECKING:
    from clicksend_reseller.journal import SQLJournal

__all__ = ["absolute", "file_of", "file_url", "open_journal"]

_FILE_URL = re.compile(r"sqlite(?:\+\w+)?:///([^?]+)(\?.*)?")


def file_url(path: Path) -> str:
    """Give the URL of a journal in a file."""
    return f"sqlite+aiosqlite:///{path}"


def file_of(url: str | None) -> Path | None:
    """Give the file of a journal's URL, where it is one."""
    found = _FILE_URL.fullmatch(url or "")
    return Path(found[1]) if found else None


def absolute(url: str) -> str:
    """Spell a journal's URL so that it means the same in every folder.

    Raises:
        EndedError: it forgets everything at the end, so it would guard nothing.
    """
    if "://" not in url:
        return file_url(Path(url).expanduser().absolute())
    found = _FILE_URL.fullmatch(url)
    if url.startswith("sqlite") and (not found or "memory" in f"{found[1]}{found[2]}"):
        raise EndedError(
            Status.USAGE,
            "--journal in memory is gone at the end, and the next run would pay again: "
            "name a file, as in sqlite+aiosqlite:////var/lib/me/transfers.db",
        )
    if not found:
        return url
    return f"sqlite+aiosqlite:///{Path(found[1]).absolute()}{found[2] or ''}"


def open_journal(url: str) -> SQLJournal:
    """Open a journal; a file that is new belongs to its owner alone.

    Raises:
        EndedError: it cannot be opened.
    """
    from clicksend_reseller.journal import SQLJournal  # noqa: PLC0415 - a database library

    file = file_of(url)
    try:
        if file is not None:
            _make(file)
        return SQLJournal(url)
    except OSError as exc:
        fault = f"the journal {file} cannot be opened ({exc.strerror}); nothing was sent"
        raise EndedError(Status.FAILED, fault) from None
    except (ConfigurationError, ImportError) as exc:
        raise EndedError(Status.USAGE, f"--journal: {exc}") from None


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        # SQLite gives its side files the mode of this one.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

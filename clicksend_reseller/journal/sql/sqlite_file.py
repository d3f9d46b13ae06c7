"""The check that a SQLite file has one name, by which SQLite finds its WAL.

Under two names, a hard link or a file that is mounted by itself, each has a WAL of its own: two
processes then see two journals, and each pays every key. A process whose open file is moved or
deleted goes on in a journal that the next process does not find.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from clicksend_reseller import JournalError

_MOUNTS = Path("/proc/self/mountinfo")
CHECKED = "clicksend_reseller.journal: one name"
_SIBLINGS = ("", "-wal", "-shm")
_Identity: TypeAlias = tuple[int, int, int] | None
_ESCAPED = re.compile(rb"\\([0-7]{3})")


async def check_file(connection: AsyncConnection) -> None:
    """Check the file of a new connection, and remember which file it was.

    Raises:
        JournalError: it has, or may have, another name.
    """
    databases = await connection.exec_driver_sql("PRAGMA database_list")
    file = next((row.file for row in databases if row.name == "main"), "")
    if file and (fault := fault_of_file(file)):
        raise JournalError(fault, permanent=True)
    connection.info[CHECKED] = (file, _identity(file)) if file else None


def check_name(connection: AsyncConnection) -> None:
    """Check the name again before each step that sends money: an open file can be moved.

    Raises:
        JournalError: its name leads to another file or to none, or it has a second name.
    """
    known: tuple[str, _Identity] | None = connection.info[CHECKED]
    if known is None or _identity(path := known[0]) == known[1]:
        return
    fault = fault_of_file(path) or (
        f"the file {path!r} has been moved, deleted or replaced while this journal has it open, "
        "and whoever opens that name now would pay again: put it back, with what lies beside it, "
        "and start again"
    )
    raise JournalError(fault, permanent=True)


def fault_of_file(path: str, mounts: Path = _MOUNTS) -> str:
    """Say why a file, or what SQLite keeps beside it, goes by two names; empty where it does not.

    Args:
        path: as SQLite has it.
        mounts: this process's mount table; systems without one cannot mount a single file.
    """
    real = os.path.realpath(path)
    mounted = _mount_points(mounts)
    faults = (_fault(real + suffix, mounted) for suffix in _SIBLINGS)
    return next(filter(None, faults), "")


def _identity(path: str) -> _Identity:
    """Say which file a name leads to."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_nlink


def _fault(path: str, mounted: frozenset[bytes]) -> str:
    try:
        names = Path(path).stat().st_nlink
    except FileNotFoundError:
        return ""  # SQLite makes and removes the two beside the file
    why = "each name has a write-ahead log of its own, and a key would be paid under each"
    if names > 1:
        return (
            f"the file {path!r} has {names} names (hard links), and {why}: "
            "keep one of them, and mount the folder, not the file"
        )
    if os.fsencode(path) in mounted:
        return (
            f"the file {path!r} is itself a mount point, and {why}: mount the folder, not the file"
        )
    return ""


def _mount_points(mounts: Path) -> frozenset[bytes]:
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return frozenset()
    return frozenset(_unescaped(line.split(b" ")[4]) for line in lines)


def _unescaped(field: bytes) -> bytes:
    r"""Read the kernel's way to write a blank, \040, and the like."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), field)

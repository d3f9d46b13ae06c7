"""The check that a SQLite file has one name, by which SQLite finds its WAL.

Under two names, a hard link or a file that is mounted by itself, each has a WAL of its own: two
processes then see two journals, and each pays every key. A process whose open file is moved or
deleted, or whose WAL is, goes on in a journal that the next process does not find. A WAL goes so
even where nobody touches it: whoever reads the file and closes it ends all locks that the process
has on it (POSIX), and the next process to close it may take itself for the last, and tidy up.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection

from clicksend_reseller import JournalError

_MOUNTS = Path("/proc/self/mountinfo")
_BESIDE = ("-wal", "-shm")
_Identity: TypeAlias = tuple[int, int, int] | None
# A path, empty in memory, and which file that was.
_Found: TypeAlias = tuple[str, _Identity]
# Where a pooled connection keeps what it led to when it was made.
_FOUND = "clicksend_reseller.journal: file"
_FOUND_BESIDE = "clicksend_reseller.journal: beside it"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class SQLiteFile:
    """The file of one journal, which all connections must lead to by its name.

    Args:
        given: the name that it is opened by; SQLite says only where its symbolic links led.
    """

    def __init__(self, given: str | None = None) -> None:
        self._given = os.path.abspath(given) if given else ""  # noqa: PTH100 - keeps its links
        self._known: _Found | None = None
        self._beside: dict[str, _Identity] | None = None
        self._open = 0

    def watch(self, engine: Engine) -> None:
        """Count the connections of an engine, which all find the same beside the file."""
        self._beside = {}
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "close", self._closed)

    async def check_connection(self, connection: AsyncConnection) -> None:
        """Check where a connection leads: one that is made later knows the name alone.

        Raises:
            JournalError: the file has, or may have, another name, or it is another file.
        """
        found: _Found | None = connection.info.get(_FOUND)
        if found is None:
            found = connection.info[_FOUND] = await _find(connection)
        if self._known is None:
            self._known = found
            if _identity(self._given) != found[1]:
                self._given = found[0]  # a URI, or made in another folder
        if found != self._known:
            raise _moved(self._known[0])

    def check_name(self) -> None:
        """Check the name again before each step that sends money: an open file can be moved.

        Raises:
            JournalError: its name leads to another file or to none, or it has a second name.
        """
        if self._known is None or (path := self._known[0]) == "":
            return
        for name in (path, self._given):
            if _identity(name) != self._known[1]:
                raise _moved(name)

    def remember_beside(self, connection: AsyncConnection) -> dict[str, _Identity]:
        """Keep what lies beside the file, once a connection has begun to use it.

        From then on SQLite removes neither, until the connection is closed.
        """
        found = self._beside
        if found is None:
            found = connection.info.setdefault(_FOUND_BESIDE, dict[str, _Identity]())
        path = "" if self._known is None else self._known[0]
        for suffix in _BESIDE:
            if path and found.get(suffix) is None:
                found[suffix] = _identity(path + suffix)
        return found

    def check_beside(self, connection: AsyncConnection) -> None:
        """Check within a transaction that others find its write-ahead log, or will not see it.

        A file that was moved is left to `check_name`: what has left is settled in it.

        Raises:
            JournalError: what lies beside the file is gone, or is another one.
        """
        found = self.remember_beside(connection)
        if self._known is None or (path := self._known[0]) == "":
            return
        if _identity(path) != self._known[1]:
            return
        for suffix, known in found.items():
            if _identity(path + suffix) != known:
                raise _moved(path + suffix)

    def _opened(self, *_: object) -> None:
        self._open += 1

    def _closed(self, *_: object) -> None:
        self._open -= 1
        if self._beside and not self._open:
            self._beside.clear()  # the last one removes it, and the next makes another


async def _find(connection: AsyncConnection) -> _Found:
    databases = await connection.exec_driver_sql("PRAGMA database_list")
    path = next((row.file for row in databases if row.name == "main"), "")
    if path and (fault := fault_of_file(path)):
        raise JournalError(fault, permanent=True)
    return path, _identity(path) if path else None


def _moved(path: str) -> JournalError:
    fault = fault_of_file(path) or (
        f"the file {path!r} has been moved, deleted or replaced while this journal has it open, "
        "and whoever opens that name now would pay again: put it back, with what lies beside it, "
        "and start again; nothing else in this process may open these files, not even to copy them"
    )
    return JournalError(fault, permanent=True)


def fault_of_file(path: str, mounts: Path = _MOUNTS) -> str:
    """Say why a file, or what SQLite keeps beside it, goes by two names; empty where it does not.

    Args:
        path: as SQLite has it.
        mounts: this process's mount table; systems without one cannot mount a single file.
    """
    real = os.path.realpath(path)
    mounted = _mount_points(mounts)
    faults = (_fault(real + suffix, mounted) for suffix in ("", *_BESIDE))
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

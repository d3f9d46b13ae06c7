"""The place of the journal: its owner's folder, readable by nobody else, under one spelling."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from clicksend_reseller import ConfigurationError
from clicksend_reseller.cli.exit_status import CommandError, Status

if TYPE_CHECKING:
    from sqlalchemy import URL

    from clicksend_reseller.journal import SQLJournal

_A_PASSWORD = re.compile(r":[^@]*@")
_NO_URI = "--journal takes the path of a file, not a file: URI of SQLite's: leave out file: and uri"
_NO_URL = (
    "a URL that cannot be read: write postgresql+asyncpg://user@host/database, and %40 for "
    "an @ in a password"
)
_TELLS_A_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Kept:
    """Where a journal is kept.

    Attributes:
        file: the file, by its absolute path, where it is one.
        url: what else is to be said to the database; None for a mere file, or where it makes none.
        shown: for people; no password, and nothing of a URL that makes no sense.
        has_secret: the URL holds a password, or may.
    """

    file: Path | None = None
    url: URL | None = attrs.field(default=None, repr=False)
    shown: str
    has_secret: bool = False


def in_file(path: Path) -> Kept:
    """Keep a journal in a file; nothing in its path means anything else."""
    return Kept(file=path, shown=str(path))


async def is_new(kept: Kept) -> bool:
    """Return True if a journal does not exist yet: no file, or a database without its table.

    One that cannot be looked at is not called new: opening it says why.
    """
    if kept.file is not None and not kept.file.exists():
        return True
    url = _url_of(kept)
    if url is None:
        return False
    try:
        return not await _has_table(url)
    except Exception:  # noqa: BLE001 - drivers raise errors of many families
        return False


async def _has_table(url: URL) -> bool:
    from sqlalchemy import inspect  # noqa: PLC0415 - a database library
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - a database library

    from clicksend_reseller.journal import metadata  # noqa: PLC0415 - a database library

    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            names = await connection.run_sync(lambda own: inspect(own).get_table_names())
    finally:
        await engine.dispose()
    return set(metadata.tables) <= set(names)


def kept_at(given: str) -> Kept:
    """Read a journal's URL or path, so that it means the same in every folder.

    Raises:
        CommandError: it forgets everything at the end, so it would guard nothing; or it is a URL
            of SQLite's own, whose file nobody could show or protect.
    """
    if "://" not in given and not _A_PASSWORD.search(given):
        return in_file(_absolute(given))
    url = _parsed(given)
    if url is None:
        return Kept(shown="a URL that cannot be read", has_secret=True)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    return Kept(url=url, shown=_without_secrets(url), has_secret=_has_secret(url))


def home_folder() -> Path:
    """Give the home of whoever runs this; a relative one would be another in each folder.

    Raises:
        CommandError: there is none.
    """
    with contextlib.suppress(RuntimeError):
        if (home := Path.home()).is_absolute():
            return home
    with contextlib.suppress(ImportError, KeyError):
        import pwd  # noqa: PLC0415 - not on Windows

        if (home := Path(pwd.getpwuid(os.getuid()).pw_dir)).is_absolute():
            return home
    raise CommandError(
        Status.USAGE, "there is no home folder for the journal: set HOME, or give --journal FILE"
    )


def open_journal(kept: Kept) -> SQLJournal:
    """Open a journal; a file that is new belongs to its owner alone.

    Raises:
        CommandError: it cannot be opened.
    """
    from clicksend_reseller.journal import SQLJournal  # noqa: PLC0415 - a database library

    url = _url_of(kept)
    if url is None:
        raise CommandError(Status.USAGE, f"the journal is at {_NO_URL}; nothing was sent")
    try:
        if kept.file is not None:
            _make(kept.file)
        return SQLJournal(url)
    except OSError as exc:
        fault = f"the journal {kept.file} cannot be opened ({exc.strerror}); nothing was sent"
        raise CommandError(Status.FAILED, fault) from None
    except (ConfigurationError, ImportError) as exc:
        raise CommandError(Status.USAGE, f"--journal: {exc}") from None


def _url_of(kept: Kept) -> URL | None:
    from sqlalchemy import URL as Parts  # noqa: N811, PLC0415 - a database library

    if kept.url is not None or kept.file is None:
        return kept.url
    # Built from its parts, since a % or ? of the path would be read as another file's.
    return Parts.create("sqlite+aiosqlite", database=str(kept.file))


def _parsed(given: str) -> URL | None:
    """Read a URL; one with a stray @ has a part of its password elsewhere."""
    from sqlalchemy import make_url  # noqa: PLC0415 - a database library
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - a database library

    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        return None
    is_torn = url.host is not None and "@" in (url.database or "")
    return None if "@" in f"{url.host}{url.username}" or is_torn else url


def _sqlite(url: URL) -> Kept:
    database = url.database or ""
    if database in {"", ":memory:"} or url.query.get("mode") == "memory":
        raise CommandError(
            Status.USAGE,
            "a journal in memory is gone at the end, and the next run would pay again: "
            "name a file, as in sqlite+aiosqlite:////var/lib/me/transfers.db",
        )
    if "uri" in url.query:
        raise CommandError(Status.USAGE, _NO_URI)
    file = _absolute(database)
    return Kept(
        file=file, url=url.set(database=str(file)), shown=str(file), has_secret=_has_secret(url)
    )


def _absolute(path: str) -> Path:
    if not path:
        raise CommandError(Status.USAGE, "--journal is empty: name a file or a URL")
    if path.startswith("file:"):
        raise CommandError(Status.USAGE, _NO_URI)
    if path == "~" or path.startswith("~/"):
        return home_folder() / path[2:]
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as exc:
        raise CommandError(Status.USAGE, f"--journal {path}: {exc}") from None


def _has_secret(url: URL) -> bool:
    return url.password is not None or any(map(_TELLS_A_SECRET.search, url.query))


def _without_secrets(url: URL) -> str:
    from sqlalchemy import URL as Parts  # noqa: N811, PLC0415 - a database library

    shown = Parts.create(url.drivername, url.username, None, url.host, url.port, url.database)
    return shown.render_as_string()


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        # SQLite gives its side files the mode of this one.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

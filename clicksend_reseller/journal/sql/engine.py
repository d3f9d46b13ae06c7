"""The database engine of a journal, made from a URL or checked."""

from __future__ import annotations

from typing import Any

import attrs
from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

from clicksend_reseller import ConfigurationError
from clicksend_reseller.journal.sql.sqlite_file import SQLiteFile

# How long a step waits for another one's lock.
BUSY_SECONDS = 30

_NO_URL = (
    "this is no database URL: write sqlite+aiosqlite:///transfers.db or "
    "postgresql+asyncpg://user@host/database; in a password %40 is @ and %3A is :"
)
_SHARED = (
    "this engine has one connection for all who use it, so the transaction of one step would "
    "commit or undo another one's: give the journal an engine with SQLAlchemy's usual pool"
)
_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg or psycopg"}


@attrs.frozen(kw_only=True)
class Opened:
    """An engine, and what is known of it.

    Attributes:
        is_ours: made from a URL, so it is ours to dispose of.
        shares_connection: all steps would run on one connection, so they take turns.
        file: what its connections lead to, on SQLite.
    """

    engine: AsyncEngine
    is_ours: bool
    shares_connection: bool
    file: SQLiteFile

    @property
    def is_sqlite(self) -> bool:
        """SQLite, else PostgreSQL."""
        return self.engine.dialect.name == "sqlite"


def open_engine(given: str | URL | AsyncEngine) -> Opened:
    """Take an engine, or make one.

    Raises:
        ConfigurationError: the URL cannot be used, or the engine has one connection for all.
        ImportError: its driver is not installed.
        TypeError: neither a URL nor an AsyncEngine.
    """
    if isinstance(given, AsyncEngine):
        _check_database(given.dialect.name)
        shares = isinstance(given.pool, StaticPool)
        if shares and given.dialect.name == "postgresql":
            raise ConfigurationError(_SHARED)
        file = SQLiteFile(given.url.database)
        return Opened(engine=given, is_ours=False, shares_connection=shares, file=file)
    if not isinstance(given, str | URL):
        raise TypeError(
            f"SQLJournal takes a database URL or an AsyncEngine, not {type(given).__name__}"
        )
    return _make(_parsed(given))


def shown(url: URL) -> str:
    """Render a URL without its password; the query may hold one too, so it is left out whole."""
    return url.set(query={}).render_as_string(hide_password=True)


def _parsed(given: str | URL) -> URL:
    # It may hold a password, so it is not shown. Of one with a bare : or @ a part is taken for
    # the port, which is then no number, or for the host, which would be shown.
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise ConfigurationError(_NO_URL) from None
    is_torn = isinstance(given, str) and given.count("@") > 1
    if is_torn and url.get_backend_name() == "postgresql":
        raise ConfigurationError(_NO_URL)
    return url


def _make(url: URL) -> Opened:
    name = url.get_backend_name()
    _check_database(name)
    in_memory = name == "sqlite" and _is_in_memory(url)
    try:
        if name == "postgresql":
            engine = create_async_engine(url, pool_pre_ping=True)
        else:
            engine = _sqlite(url, in_memory=in_memory)
    except (ArgumentError, InvalidRequestError, NoSuchModuleError) as exc:
        raise ConfigurationError(
            f"the journal cannot use {url.drivername!r}: write {name}+{_DRIVERS[name]}"
        ) from exc
    except ModuleNotFoundError as exc:
        raise ImportError(f"{url.drivername} needs {exc.name}: pip install {exc.name}") from exc
    file = SQLiteFile(url.database)
    file.watch(engine.sync_engine)
    return Opened(engine=engine, is_ours=True, shares_connection=in_memory, file=file)


def _sqlite(url: URL, *, in_memory: bool) -> AsyncEngine:
    # The driver would begin transactions by its own rules; with None they are spelled out.
    # SQLAlchemy 2.0 would open a file for each step.
    how: dict[str, Any] = {
        "connect_args": {"isolation_level": None},
        "poolclass": AsyncAdaptedQueuePool,
    }
    if in_memory:
        # One connection, lent to one step at a time; the pool keeps it, and with it the data.
        how |= {"pool_size": 1, "max_overflow": 0}
    engine = create_async_engine(url, **how)
    event.listen(engine.sync_engine, "connect", _set_up)
    return engine


def _set_up(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in pragmas("FULL"):
        cursor.execute(pragma)
    cursor.close()


def pragmas(synchronous: str) -> tuple[str, str]:
    """Name what every connection to SQLite needs before it may be relied on."""
    return (
        f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}",
        # With NORMAL a power loss can undo the last commit, and then a key is sent twice.
        f"PRAGMA synchronous={synchronous}",
    )


def _check_database(name: str) -> None:
    if name not in _DRIVERS:
        raise ConfigurationError(f"the journal keeps to SQLite or PostgreSQL, not {name!r}")


def _is_in_memory(url: URL) -> bool:
    return url.database in {None, "", ":memory:"} or url.query.get("mode") == "memory"

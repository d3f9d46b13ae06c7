"""The steps of a journal, each run whole and durably.

Each step is one transaction in a task of its own: a caller who is cancelled leaves it running,
because a transaction that was cut in two kept a SQLite file locked for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from clicksend_reseller import JournalError, ResellerError
from clicksend_reseller.journal.sql.engine import BUSY_SECONDS, Opened, pragmas
from clicksend_reseller.journal.sql.setup import prepare

__all__ = ["Database", "Work", "failure"]

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

# Longer than any wait for a lock; a step that takes longer talks to a database that is gone.
STEP_SECONDS = 45.0
DISPOSE_SECONDS = 10.0

# An `on` that the database was configured to be more than stays more.
_DURABLE = text(
    "SELECT set_config('lock_timeout', :patience, true), "
    "CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') THEN 'enough' "
    "ELSE set_config('synchronous_commit', 'on', true) END"
).bindparams(patience=f"{BUSY_SECONDS}s")


class Database:
    """Runs steps, each in a transaction, on the event loop of the first.

    Args:
        opened: the engine.
        create: make the table where there is none.
    """

    def __init__(self, opened: Opened, *, create: bool) -> None:
        self.opened = opened
        self._create = create
        self._loop: asyncio.AbstractEventLoop | None = None
        self._preparing = asyncio.Lock()
        self._is_prepared = False
        self._is_closed = False
        self._synchronous = "FULL"
        # SQLite has one writer; waiting here is cheaper than its sleeping and trying again.
        self._turn: asyncio.Lock | None = asyncio.Lock() if opened.is_sqlite else None
        self._turn_to_read: AbstractAsyncContextManager[Any] = nullcontext()
        if self._turn is not None and opened.shares_connection:
            self._turn_to_read = self._turn
        self._steps: set[asyncio.Task[Any]] = set()

    async def write(self, work: Work[T]) -> T:
        """Run a step in a transaction that is durable when this returns.

        Raises:
            JournalError: closed, on another event loop, no table, too slow, or what the database
                says.
        """
        await self.ready()
        return await self._whole(self._write(work))

    async def settle(self, work: Work[T]) -> T:
        """Run a step that writes down what has happened, even into a file that was moved meanwhile.

        Losing it in a power cut harms nobody: so PostgreSQL is left to its own setting, which
        spares a round trip.

        Raises:
            JournalError: as `write`.
            SQLAlchemyError: what the database says, as it is.
        """
        await self.ready()
        return await self._whole(self._write(work, durable=False, settles=True), is_bare=True)

    async def read(self, work: Work[T]) -> T:
        """Run a step that changes nothing."""
        await self.ready()
        return await self._whole(self._read(work))

    async def read_or_write(self, look: Work[T | None], work: Work[T]) -> T:
        """Run a step that changes nothing, and where it gives None one that writes.

        Both are one task. What was written may be lost in a power cut, see `write`.
        """
        await self.ready()
        return await self._whole(self._read_or_write(look, work))

    async def ready(self) -> None:
        """Bind to the running loop and look at the table, at first use."""
        if self._is_closed:
            raise JournalError("the journal is closed: make another one")
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            raise JournalError(
                "the journal belongs to the event loop of its first use, and this is another "
                "one: make a journal for each loop"
            )
        self._loop = loop
        if not self._is_prepared:
            await self._prepare()

    async def aclose(self) -> None:
        """Wait for steps under way, then dispose of an engine that is ours."""
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise JournalError("close the journal on the event loop that it was used on")
        self._is_closed = True
        if self._steps:
            await asyncio.wait(set(self._steps), timeout=STEP_SECONDS)
        if self.opened.is_ours:
            await self._dispose()

    async def _dispose(self) -> None:
        # A driver ends its session with the server, and one that is gone never answers.
        disposal = asyncio.ensure_future(self.opened.engine.dispose())
        await asyncio.wait({disposal}, timeout=DISPOSE_SECONDS)
        if disposal.done():
            disposal.result()
        disposal.cancel()

    async def _prepare(self) -> None:
        async with self._preparing:
            if not self._is_prepared:
                self._synchronous = await self._whole(prepare(self.opened, create=self._create))
                self._is_prepared = True

    # --- one step

    async def _whole(self, step: Coroutine[Any, Any, T], *, is_bare: bool = False) -> T:
        task = asyncio.ensure_future(step)
        self._steps.add(task)
        task.add_done_callback(self._retire)
        await asyncio.wait({task}, timeout=STEP_SECONDS)
        if not task.done():
            task.cancel()
            raise JournalError(f"the database did not answer within {STEP_SECONDS:g} s")
        if task.cancelled():
            raise JournalError("the step was cancelled from within")
        try:
            return task.result()
        except Exception as exc:
            if is_bare or isinstance(exc, ResellerError):
                raise
            raise failure(exc) from exc

    def _retire(self, task: asyncio.Task[Any]) -> None:
        self._steps.discard(task)
        if not task.cancelled():
            task.exception()  # the caller may be gone, and asyncio would complain

    async def _write(self, work: Work[T], *, durable: bool = True, settles: bool = False) -> T:
        if self._turn is None:
            return await self._write_postgresql(work, durable=durable)
        async with self._turn, self._sqlite_connection() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                self.opened.file.check_beside(connection)
                if not settles:
                    self.opened.file.check_name()
                result = await work(connection)
                await connection.exec_driver_sql("COMMIT")
            except BaseException:
                # Whatever the database has rolled back by itself is no news.
                with contextlib.suppress(SQLAlchemyError):
                    await connection.exec_driver_sql("ROLLBACK")
                raise
            return result

    async def _write_postgresql(self, work: Work[T], *, durable: bool) -> T:
        async with self.opened.engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                if durable:
                    await connection.execute(_DURABLE)
                return await work(connection)

    async def _read(self, work: Work[T]) -> T:
        if self._turn is None:
            async with self.opened.engine.connect() as connection:
                # One question is a transaction by itself.
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                return await work(connection)
        async with self._turn_to_read, self._sqlite_connection() as connection:
            result = await work(connection)
            self.opened.file.remember_beside(connection)
            return result

    async def _read_or_write(self, look: Work[T | None], work: Work[T]) -> T:
        found = await self._read(look)
        return await self._write(work, durable=False) if found is None else found

    @asynccontextmanager
    async def _sqlite_connection(self) -> AsyncGenerator[AsyncConnection, None]:
        async with self.opened.engine.connect() as connection:
            if not self.opened.is_ours:
                # Somebody else's connections: what they are set to is looked after each time.
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                for pragma in pragmas(self._synchronous):
                    await connection.exec_driver_sql(pragma)
            await self.opened.file.check_connection(connection)
            yield connection


def failure(exc: Exception) -> JournalError:
    """Say what the database said, without the statement, its values and a link."""
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    words = cause.args[0] if isinstance(cause, SQLAlchemyError) and cause.args else cause
    return JournalError(f"the journal failed ({type(cause).__name__}: {words})", permanent=True)

"""How does a command reach the API and the journal? One loop, opened and closed round it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from clicksend_reseller import AsyncResellerClient, CallEvent
from clicksend_reseller.cli.limiting import PerMinute
from clicksend_reseller.cli.options import Everywhere
from clicksend_reseller.cli.place import Place, find_place
from clicksend_reseller.cli.statuses import EndedError, Status
from clicksend_reseller.cli.voice import Voice

if TYPE_CHECKING:
    from clicksend_reseller.sandbox import Sandbox

T = TypeVar("T")

__all__ = ["CONCURRENCY", "TIMEOUT", "Session"]

CONCURRENCY = 4
TIMEOUT = 20.0
_DEADLINE = 120.0


class Session:
    """One run of a command.

    Steps run on one event loop with `run`; between them, outside the loop, a person can be asked.

    Args:
        options: of every command.

    Attributes:
        place: which API and which journal.
        voice: speaks on stderr.
        under_way: transfers that were begun and have not ended.
    """

    def __init__(self, options: Everywhere) -> None:
        self.options = options
        self.voice = Voice(quiet=options.quiet, verbose=options.verbose)
        self.place: Place = find_place(options)
        self.under_way = 0
        self._limit = _checked(options.limit_per_minute)
        self._runner = asyncio.Runner()
        self._client: AsyncResellerClient | None = None
        self._folder: Path | None = None
        self._world: Sandbox | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._runner.run(self._close())
        finally:
            self._runner.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run one step; Ctrl-C cancels it and raises KeyboardInterrupt."""
        return self._runner.run(step)

    @property
    def concurrency(self) -> int:
        """How many transfers at once: never more than may start in a minute."""
        return min(CONCURRENCY, self._limit or CONCURRENCY)

    @property
    def client(self) -> AsyncResellerClient:
        """The client, made when it is first asked for.

        Raises:
            EndedError: there are no credentials.
        """
        if self._client is None:
            self._client = self._made()
        return self._client

    def _made(self) -> AsyncResellerClient:
        if self.place.in_process:
            return self._in_process()
        missing = [
            name
            for name, value in (
                ("CLICKSEND_USERNAME", self.place.username),
                ("CLICKSEND_API_KEY", self.place.api_key),
            )
            if value is None
        ]
        if missing:
            raise EndedError(
                Status.CREDENTIALS,
                f"no credentials: set {' and '.join(missing)}, or rehearse with --sandbox",
            )
        return AsyncResellerClient(
            self.place.username,
            self.place.api_key,
            base_url=self.place.base_url,
            timeout=TIMEOUT,
            deadline=_DEADLINE * (2 if self._limit else 1),
            limiter=PerMinute(self._limit) if self._limit else None,
            observer=self._observe,
        )

    def _in_process(self) -> AsyncResellerClient:
        return self.world.client(
            timeout=TIMEOUT,
            limiter=PerMinute(self._limit) if self._limit else None,
            observer=self._observe,
        )

    @property
    def world(self) -> Sandbox:
        """The sandbox of a rehearsal."""
        if self._world is None:
            from clicksend_reseller.sandbox import Sandbox  # noqa: PLC0415 - for rehearsals only

            self._world = Sandbox()
        return self._world

    def _temporary_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="clicksend-reseller-"))
        return self._folder

    def _observe(self, event: CallEvent) -> None:
        if event.operation == "transfer_credit":
            self.under_way += {"started": 1, "finished": -1}.get(event.kind, 0)

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _checked(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise EndedError(Status.USAGE, f"--limit-per-minute must be 1 or more, not {limit}")
    return limit

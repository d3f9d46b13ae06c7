"""One run of a command: its loop, its clients and its journal, opened and closed round it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Coroutine
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar

import attrs

from clicksend_reseller import CallEvent, Outcome, Transfer
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import GlobalOptions, PaymentOptions
from clicksend_reseller.cli.output.console import CommandConsole
from clicksend_reseller.cli.session.interrupts import Interrupts
from clicksend_reseller.cli.session.journal_file import Kept, in_file, is_new, open_journal
from clicksend_reseller.cli.session.limiting import PerMinute
from clicksend_reseller.cli.session.target import Target, find_target

if TYPE_CHECKING:
    from clicksend_reseller import AsyncResellerClient
    from clicksend_reseller.journal import SQLJournal
    from clicksend_reseller.sandbox import Sandbox

T = TypeVar("T")


CONCURRENCY = 4
TIMEOUT = 20.0
_DEADLINE = 120.0
GRACE = 5.0
_RICHLY = 10  # units of the own currency that one of any other may cost


class Session:
    """One run of a command.

    Steps run on one event loop with `run`; between them, outside the loop, a person can be asked.

    Args:
        options: of every command.
        journaled: it may send transfers, so whether the journal is new is looked at first.

    Attributes:
        place: which API and which journal.
        console: speaks on stderr.
        under_way: transfers that were begun and have not ended.
        made_up: the clients of a rehearsal that exist nowhere else.
    """

    def __init__(self, options: GlobalOptions, *, journaled: bool = False) -> None:
        self.options = options
        self._journaled = journaled
        self._journal: SQLJournal | None = None
        self._copy: SQLJournal | None = None
        self.console: CommandConsole = CommandConsole(quiet=options.quiet, verbose=options.verbose)
        self.place: Target = find_target(options)
        self.under_way: int = 0
        self.made_up: frozenset[int] = frozenset()
        self._limit = _checked(options.limit_per_minute)
        self._limiter = PerMinute(self._limit) if self._limit else None
        self._runner = asyncio.Runner()
        self._client: AsyncResellerClient | None = None
        self._payer: AsyncResellerClient | None = None
        self._folder: Path | None = None
        self._last_outcome: Outcome | None = None
        self._rests_until = 0.0  # while a call waits to be repeated
        self._world: Sandbox | None = None

    def __enter__(self) -> Self:
        kept = self.place.journal
        if self._journaled and kept is not None:
            self.place = attrs.evolve(self.place, is_new_journal=self.run(is_new(kept)))
        return self

    def __exit__(self, _type: object, exc: BaseException | None, _traceback: object) -> None:
        try:
            if not (isinstance(exc, CommandError) and exc.at_once):
                self._runner.run(self._close())
                self._runner.close()
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run one step; Ctrl-C cancels it and raises KeyboardInterrupt."""
        return self._runner.run(step)

    def ask(self, step: Coroutine[Any, Any, T]) -> T:
        """Run a step that reads, and say meanwhile that an answer is awaited."""
        with self.console.waiting("waiting for the answer"):
            return self.run(step)

    def interrupts(self) -> Interrupts:
        """Count the signals that ask to stop, while steps run in its context."""
        return Interrupts(self._runner.get_loop())

    def write(
        self, call: Coroutine[Any, Any, T], *, hint: str = "look before you repeat it"
    ) -> tuple[T, Status]:
        """Make one call that changes something, and stay with it through a Ctrl-C.

        Args:
            call: of the client.
            hint: what to do where its answer was not waited for.

        Returns:
            What it gave, and INTERRUPTED where Ctrl-C came meanwhile, else DONE.

        Raises:
            CommandError: interrupted before it left, or before its answer came.
        """
        waiting = self.console.waiting(f"waiting for the answer, at most {TIMEOUT:g} s")
        with self.interrupts() as interrupts, waiting:
            result = self.run(self.patiently(call, interrupts))
        if result is None:
            raise CommandError(
                Status.UNKNOWN,
                f"interrupted before the answer came: it may have been applied; {hint}",
                at_once=True,
            )
        return result, Status.INTERRUPTED if interrupts.once.is_set() else Status.DONE

    async def patiently(self, call: Coroutine[Any, Any, T], interrupts: Interrupts) -> T | None:
        """Wait for a call through the first Ctrl-C; None where its answer was not waited for.

        Raises:
            CommandError: it was between two attempts, so nothing of it is on the way.
        """
        task = asyncio.ensure_future(call)
        if await _ends_before(task, interrupts.once):
            return task.result()
        if monotonic() < self._rests_until:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                return task.result()
            if self._last_outcome is Outcome.NOT_SENT:
                raise CommandError(Status.INTERRUPTED, "interrupted: nothing was sent")
            return None
        self.console.warn(
            f"waiting for 1 answer, at most {TIMEOUT:g} s; Ctrl-C again stops at once"
        )
        ended = await _ends_before(task, interrupts.twice, seconds=TIMEOUT + GRACE)
        return task.result() if ended else None

    @property
    def concurrency(self) -> int:
        """How many transfers at once: never more than may start in a minute."""
        return min(CONCURRENCY, self._limit or CONCURRENCY)

    @property
    def client(self) -> AsyncResellerClient:
        """The client that reads, made when it is first asked for.

        Raises:
            CommandError: there are no credentials.
        """
        if self._client is None:
            self._client = self._made(None)
        return self._client

    @property
    def payer(self) -> AsyncResellerClient:
        """The client that sends transfers through the journal, which is made with it.

        Raises:
            CommandError: there are no credentials, or the journal cannot be made.
        """
        if self._payer is None:
            self._payer = self._made(self.journal)
        return self._payer

    def _made(self, journal: SQLJournal | None) -> AsyncResellerClient:
        if self.place.in_process:
            return self.world.client(
                journal=journal, timeout=TIMEOUT, limiter=self._limiter, observer=self._observe
            )
        self._check_credentials()
        from clicksend_reseller import AsyncResellerClient  # noqa: PLC0415 - an HTTP library, which help does not need

        return AsyncResellerClient(
            self.place.username,
            self.place.api_key,
            base_url=self.place.base_url,
            journal=journal,
            timeout=TIMEOUT,
            deadline=_DEADLINE * (2 if self._limit else 1),
            limiter=self._limiter,
            observer=self._observe,
        )

    def _check_credentials(self) -> None:
        if self.place.refusal is not None:
            raise CommandError(
                self.place.refusal,
                f"{self.place.doubt}: nothing was sent. Serve one with `clicksend-reseller "
                "sandbox`, and take its credentials from `--env`",
            )
        if missing := self.place.missing:
            raise CommandError(
                Status.CREDENTIALS,
                f"no credentials: set {' and '.join(missing)}, or rehearse with --sandbox",
            )

    @property
    def world(self) -> Sandbox:
        """The sandbox of a rehearsal."""
        if self._world is None:
            from clicksend_reseller.sandbox import Sandbox  # noqa: PLC0415 - for rehearsals only

            self._world = Sandbox()
        return self._world

    def make_up(self, transfers: Collection[Transfer]) -> None:
        """Let the clients of a list into the world of a rehearsal, and credit for all of it."""
        if not self.place.in_process:
            return
        from clicksend_reseller.sandbox import Sandbox  # noqa: PLC0415 - for rehearsals only

        total = sum(abs(transfer.amount) for transfer in transfers)
        world = self._world = Sandbox(credit=1000 + _RICHLY * total)
        strangers = {
            transfer.client_user_id: transfer.currency
            for transfer in transfers
            if transfer.client_user_id not in world.state.clients
        }
        for user_id, currency in strangers.items():
            with contextlib.suppress(ValueError):  # a currency whose rate nobody knows
                world.add_account(user_id=user_id, username=f"client-{user_id}", currency=currency)
        self.made_up = frozenset(strangers)

    @property
    def journal(self) -> SQLJournal:
        """The journal, made when it is first asked for; its file is its owner's alone.

        Raises:
            CommandError: it cannot be made.
        """
        if self._journal is None:
            self._journal = open_journal(self.place.journal or self._temporary_journal())
        return self._journal

    def check_journal(self, moving: PaymentOptions) -> None:
        """Refuse to pay unasked under a journal that does not exist yet, unless that is meant.

        Another home, another folder or a mistyped path makes a journal that knows of no payment.
        With `--sandbox` that is no harm; where the environment leads to a sandbox it counts, so
        that a job behaves in its rehearsal as it will.

        Raises:
            CommandError: it does not exist yet, `--yes` was given and `--new-journal` was not.
        """
        is_rehearsal = moving.dry_run or self.options.sandbox is not None
        if not moving.yes or is_rehearsal or not self.place.is_new_journal:
            return
        if not moving.new_journal:
            raise CommandError(
                Status.USAGE,
                f"the journal {self.place.journal_shown} does not exist yet, so it does not know "
                "what was paid before: name the right one with --journal or CLICKSEND_JOURNAL, or "
                "say --new-journal if a new one is meant; nothing was sent",
            )
        self.run(self.journal.__aenter__())  # made now, also where nothing is to be paid today

    @property
    def on_record(self) -> SQLJournal | None:
        """The journal to read; None where there is none yet, and reading is to make none."""
        is_empty = self.place.in_process or self.place.is_new_journal
        return self._journal if is_empty else self.journal

    @property
    def readable(self) -> SQLJournal:
        """The journal, only to be read; on a read-only volume a copy of it.

        Raises:
            CommandError: it cannot be opened.
        """
        file = self.place.journal_file
        if file is None or os.access(file, os.W_OK):
            return self.journal
        if self._copy is None:
            self._copy = open_journal(in_file(self._copied(file)))
        return self._copy

    def _copied(self, file: Path) -> Path:
        """Copy what SQLite can only read where it may write beside it."""
        folder = self._temporary_folder()
        try:
            for each in (file, file.with_name(f"{file.name}-wal")):
                if each.exists():
                    shutil.copyfile(each, folder / each.name)
        except OSError as exc:
            fault = f"the journal {file} cannot be read ({exc.strerror})"
            raise CommandError(Status.FAILED, fault) from None
        return folder / file.name

    @property
    def has_journal(self) -> bool:
        """There is something to read, or there may be."""
        file = self.place.journal_file
        return not self.place.in_process and (file is None or file.exists())

    def _temporary_journal(self) -> Kept:
        if self.options.journal is not None or os.environ.get("CLICKSEND_JOURNAL"):
            self.console.note("a rehearsal: its journal is a temporary one")
        return in_file(self._temporary_folder() / "journal.db")

    def _temporary_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="clicksend-reseller-"))
        return self._folder

    def _observe(self, event: CallEvent) -> None:
        if event.operation == "transfer_credit":
            self.under_way += {"started": 1, "finished": -1}.get(event.kind, 0)
        self._last_outcome = event.outcome
        self._rests_until = monotonic() + event.seconds if event.kind == "waiting" else 0.0

    async def _close(self) -> None:
        for client in (self._client, self._payer):
            if client is not None:
                await client.aclose()
        for journal in (self._journal, self._copy):
            if journal is not None:
                await journal.aclose()


async def _ends_before(
    task: asyncio.Task[Any], asked: asyncio.Event, *, seconds: float | None = None
) -> bool:
    waiting = asyncio.ensure_future(asked.wait())
    await asyncio.wait({task, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return task.done()


def _checked(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise CommandError(Status.USAGE, f"--limit-per-minute must be 1 or more, not {limit}")
    return limit

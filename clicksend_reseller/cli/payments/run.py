"""A list while it is being paid: rows end, Ctrl-C comes, and nothing is left uncounted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

import attrs

from clicksend_reseller import (
    AuthenticationError,
    JournalEntry,
    PermissionDeniedError,
    ResellerError,
    TransferState,
)
from clicksend_reseller.cli.exit_status import Status
from clicksend_reseller.cli.output.console import Steps, printable
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.payments.list_run import ListRun
from clicksend_reseller.cli.payments.on_record import OPEN, entries_of
from clicksend_reseller.cli.payments.rows import Payment, summary
from clicksend_reseller.cli.session.interrupts import Interrupts
from clicksend_reseller.cli.session.next_steps import again, command
from clicksend_reseller.cli.session.session import GRACE, TIMEOUT, Session
from clicksend_reseller.journal import BatchReport, TransferResult, TransferStatus

if TYPE_CHECKING:
    from clicksend_reseller.journal import Batch

_REFUSED = frozenset({TransferState.REJECTED, TransferState.REFUTED})
_LOOK_AGAIN = 0.5  # seconds between two looks at rows that another run is sending
_WRITING_DOWN = 1.0  # seconds for rows that were stopped on their way
_LAST_LOOK = 5.0  # seconds for the journal, where nobody wants to wait


class Paying(ListRun):
    """A list that is being paid.

    Args:
        session: with a journal.
        output: one row for each transfer.
        due: the rows to pay.
        settled: those that the journal has an answer for.
        renew_rejected: also pay rows that were refused before.
    """

    def __init__(
        self,
        session: Session,
        output: Output,
        *,
        due: Sequence[Payment],
        settled: Sequence[Payment],
        renew_rejected: bool,
    ) -> None:
        self._report = BatchReport(total=len(due) + len(settled))
        super().__init__(session, output, self._report.counts, self._report.total)
        self._due = due
        self._settled = settled
        self._renew_rejected = renew_rejected
        self._elsewhere: dict[str, Payment] = {}
        self._left: dict[str, Payment] = {}
        self._refuted: list[str] = []
        self._is_still = True
        self._fault: Exception | None = None
        self._batch: Batch | None = None

    def _work(self, interrupts: Interrupts) -> None:
        for row in self._settled:
            if row.entry is not None and row.entry.state is TransferState.SENT:
                self._elsewhere[row.key] = row
            else:
                self._write(row)
        if not self._due and not self._elsewhere:
            return
        with self._output.counting(self._console, "transfers", len(self._due)) as steps:
            try:
                self._session.run(self._send(interrupts, steps))
            except Exception as exc:  # noqa: BLE001 - money may have moved: count first, then say it
                self._fault = exc
        if self._is_cut or self._fault is not None:
            self._session.run(self._account_for_the_rest())

    async def _send(self, interrupts: Interrupts, steps: Steps) -> None:
        from clicksend_reseller.journal import transfer_many  # noqa: PLC0415 - an HTTP library, which help does not need

        self._left = {row.key: row for row in self._due}
        self._batch = transfer_many(
            self._session.payer,
            [row.transfer for row in self._due],
            concurrency=self._session.concurrency,
            renew_rejected=self._renew_rejected,
        )
        watching = asyncio.ensure_future(self._stop_when_asked(self._batch, interrupts))
        try:
            await self._walk(self._batch, interrupts, steps)
            if not self._is_cut:
                await self._wait_for_others(interrupts)
        finally:
            watching.cancel()
            if not self._is_cut:
                await self._batch.aclose()

    async def _walk(self, batch: Batch, interrupts: Interrupts, steps: Steps) -> None:
        cut = asyncio.ensure_future(self._patience_ends(interrupts))
        try:
            while True:
                result = asyncio.ensure_future(_next(batch))
                await asyncio.wait({result, cut}, return_when=asyncio.FIRST_COMPLETED)
                if not result.done():
                    self._is_cut = True
                    await self._cut_off(result)
                    return
                if (row := result.result()) is None:
                    return
                self._ended(row)
                steps.step()
        finally:
            cut.cancel()

    async def _cut_off(self, waiting: asyncio.Future[TransferResult | None]) -> None:
        """Stop the rows: what has not left does not leave any more, what has left is unknown."""
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=_LAST_LOOK)
        self._is_still = waiting.done()
        # Those that are stopped write that down; nobody waits for those that have left.
        closing = asyncio.ensure_future(self._session.payer.aclose())
        await asyncio.wait({closing}, timeout=_WRITING_DOWN)
        if self._is_still and not waiting.cancelled() and (row := waiting.result()):
            self._ended(row)

    def _ended(self, result: TransferResult) -> None:
        row = self._left.pop(result.transfer.idempotency_key).ended(result)
        if _was_taken(result):
            self._elsewhere[row.key] = row
        else:
            self._write(row)

    def _write(self, row: Payment) -> None:
        """Count a row and show it."""
        if row.entry is not None and row.entry.state is TransferState.REFUTED:
            self._refuted.append(row.key)
        status = TransferStatus(row.status)
        self._report.add(TransferResult(transfer=row.transfer, status=status))
        self._output.row(row.record)

    # --- rows that another run of this command has taken

    async def _wait_for_others(self, interrupts: Interrupts) -> None:
        """Look until another run has its answers; a row that was cut off has none."""
        entries: Mapping[str, JournalEntry] = {}
        has_said = False
        # The other run's clock may be ahead of ours, and its rows seem to be of tomorrow.
        ends_at = monotonic() + TIMEOUT + GRACE
        while self._elsewhere:
            entries = await entries_of(self._session.journal, set(self._elsewhere))
            alive = sum(map(_may_be_alive, entries.values()))
            if not alive or interrupts.once.is_set() or monotonic() >= ends_at:
                break
            if not has_said:
                has_said = True
                self._console.note(
                    f"another run sends {alive} of these, or did when it ended: "
                    f"waiting at most {TIMEOUT + GRACE:g} s for its answers"
                )
            await _rest(_LOOK_AGAIN)
        for key, row in self._elsewhere.items():
            entry = entries.get(key)
            if entry is None or entry.state is TransferState.INTENDED:
                self._write(attrs.evolve(row, status="not_sent", entry=None, balance=None))
            else:
                self._write(row.on_record(entry))
        self._elsewhere.clear()

    # --- Ctrl-C

    async def _stop_when_asked(self, batch: Batch, interrupts: Interrupts) -> None:
        await interrupts.once.wait()
        batch.stop()
        if number := self._session.under_way:
            answers = "1 answer" if number == 1 else f"{number} answers"
            self._console.warn(
                f"waiting for {answers}, at most {TIMEOUT:g} s; Ctrl-C again stops at once"
            )

    async def _patience_ends(self, interrupts: Interrupts) -> None:
        await interrupts.once.wait()
        try:
            async with asyncio.timeout(TIMEOUT + GRACE):
                await interrupts.twice.wait()
        except TimeoutError:
            return

    async def _account_for_the_rest(self) -> None:
        """Name the rows that may have left and whose answer nobody waits for."""
        self._left.update(self._elsewhere)
        entries = await self._last_look()
        for key, row in self._left.items():
            entry = entries.get(key) if entries is not None else None
            if entries is None or (entry is not None and entry.state in OPEN):
                reason = "interrupted before the answer came"
                self._write(attrs.evolve(row, status="unknown", entry=None, reason=reason))
            elif entry is not None and entry.state is TransferState.CONFIRMED:
                self._write(attrs.evolve(row.on_record(entry), status="paid"))
            elif entry is not None and entry.state in _REFUSED and not self._renew_rejected:
                self._write(row.on_record(entry))

    async def _last_look(self) -> Mapping[str, JournalEntry] | None:
        """Read the rows that are left; None where they may still change, or nobody can tell."""
        if self._is_still:
            with contextlib.suppress(TimeoutError, ResellerError):
                async with asyncio.timeout(_LAST_LOOK):
                    return await entries_of(self._session.journal, set(self._left))
        self._console.warn("the journal does not answer: all rows left may be unknown")
        return None

    # --- the end

    def _sum_up(self) -> None:
        report, console = self._report, self._console
        sent = self._batch.report if self._batch else BatchReport()
        if sent.stopped_because and not self._is_interrupted:
            console.warn(f"ended early: {sent.stopped_because}")
        if isinstance(sent.stopped_by, AuthenticationError | PermissionDeniedError):
            self._faults.append(Status.CREDENTIALS)
        if self._fault is not None:
            self._faults.append(Status.FAILED)
            console.error(printable(f"{type(self._fault).__name__}: {self._fault}"))
        words = summary(report.counts, left=self._untried, sums=report.sums)
        say = console.warn if report.counts["unknown"] else console.note
        say(f"{report.total} rows: {words}" if words else "nothing to do")
        for line in self._next_steps():
            console.note(line)

    def _next_steps(self) -> list[str]:
        counts = self._report.counts
        if self._session.place.in_process:
            return []
        steps: list[str] = []
        if counts["unknown"]:
            look = command(self._session.options, "journal", "list", "--unresolved")
            steps.append(f"look at the unknown ones: {look}")
        if self._refuted:
            renew = command(self._session.options, "journal", "renew", self._refuted[0])
            steps.append(f"found not applied, to be paid after: {renew}")
        if counts["rejected"] > len(self._refuted):
            steps.append(f"to pay the refused ones too: {again('--renew-rejected')}")
        elif counts["not_sent"] or self._untried:
            steps.append(f"to go on: {again()}")
        return steps


async def _rest(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _next(batch: Batch) -> TransferResult | None:
    return await anext(batch, None)


def _was_taken(result: TransferResult) -> bool:
    """Return True if the row was somebody else's before this run could send it."""
    if result.status is TransferStatus.ELSEWHERE:
        return True
    error = result.error
    return result.status is TransferStatus.UNKNOWN and error is not None and not error.attempts


def _may_be_alive(entry: JournalEntry) -> bool:
    if entry.state is not TransferState.SENT or entry.sent_at is None:
        return False
    return (datetime.now(UTC) - entry.sent_at).total_seconds() < TIMEOUT + GRACE

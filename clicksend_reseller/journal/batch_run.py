"""The rows of one batch: recorded, sent one after another, and counted."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from operator import attrgetter
from typing import Any, Protocol, cast, runtime_checkable

import attrs

from clicksend_reseller import (
    AsyncResellerClient,
    AuthenticationError,
    ClientStateError,
    InsufficientCreditError,
    JournalEntry,
    JournalError,
    KeyReusedError,
    Outcome,
    PermissionDeniedError,
    ResellerError,
    Transfer,
    TransferJournal,
    TransferReceipt,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller._wire.keys import key_in, normalized
from clicksend_reseller.journal.report import BatchReport, TransferResult, TransferStatus
from clicksend_reseller.journal.validation import fault_of

CHUNK = 500

_values = attrgetter("client_user_id", "amount", "currency")

# The next row would fail in the same way.
_ENDS_BATCH = (AuthenticationError, PermissionDeniedError, InsufficientCreditError)


@runtime_checkable
class _BulkJournal(Protocol):
    async def intend_all(
        self, transfers: Iterable[Transfer], *, realm: str
    ) -> list[JournalEntry]: ...


@runtime_checkable
class RenewableJournal(Protocol):
    """A journal that opens another round of a key, if nobody has decided meanwhile."""

    async def renew(self, key: str, *, by: str, note: str, seen: JournalEntry | None = None) -> int:
        """Open the next round and give its number."""
        ...


@attrs.frozen
class _Row:
    """One row, and what the journal had on record for it."""

    transfer: Transfer
    entry: JournalEntry
    matches_record: bool

    @property
    def state(self) -> TransferState:
        """The state of its newest round when the batch began."""
        return self.entry.state


@attrs.define(kw_only=True, eq=False)
class BatchRun:
    """The rows of one batch and where they are."""

    client: AsyncResellerClient
    journal: TransferJournal
    given: list[Transfer] | AsyncIterable[Transfer]
    concurrency: int
    renew_rejected: bool
    max_unknown: int
    report: BatchReport = attrs.field(factory=BatchReport)
    _ready: deque[_Row] = attrs.field(factory=deque[_Row])
    _waiting: dict[int, deque[_Row]] = attrs.field(factory=dict[int, deque[_Row]])
    _running: dict[asyncio.Task[TransferResult], int] = attrs.field(
        factory=dict[asyncio.Task[TransferResult], int]
    )
    _unknown_in_a_row: int = 0

    async def results(self) -> AsyncGenerator[TransferResult, None]:
        """Record all, then send row after row as results are asked for."""
        await self._record()
        try:
            while self._fill():
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                for result in self._collect():
                    yield result
        except asyncio.CancelledError:
            for task in self._running:
                task.cancel()
            raise
        finally:
            self._ready.clear()
            self._waiting.clear()
            await self._drain()

    def end_early(self, why: str, error: ResellerError | None = None) -> None:
        """Start no more rows."""
        if not self.report.stopped_because:
            self.report.stopped_because, self.report.stopped_by = why, error

    # --- before anything is sent

    async def _record(self) -> None:
        given = self.given
        if not isinstance(given, list):
            given = check_transfers([transfer async for transfer in given])
        self.report.total = len(given)
        self.given = []
        for first in range(0, len(given), CHUNK):
            chunk = given[first : first + CHUNK]
            entries = await self._intend(chunk)
            self._ready.extend(map(self._row, chunk, entries))

    async def _intend(self, chunk: list[Transfer]) -> list[JournalEntry]:
        journal, realm = self.journal, self.client.realm
        if isinstance(journal, _BulkJournal):
            return await journal.intend_all(chunk, realm=realm)
        return [await self._intend_one(transfer) for transfer in chunk]

    async def _intend_one(self, given: Transfer) -> JournalEntry:
        key = await key_in(self.journal, given.idempotency_key)
        transfer = attrs.evolve(given, idempotency_key=key)
        return await self.journal.intend(transfer, realm=self.client.realm)

    def _row(self, transfer: Transfer, entry: JournalEntry) -> _Row:
        matches_record = _values(entry) == _values(transfer) and entry.realm == self.client.realm
        return _Row(transfer, entry, matches_record)

    # --- which row is next

    def _fill(self) -> bool:
        """Start as many rows as may run at once; return True if any runs."""
        while len(self._running) < self.concurrency and not self.report.stopped_because:
            row = self._next_row()
            if row is None:
                break
            task = asyncio.ensure_future(self._pay(row))
            self._running[task] = row.transfer.client_user_id
        return bool(self._running)

    def _next_row(self) -> _Row | None:
        busy = self._running.values()
        while self._ready:
            row = self._ready.popleft()
            client = row.transfer.client_user_id
            if client not in busy:
                return row
            self._waiting.setdefault(client, deque()).append(row)
        return None

    def _collect(self) -> list[TransferResult]:
        done = [task for task in self._running if task.done()]
        results: list[TransferResult] = []
        for task in done:
            client = self._running.pop(task)
            if waiting := self._waiting.get(client):
                self._ready.appendleft(waiting.popleft())
            result = task.result()
            self._count(result)
            results.append(result)
        return results

    async def _drain(self) -> None:
        while self._running:
            try:
                await asyncio.wait(self._running)
            except asyncio.CancelledError:
                for task in self._running:
                    task.cancel()
                raise
            for task in [*self._running]:
                del self._running[task]
                if not task.cancelled() and task.exception() is None:
                    self._count(task.result())

    # --- one row

    async def _pay(self, row: _Row) -> TransferResult:
        transfer = row.transfer
        if row.matches_record and row.state is TransferState.CONFIRMED:
            return _paid(transfer, TransferReceipt(**attrs.asdict(transfer), replayed=True))
        if self.renew_rejected and row.matches_record and row.state is TransferState.REJECTED:
            await self._renew(row.entry)
        try:
            receipt = await self.client.transfer_credit(
                transfer.client_user_id,
                transfer.amount,
                transfer.currency,
                idempotency_key=transfer.idempotency_key,
            )
        except ResellerError as error:
            status = _status(error, row.state)
            return TransferResult(transfer=transfer, status=status, error=error)
        except asyncio.CancelledError:
            # What had left goes on without us, and is settled before the client is closed.
            self.report.add(TransferResult(transfer=transfer, status=TransferStatus.UNKNOWN))
            raise
        return _paid(transfer, receipt)

    async def _renew(self, seen: JournalEntry) -> None:
        try:
            await cast("RenewableJournal", self.journal).renew(
                seen.key, by="transfer_many", note="renew_rejected=True", seen=seen
            )
        except JournalError:
            return  # somebody else has decided: what is on record now counts

    def _count(self, result: TransferResult) -> None:
        self.report.add(result)
        error = result.error
        was_tried = error is None or error.attempts > 0
        if result.status is TransferStatus.UNKNOWN and was_tried:
            self._unknown_in_a_row += 1
        elif was_tried and result.status is not TransferStatus.ALREADY_PAID:
            self._unknown_in_a_row = 0
        if self._unknown_in_a_row >= self.max_unknown:
            self.end_early(f"{self._unknown_in_a_row} answers in a row were lost", error)
        elif isinstance(error, ClientStateError) or (was_tried and isinstance(error, _ENDS_BATCH)):
            self.end_early(error.message, error)


def check_transfers(transfers: list[Transfer]) -> list[Transfer]:
    """Refuse a list with all that is wrong in it, else give it back.

    Raises:
        ValueError: a row makes no sense, or a key comes twice.
    """
    faults = [
        f"row {n}: {fault}"
        for n, transfer in enumerate(transfers, 1)
        if (fault := _fault_of_row(transfer))
    ]
    given = (getattr(transfer, "idempotency_key", None) for transfer in transfers)
    keys = Counter(normalized(key) for key in given if isinstance(key, str))
    faults += [
        f"the key {key!r} comes {times} times: give each transfer its own"
        for key, times in keys.items()
        if times > 1
    ]
    if faults:
        raise ValueError("nothing was sent; " + "; ".join(faults))
    return transfers


def _fault_of_row(transfer: Any) -> str:  # noqa: ANN401 - whatever stands in a caller's list
    if not isinstance(transfer, Transfer):
        return f"it must be a Transfer, not {transfer!r:.80}"
    return fault_of(transfer)


def _paid(transfer: Transfer, receipt: TransferReceipt) -> TransferResult:
    status = TransferStatus.ALREADY_PAID if receipt.replayed else TransferStatus.PAID
    return TransferResult(transfer=transfer, status=status, receipt=receipt)


def _status(error: ResellerError, on_record: TransferState) -> TransferStatus:
    if error.outcome is Outcome.UNKNOWN:
        return TransferStatus.UNKNOWN
    if isinstance(error, UnsettledTransferError):
        return TransferStatus.ELSEWHERE
    if isinstance(error, KeyReusedError):
        return TransferStatus.NOT_SENT  # whatever became of the row that has the key
    if error.outcome is Outcome.REJECTED or error.needs_renewal:
        return TransferStatus.REJECTED
    if isinstance(error, JournalError) and on_record is TransferState.REJECTED:
        return TransferStatus.REJECTED
    return TransferStatus.NOT_SENT

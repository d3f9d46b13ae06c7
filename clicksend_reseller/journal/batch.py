"""Payment of a list, each row once; after a crash the same call goes on with it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable
from typing import Self

from clicksend_reseller import (
    AsyncResellerClient,
    ConfigurationError,
    Transfer,
    TransferJournal,
)
from clicksend_reseller.journal.batch_run import BatchRun, RenewableJournal, check_transfers
from clicksend_reseller.journal.report import BatchReport, TransferResult


def transfer_many(
    client: AsyncResellerClient,
    transfers: Iterable[Transfer] | AsyncIterable[Transfer],
    *,
    concurrency: int = 4,
    renew_rejected: bool = False,
    max_unknown: int = 3,
) -> Batch:
    """Pay a list, each key once. After a crash or an early end make the same call again.

    All rows are recorded before the first is sent. Two rows for one client are sent one after
    the other. The batch ends early where every further row would fail alike: the credentials or
    the permission are refused, the credit is used up, or too many answers in a row are lost.
    The rows that were not tried stay on record as intended.

    Args:
        client: with a journal.
        transfers: a list, or `journal.pending()` for what was put in by `intend()`.
        concurrency: rows under way at once; the client's own limit holds as well.
        renew_rejected: open another round for rows that were refused before this call; where
            somebody has decided about a row meanwhile, that counts. Rows of
            `pending()` that were refused are pending no more: find them with
            `entries(state="rejected")`, and `renew` puts them back.
        max_unknown: how many lost answers in a row end the batch.

    Returns:
        An async iterator of `TransferResult`, in the order in which they end; its `report` has
        counts and sums. Rows are started as you ask for results. After a `break`,
        `await batch.aclose()`, or `async with`, waits for what is in flight. Where the task is
        cancelled nobody waits: the report counts what was in flight as unknown, and the journal
        knows the truth once the client is closed.

    Raises:
        ConfigurationError: the client has no journal, or it cannot renew.
        JournalError: from the iteration: the rows could not be recorded; nothing was sent.
        ValueError: keys come twice or values make no sense, all of them listed; nothing was
            sent. From the iteration where the transfers come from an async iterator.
    """
    journal = client.journal
    if journal is None:
        raise ConfigurationError("transfer_many needs a client with a journal: pass journal=")
    if renew_rejected and not _renews(journal):
        raise ConfigurationError(
            f"renew_rejected needs a journal with renew(…, seen=), not {journal!r}"
        )
    _check_count("concurrency", concurrency)
    _check_count("max_unknown", max_unknown)
    given = transfers if isinstance(transfers, AsyncIterable) else check_transfers(list(transfers))
    return Batch(
        BatchRun(
            client=client,
            journal=journal,
            given=given,
            concurrency=concurrency,
            renew_rejected=renew_rejected,
            max_unknown=max_unknown,
        )
    )


class Batch:
    """A list on its way; made by `transfer_many` and walked over once.

    Attributes:
        report: what it adds up to, so far or at its end.
    """

    def __init__(self, run: BatchRun) -> None:
        self.report: BatchReport = run.report
        self._run = run
        self._results = run.results()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TransferResult:
        return await anext(self._results)

    def stop(self) -> None:
        """Start no more rows; the iteration ends with those that are in flight."""
        self._run.end_early("it was stopped")

    async def aclose(self) -> None:
        """Start no more rows, and wait for those that are in flight; the report counts them."""
        await self._results.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _renews(journal: TransferJournal) -> bool:
    """Return True if a journal renews what was seen; one that does not could override a person."""
    if not isinstance(journal, RenewableJournal):
        return False
    parameters = inspect.signature(journal.renew).parameters.values()
    return any(each.name == "seen" or each.kind is each.VAR_KEYWORD for each in parameters)


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an int of 1 or more, not {value!r}")

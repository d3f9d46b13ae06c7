"""The rows of a top-up: what `plan_top_ups` decides, with the journal's record of the batch."""

from __future__ import annotations

from decimal import Decimal

import attrs

from clicksend_reseller import Account, JournalEntry, JournalError, TransferState
from clicksend_reseller.cli.output.console import printable
from clicksend_reseller.cli.output.records import money
from clicksend_reseller.cli.payments.on_record import (
    MAY_HAVE_MOVED,
    OPEN,
    entries_where,
    transfer_of,
)
from clicksend_reseller.cli.payments.rows import Payment
from clicksend_reseller.cli.session.session import Session
from clicksend_reseller.journal import SkippedTopUp, TopUp, TopUpPlan, plan_top_ups

_PREFETCH = 4
_SIGNED = "top-up"


@attrs.frozen(kw_only=True)
class Proposal:
    """What a top-up comes to.

    Attributes:
        rows: to be paid, or on record for this batch.
        plan: the decision.
        skipped: the clients that are left out for a reason that is not the batch's own record.
        is_complete: the list stood still while it was read.
    """

    rows: list[Payment]
    plan: TopUpPlan
    skipped: list[SkippedTopUp]
    is_complete: bool

    async def put_on_record(self, session: Session) -> None:
        """Write down what is decided anew of rows that were never sent.

        A row that somebody else has taken meanwhile stays as it is, and nothing is paid for it
        with the values of this plan.
        """
        for skip in self.plan.skipped:
            if skip.is_withdrawn and skip.entry is not None:
                await _withdraw(session, skip, skip.entry)
        for row in self.plan.rows:
            if row.is_revised and row.entry is not None:
                await _revise(session, row, row.entry)


async def propose(
    session: Session, batch: str, *, below: Decimal, to: Decimal, currency: str | None
) -> Proposal:
    """Read all clients and the journal; nothing is sent or written.

    Args:
        session: with a journal.
        batch: begins each key; a second run under the same name pays nobody twice.
        below: as in `plan_top_ups`.
        to: as in `plan_top_ups`.
        currency: as in `plan_top_ups`.
    """
    realm = session.client.realm

    def counts(entry: JournalEntry) -> bool:
        is_open = entry.state in OPEN and entry.realm in {None, realm}
        return is_open or _is_of(batch, entry)

    on_record = await entries_where(session.on_record, counts)
    accounts: list[Account] = []
    async with session.client.iter_accounts(prefetch=_PREFETCH) as walk:
        with session.console.counting("accounts read") as steps:
            async for account in walk:
                steps.step()
                accounts.append(account)
        is_complete = walk.report.complete
    plan = plan_top_ups(
        accounts, below=below, to=to, currency=currency, on_record=on_record.values()
    )
    rows = [_row(batch, row) for row in plan.rows]
    skipped: list[SkippedTopUp] = []
    for skip in plan.skipped:
        is_low = skip.account.balance < below
        if skip.entry is not None and _is_answered(batch, skip.entry, is_low=is_low):
            rows.append(Payment(transfer=transfer_of(skip.entry), username=skip.account.username))
        elif is_low or skip.entry is None or _is_of(batch, skip.entry):
            skipped.append(skip)  # else it is well off, and another batch has a transfer open
    return Proposal(rows=rows, plan=plan, skipped=skipped, is_complete=is_complete)


def _is_of(batch: str, entry: JournalEntry) -> bool:
    return entry.key == f"{batch}/{entry.client_user_id}"


def _is_answered(batch: str, entry: JournalEntry, *, is_low: bool) -> bool:
    """Return True if the batch's own record is the reason, so that it stands among its rows."""
    is_refuted = entry.state is TransferState.REFUTED and is_low
    return _is_of(batch, entry) and (entry.state in MAY_HAVE_MOVED or is_refuted)


def _row(batch: str, row: TopUp) -> Payment:
    note = f"balance {money(row.account.balance)}"
    if row.entry is not None and not row.is_revised:
        note = "on record"
    return Payment(
        transfer=row.transfer(batch),
        username=row.account.username,
        note=note,
        replaces=row.entry if row.is_revised else None,
    )


async def _withdraw(session: Session, skip: SkippedTopUp, entry: JournalEntry) -> None:
    try:
        # Only what was seen: it may have been sent meanwhile, which is why the client is not low.
        await session.journal.resolve(entry.key, False, by=_SIGNED, note=skip.reason, seen=entry)  # noqa: FBT003 - a verdict reads as one
    except JournalError as error:
        session.console.warn(printable(f"{entry.key!r} could not be withdrawn: {error.message}"))


async def _revise(session: Session, row: TopUp, entry: JournalEntry) -> None:
    batch, _, _ = entry.key.rpartition("/")
    balance = money(row.account.balance)
    note = f"{row.amount} {row.currency} instead of {entry.amount} {entry.currency}: {balance} left"
    try:
        await session.journal.revise(row.transfer(batch), by=_SIGNED, note=note)
    except JournalError as error:
        session.console.warn(printable(f"{entry.key!r} stays as it is: {error.message}"))

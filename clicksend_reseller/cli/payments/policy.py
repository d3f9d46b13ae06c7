"""The clients below a line, as the library plans them, with what the journal says of the batch."""

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
from clicksend_reseller.cli.payments.topup_file import Row
from clicksend_reseller.cli.session.session import Session
from clicksend_reseller.journal import SkippedTopUp, TopUp, TopUpPlan, plan_top_ups

__all__ = ["Policy", "Proposal", "propose"]

_PREFETCH = 4
_SIGNED = "top-up"


@attrs.frozen(kw_only=True)
class Policy:
    """A line and a mark.

    Attributes:
        below: clients whose balance is less than this.
        to: are brought to at least this.
        batch: begins each key; a second run under the same name pays nobody twice.
        currency: only clients whose account is in it; None for all.
    """

    below: Decimal
    to: Decimal
    batch: str
    currency: str | None = None


@attrs.frozen(kw_only=True)
class Proposal:
    """What a policy comes to.

    Attributes:
        rows: to be paid, or on record for this batch.
        plan: the decision.
        skipped: the clients that are left out for a reason that is not the batch's own record.
        is_complete: the list stood still while it was read.
    """

    rows: list[Row]
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


async def propose(session: Session, policy: Policy) -> Proposal:
    """Read all clients and the journal; nothing is sent or written."""
    realm = session.client.realm

    def counts(entry: JournalEntry) -> bool:
        is_open = entry.state in OPEN and entry.realm in {None, realm}
        return is_open or _is_of(policy.batch, entry)

    on_record = await entries_where(session.on_record, counts)
    accounts: list[Account] = []
    async with session.client.iter_accounts(prefetch=_PREFETCH) as walk:
        with session.console.counting("accounts read") as steps:
            async for account in walk:
                steps.step()
                accounts.append(account)
        is_complete = walk.report.complete
    plan = plan_top_ups(
        accounts,
        below=policy.below,
        to=policy.to,
        currency=policy.currency,
        on_record=on_record.values(),
    )
    listed = [skip for skip in plan.skipped if _is_listed(policy, skip)]
    return Proposal(
        rows=[
            *(_row(policy.batch, row) for row in plan.rows),
            *(Row(transfer_of(skip.entry)) for skip in listed if skip.entry is not None),
        ],
        plan=plan,
        skipped=[skip for skip in plan.skipped if skip not in listed and _is_news(policy, skip)],
        is_complete=is_complete,
    )


def _is_of(batch: str, entry: JournalEntry) -> bool:
    return entry.key == f"{batch}/{entry.client_user_id}"


def _is_listed(policy: Policy, skip: SkippedTopUp) -> bool:
    """Return True if the batch's own record is the reason, so that it stands among its rows."""
    if skip.entry is None or not _is_of(policy.batch, skip.entry):
        return False
    is_low = skip.account.balance < policy.below
    return skip.entry.state in MAY_HAVE_MOVED or (
        skip.entry.state is TransferState.REFUTED and is_low
    )


def _is_news(policy: Policy, skip: SkippedTopUp) -> bool:
    """Leave out clients that are well off and have a transfer of another batch open."""
    is_elsewhere = skip.entry is not None and not _is_of(policy.batch, skip.entry)
    return not is_elsewhere or skip.account.balance < policy.below


def _row(batch: str, row: TopUp) -> Row:
    note = f"balance {money(row.account.balance)}"
    if row.entry is not None and not row.is_revised:
        note = "on record"
    return Row(row.transfer(batch), note=note, replaces=row.entry if row.is_revised else None)


async def _withdraw(session: Session, skip: SkippedTopUp, entry: JournalEntry) -> None:
    try:
        await session.journal.resolve(entry.key, False, by=_SIGNED, note=skip.reason)  # noqa: FBT003 - a verdict reads as one
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

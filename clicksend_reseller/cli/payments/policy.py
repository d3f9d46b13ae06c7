"""Who is topped up, and by how much? Clients below a line, in whole units of their own currency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

import attrs

from clicksend_reseller import Account, JournalEntry, Transfer, TransferState
from clicksend_reseller._wire.money import minus
from clicksend_reseller.cli.output.records import money
from clicksend_reseller.cli.payments.amounts import MAX_INT
from clicksend_reseller.cli.payments.on_record import entries_where, open_clients
from clicksend_reseller.cli.payments.topup_file import Row
from clicksend_reseller.cli.session.session import Session

__all__ = ["Policy", "Proposal", "propose"]

_PREFETCH = 4


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

    def amount_for(self, balance: Decimal) -> int:
        """Give whole units that bring a balance to the mark."""
        return math.ceil(minus(self.to, balance))

    def key_for(self, account: Account) -> str:
        """Give the key of a client's transfer in this batch."""
        return f"{self.batch}/{account.user_id}"


@attrs.define(kw_only=True)
class Proposal:
    """What a policy comes to.

    Attributes:
        rows: to be paid, or on record for this batch.
        skipped: clients below the line that are left out, and why.
        is_complete: the list stood still while it was read.
    """

    rows: list[Row] = attrs.field(factory=list[Row])
    skipped: list[tuple[Account, str]] = attrs.field(factory=list[tuple[Account, str]])
    is_complete: bool = True


async def propose(session: Session, policy: Policy) -> Proposal:
    """Read all clients and the journal; nothing is sent.

    A key that is on record keeps the amount on record: the balance has changed since, and
    another amount under the same key would be another transfer.
    """
    begins = f"{policy.batch}/"
    on_record = await entries_where(session.journal, lambda entry: entry.key.startswith(begins))
    busy = await open_clients(session.journal, session.client.realm)
    found = Proposal()
    async with session.client.iter_accounts(prefetch=_PREFETCH) as walk:
        with session.console.counting("accounts read") as steps:
            async for account in walk:
                steps.step()
                _consider(found, account, policy, on_record, busy)
        found.is_complete = walk.report.complete
    return found


def _consider(
    found: Proposal,
    account: Account,
    policy: Policy,
    on_record: Mapping[str, JournalEntry],
    busy: Mapping[int, str],
) -> None:
    key = policy.key_for(account)
    entry = on_record.get(key)
    if entry is None and account.balance >= policy.below:
        return
    is_open_work = entry is None or entry.state is TransferState.INTENDED
    if is_open_work and (why := _why_not(account, policy, busy, is_new=entry is None)):
        found.skipped.append((account, why))
    elif entry is not None:
        found.rows.append(_row(account, key, entry.amount, entry.currency, "on record"))
    else:
        amount, code = policy.amount_for(account.balance), account.currency_code or ""
        note = f"balance {money(account.balance)}"
        found.rows.append(_row(account, key, amount, code, note))


def _row(account: Account, key: str, amount: int, currency: str, note: str) -> Row:
    wanted = Transfer(
        idempotency_key=key, client_user_id=account.user_id, amount=amount, currency=currency
    )
    return Row(wanted, note=note)


def _why_not(account: Account, policy: Policy, busy: Mapping[int, str], *, is_new: bool) -> str:
    code = account.currency_code
    if account.banned:
        return "banned"
    if not account.active:
        return "inactive"
    if not is_new:
        return ""
    if code is None:
        return "its currency is unknown"
    if policy.currency not in {None, code}:
        return f"its currency is {code}"
    if account.auto_recharge:
        return "recharges by itself"
    if account.user_id in busy:
        return f"a transfer is open: {busy[account.user_id]!r}"
    if policy.amount_for(account.balance) > MAX_INT:
        return f"it would take more than {MAX_INT}"
    return ""

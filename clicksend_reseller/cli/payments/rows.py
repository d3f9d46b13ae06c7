"""A row of a list, from the file to the screen: it grows by what becomes known of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from clicksend_reseller import AccountFields, JournalEntry, Transfer, TransferState
from clicksend_reseller.cli.exit_status import Status, worst
from clicksend_reseller.cli.output.formats import Record
from clicksend_reseller.cli.output.records import moment, money
from clicksend_reseller.cli.payments.on_record import transfer_of
from clicksend_reseller.journal import TransferResult

_COLUMNS = ("client_user_id", "amount", "currency", "status", "balance", "key", "reason")
RESULT_COLUMNS = (*_COLUMNS, "username")
CREATED_COLUMNS = ("username", "result", "user_id", "reason")
DRAWN_COLUMNS = ("client_user_id", "username", *_COLUMNS[1:])

_WORDS = {
    TransferState.CONFIRMED: "already_paid",
    TransferState.SENT: "unknown",
    TransferState.UNKNOWN: "unknown",
    TransferState.INTENDED: "not_sent",
}

# How a row may end, in the order in which a summary names it.
_STATUSES = {
    "paid": Status.DONE,
    "already_paid": Status.DONE,
    "created": Status.DONE,
    "exists": Status.PARTLY,
    "refused": Status.PARTLY,
    "rejected": Status.PARTLY,
    "not_sent": Status.PARTLY,
    "not sent": Status.PARTLY,
    "unknown": Status.UNKNOWN,
}


@attrs.frozen(kw_only=True)
class Row:
    """What the rows of all lists have.

    Attributes:
        line: of the file; 0 where there is none.
        username: of the client, where it is known.
        status: what becomes of it.
        reason: why it is not done.
    """

    line: int = 0
    username: str = ""
    status: str = ""
    reason: str | None = None

    @property
    def record(self) -> Record:
        """The columns of the row."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class NewAccount(Row):
    """An account that is created from a file; its status is `trying` while it is under way."""

    fields: AccountFields
    user_id: int | None = None

    @property
    def record(self) -> Record:
        """The columns of the row; none of them is the password."""
        values = (self.username, self.status, self.user_id, self.reason or "")
        return dict(zip(CREATED_COLUMNS, values, strict=True))


@attrs.frozen(kw_only=True)
class Payment(Row):
    """One transfer; its status is `to_pay` before it is sent.

    Attributes:
        note: for whoever reads the plan.
        replaces: the round on record that was never sent and gives way to these values.
        remark: what a person should know of the client, whatever becomes of the row.
        entry: what the journal has on record, where that is the answer.
        balance: of the client afterwards.
    """

    transfer: Transfer
    note: str = ""
    replaces: JournalEntry | None = None
    remark: str = ""
    status: str = "to_pay"
    entry: JournalEntry | None = None
    balance: Decimal | None = None

    @property
    def key(self) -> str:
        """The transfer's idempotency key."""
        return self.transfer.idempotency_key

    def on_record(self, entry: JournalEntry) -> Payment:
        """Take over the journal's answer for a row that is not sent again, with its values.

        Another run of the batch may have revised the amount while this one was under way.
        """
        said = entry.response_msg or entry.note
        since = f"on record as {entry.state} since {moment(entry.settled_at or entry.sent_at)}"
        is_paid = entry.state is TransferState.CONFIRMED
        return attrs.evolve(
            self,
            transfer=transfer_of(entry),
            entry=entry,
            status=_WORDS.get(entry.state, "rejected"),
            balance=entry.balance_after,
            reason=None if is_paid else f"{since}: {said}" if said else since,
        )

    def ended(self, result: TransferResult) -> Payment:
        """Take over what became of the row in a batch."""
        account = result.receipt.account if result.receipt else None
        return attrs.evolve(
            self,
            status=result.status.value,
            username=account.username if account else self.username,
            balance=account.balance if account else None,
            reason=result.error.message if result.error else None,
        )

    @property
    def record(self) -> Record:
        """The columns of the row."""
        return {
            "client_user_id": self.transfer.client_user_id,
            "username": self.username or None,
            "amount": self.transfer.amount,
            "currency": self.transfer.currency,
            "status": self.status,
            "balance": money(self.balance),
            "key": self.key,
            "reason": "; ".join(filter(None, (self.reason, self.remark))) or None,
        }


def status_of_rows(counts: Mapping[str, int], *, left: int) -> Status:
    """Return the exit status that the ends of rows come to.

    Args:
        counts: rows by how they ended.
        left: rows that were not tried.
    """
    ends = [_STATUSES[word] for word, number in counts.items() if number]
    return worst([*ends, Status.PARTLY if left else Status.DONE])


def summary(
    counts: Mapping[str, int], *, left: int, sums: Mapping[str, Mapping[str, int]] | None = None
) -> str:
    """Count rows in words: "2 paid (24 AUD), 1 unknown (5 AUD), 3 not tried"."""
    words: list[str] = []
    for word in filter(counts.get, _STATUSES):
        amounts = ", ".join(
            f"{sum_} {code}" for code, sum_ in sorted((sums or {}).get(word, {}).items())
        )
        words.append(f"{counts[word]} {word.replace('_', ' ')}{f' ({amounts})' if amounts else ''}")
    if left:
        words.append(f"{left} not tried")
    return ", ".join(words)

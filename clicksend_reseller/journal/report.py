"""The report of a batch: a result for each row, and what they add up to."""

from __future__ import annotations

from enum import StrEnum

import attrs

from clicksend_reseller import ResellerError, Transfer, TransferReceipt

_REJECTED = (
    'entries(state="rejected") finds the rejected ones; renew(key) puts one back into its queue',
    "for a list, the same call with renew_rejected=True pays the rejected ones too",
)


class TransferStatus(StrEnum):
    """What became of one row.

    Attributes:
        PAID: now.
        ALREADY_PAID: before; nothing was sent now.
        REJECTED: the API said no, now or before, it was stopped after the claim before anything
            left, or a person withdrew or refuted it; `renew` opens another round.
        UNKNOWN: it may have been applied: a person must look.
        ELSEWHERE: somebody else is sending it, or another transfer to the client is open.
        NOT_SENT: nothing was sent; the same call again will try.
    """

    PAID = "paid"
    ALREADY_PAID = "already_paid"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    NOT_SENT = "not_sent"


@attrs.frozen(kw_only=True)
class TransferResult:
    """One row of a batch.

    Attributes:
        receipt: where it is paid.
        error: where it is not.
    """

    transfer: Transfer
    status: TransferStatus
    receipt: TransferReceipt | None = None
    error: ResellerError | None = None


@attrs.define(kw_only=True)
class BatchReport:
    """What a batch adds up to, so far or at its end.

    Attributes:
        total: rows given.
        counts: rows of each status.
        sums: amounts of each status by currency.
        stopped_by: the error that ended the batch before its end.
        stopped_because: why it ended early, in words; empty where it did not.
    """

    total: int = 0
    counts: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(map(str, TransferStatus), 0))
    sums: dict[str, dict[str, int]] = attrs.field(
        factory=lambda: {str(status): {} for status in TransferStatus}
    )
    stopped_by: ResellerError | None = None
    stopped_because: str = ""

    @property
    def remaining(self) -> int:
        """Rows that were not tried; they stay intended."""
        return self.total - sum(self.counts.values())

    @property
    def complete(self) -> bool:
        """Every row is paid."""
        paid = self.counts[TransferStatus.PAID] + self.counts[TransferStatus.ALREADY_PAID]
        return paid == self.total

    def add(self, result: TransferResult) -> None:
        """Count one row."""
        currency, sums = result.transfer.currency, self.sums[result.status]
        self.counts[result.status] += 1
        sums[currency] = sums.get(currency, 0) + result.transfer.amount

    def __str__(self) -> str:
        lines = [
            f"{self.counts[status]} {status.value.replace('_', ' ')}{self._amounts(status)}"
            for status in TransferStatus
            if self.counts[status]
        ]
        if self.remaining:
            lines.append(f"{self.remaining} not tried")
        if self.stopped_because:
            lines.append(f"ended early: {self.stopped_because}")
        if self.counts[TransferStatus.UNKNOWN]:
            lines.append("look at the unknown ones before anything else: do not send them again")
        if self.counts[TransferStatus.REJECTED]:
            lines += _REJECTED
        elif self.remaining or self.counts[TransferStatus.NOT_SENT]:
            lines.append("the same call again goes on")
        return "\n".join(lines or ["nothing to pay"])

    def _amounts(self, status: TransferStatus) -> str:
        sums = ", ".join(f"{sum_} {code}" for code, sum_ in sorted(self.sums[status].items()))
        return f" ({sums})" if sums else ""

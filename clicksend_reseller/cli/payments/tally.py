"""What does a list add up to? Counts and sums of each end, and the status they make."""

from __future__ import annotations

from collections import Counter, defaultdict

from clicksend_reseller import Transfer
from clicksend_reseller.cli.exit_status import Status, worst

__all__ = ["Tally"]

_STATUSES = {
    "paid": Status.DONE,
    "already_paid": Status.DONE,
    "rejected": Status.PARTLY,
    "not_sent": Status.PARTLY,
    "unknown": Status.UNKNOWN,
}


class Tally:
    """Counts rows.

    Args:
        total: how many there are.

    Attributes:
        counts: rows by how they ended.
    """

    def __init__(self, *, total: int) -> None:
        self.counts: Counter[str] = Counter()
        self._total = total
        self._sums: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, transfer: Transfer, word: str) -> None:
        """Count a row."""
        self.counts[word] += 1
        self._sums[word][transfer.currency] += transfer.amount

    @property
    def left(self) -> int:
        """Rows that were not tried."""
        return self._total - sum(self.counts.values())

    @property
    def status(self) -> Status:
        """What the rows make of the status."""
        ends = [_STATUSES[word] for word in self.counts]
        return worst([*ends, Status.PARTLY if self.left else Status.DONE])

    def __str__(self) -> str:
        words = [self._words(word) for word in _STATUSES if self.counts[word]]
        if self.left:
            words.append(f"{self.left} not tried")
        return f"{self._total} rows: {', '.join(words)}" if words else "nothing to do"

    def _words(self, word: str) -> str:
        sums = ", ".join(f"{sum_} {code}" for code, sum_ in sorted(self._sums[word].items()))
        return f"{self.counts[word]} {word.replace('_', ' ')} ({sums})"

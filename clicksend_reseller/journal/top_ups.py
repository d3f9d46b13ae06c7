"""The plan of a top-up: which clients are paid how much, and which are not, and why.

Pure: accounts and what is on record go in, rows come out. Nothing is read, sent or written.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import attrs

from clicksend_reseller import Account, JournalEntry, Transfer, TransferState
from clicksend_reseller._wire.limits import CURRENCY, MAX_INT
from clicksend_reseller._wire.money import minus
from clicksend_reseller.journal.states import OPEN

_DIGITS = 9  # of the largest amount, counted from 0


@attrs.frozen(kw_only=True)
class TopUp:
    """A client to pay.

    Attributes:
        account: the client, with the balance that the amount rests on.
        amount: whole units.
        currency: the client's own.
        entry: the round on record that this row goes on with; None where there is none.
    """

    account: Account
    amount: int
    currency: str
    entry: JournalEntry | None = None

    @property
    def is_revised(self) -> bool:
        """Return True if a round on record was not sent, has other values, and needs `revise`."""
        return self.entry is not None and (self.entry.amount, self.entry.currency) != (
            self.amount,
            self.currency,
        )

    def transfer(self, batch: str) -> Transfer:
        """Make the transfer; its key is the one on record, else `BATCH/client_user_id`.

        Args:
            batch: the same name means the same payment.
        """
        new = f"{batch}/{self.account.user_id}"
        return Transfer(
            idempotency_key=new if self.entry is None else self.entry.key,
            client_user_id=self.account.user_id,
            amount=self.amount,
            currency=self.currency,
        )


@attrs.frozen(kw_only=True)
class SkippedTopUp:
    """A client that is not paid though it is low, or is on record.

    Attributes:
        account: the client.
        reason: why, in words.
        entry: the round on record that decided, or that is not gone on with.
        is_withdrawn: that round was never sent and shall not be: `resolve` it with
            `applied=False, seen=entry`, or whoever finds it later pays it.
    """

    account: Account
    reason: str
    entry: JournalEntry | None = None
    is_withdrawn: bool = False


@attrs.frozen(kw_only=True)
class TopUpPlan:
    """What a top-up comes to, in the order of the accounts.

    Attributes:
        rows: to pay.
        skipped: not paid, with the reason of each.
    """

    rows: tuple[TopUp, ...]
    skipped: tuple[SkippedTopUp, ...]

    @property
    def sums(self) -> dict[str, int]:
        """What is to be paid, by currency."""
        sums: defaultdict[str, int] = defaultdict(int)
        for row in self.rows:
            sums[row.currency] += row.amount
        return dict(sums)

    def transfers(self, batch: str) -> list[Transfer]:
        """Make the transfers, for `transfer_many`.

        Args:
            batch: begins the key of each row that is not on record.
        """
        return [row.transfer(batch) for row in self.rows]


def plan_top_ups(
    accounts: Iterable[Account],
    *,
    below: Decimal | int,
    to: Decimal | int,
    currency: str | None = None,
    on_record: Iterable[JournalEntry] = (),
) -> TopUpPlan:
    """Decide who is topped up, and by how much: clients below a line, each in its own currency.

    A client gets `to - balance`, rounded up to whole units. It is skipped, with the reason, if it
    is banned or inactive, recharges by itself, has another or an unknown currency, or if a
    transfer to it is open. Balances and limits are compared exactly, whatever the caller's
    decimal context is.

    What is on record goes before: a round that was paid is not paid again; one that was refused
    keeps its amount; one that was never sent is computed anew against the balance of now, and
    withdrawn if the client is no longer below.

    Args:
        accounts: with the balances of now.
        below: clients whose balance is less than this.
        to: are brought to at least this.
        currency: only clients whose account is in it; None for all.
        on_record: rounds of the journal: those of this payment, and those that are open for any
            of the clients. The newest round of each key counts.

    Returns:
        The rows to pay and the clients that were skipped.

    Raises:
        TypeError: a limit is neither a Decimal nor an int.
        ValueError: a limit is not finite or too large, `to` is less than `below`, or the currency
            is not three capital letters.
    """
    policy = _Policy(below=_limit("below", below), to=_limit("to", to), currency=currency)
    known = _by_client(on_record)
    rows: list[TopUp] = []
    skipped: list[SkippedTopUp] = []
    for account in accounts:
        match policy.decide(account, known.get(account.user_id, ())):
            case TopUp() as row:
                rows.append(row)
            case SkippedTopUp() as skip:
                skipped.append(skip)
            case None:
                pass
    return TopUpPlan(rows=tuple(rows), skipped=tuple(skipped))


def _limit(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"{name} must be a Decimal or an int, not {value!r:.80}")
    limit = Decimal(value)
    # By its digits first: an exponent of millions takes minutes to compare.
    is_long = not limit.is_finite() or (bool(limit) and limit.adjusted() > _DIGITS)
    if is_long or not -MAX_INT <= limit <= MAX_INT:
        raise ValueError(f"{name} must be from -{MAX_INT} to {MAX_INT}, not {value!s:.80}")
    return limit


def _by_client(on_record: Iterable[JournalEntry]) -> Mapping[int, Sequence[JournalEntry]]:
    newest: dict[str, JournalEntry] = {}
    for entry in on_record:
        seen = newest.get(entry.key)
        if seen is None or seen.round < entry.round:
            newest[entry.key] = entry
    known: defaultdict[int, list[JournalEntry]] = defaultdict(list)
    for entry in newest.values():
        known[entry.client_user_id].append(entry)
    return known


@attrs.frozen(kw_only=True)
class _Policy:
    below: Decimal
    to: Decimal
    currency: str | None

    def __attrs_post_init__(self) -> None:
        if self.to < self.below:
            raise ValueError(f"to must be at least below, not {self.to} and {self.below}")
        if self.currency is not None and not _is_currency(self.currency):
            raise ValueError(f"currency must be three capital letters, not {self.currency!r:.80}")

    def decide(
        self, account: Account, entries: Sequence[JournalEntry]
    ) -> TopUp | SkippedTopUp | None:
        blocking = _blocking_entry(entries)
        entry = next((entry for entry in entries if entry.state in _MAY_BE_SENT), blocking)
        if not account.balance.is_finite():
            return SkippedTopUp(account=account, reason="its balance is no number", entry=entry)
        is_low = account.balance < self.below
        if blocking is not None and (is_low or blocking.state is TransferState.CONFIRMED):
            return SkippedTopUp(account=account, reason=_entry_reason(blocking), entry=blocking)
        if not is_low:
            return None if entry is None else self._not_low(account, entry)
        if reason := self._skip_reason(account):
            return SkippedTopUp(account=account, reason=reason, entry=entry)
        return self._row(account, entry)

    def _not_low(self, account: Account, entry: JournalEntry) -> SkippedTopUp:
        if entry.state in OPEN:
            return SkippedTopUp(account=account, reason=_entry_reason(entry), entry=entry)
        return SkippedTopUp(
            account=account,
            reason=f"no longer below {self.below}: its balance is {account.balance:f}",
            entry=entry,
            is_withdrawn=entry.state is TransferState.INTENDED,
        )

    def _skip_reason(self, account: Account) -> str:
        code = account.currency_code
        if account.banned:
            return "banned"
        if not account.active:
            return "inactive"
        if code is None or not _is_currency(code):
            return "its currency is unknown"
        if self.currency not in {None, code}:
            return f"its currency is {code}"
        if account.auto_recharge:
            return "recharges by itself"
        return "" if self._amount(account.balance) else f"it would take more than {MAX_INT}"

    def _row(self, account: Account, entry: JournalEntry | None) -> TopUp:
        if entry is not None and entry.state is TransferState.REJECTED:
            amount, currency = entry.amount, entry.currency
        else:
            amount, currency = self._amount(account.balance), account.currency_code or ""
        return TopUp(account=account, amount=amount, currency=currency, entry=entry)

    def _amount(self, balance: Decimal) -> int:
        """Give the whole units that bring a balance to the mark; 0 where they are too many."""
        if balance and balance.adjusted() > _DIGITS:
            return 0
        amount = math.ceil(minus(self.to, balance))
        return amount if amount <= MAX_INT else 0


_MAY_BE_SENT = frozenset({TransferState.INTENDED, TransferState.REJECTED})
# Of several keys the one that says most about the client.
_BLOCKING = (
    TransferState.CONFIRMED,
    TransferState.SENT,
    TransferState.UNKNOWN,
    TransferState.REFUTED,
)


def _blocking_entry(entries: Sequence[JournalEntry]) -> JournalEntry | None:
    """Find the round after which the client is not paid, whatever its balance is."""
    found = [entry for entry in entries if entry.state in _BLOCKING]
    return min(found, key=lambda entry: _BLOCKING.index(entry.state), default=None)


def _entry_reason(entry: JournalEntry) -> str:
    match entry.state:
        case TransferState.CONFIRMED:
            return f"paid already: {entry.amount} {entry.currency} under {entry.key!r}"
        case TransferState.REFUTED:
            return f"not to be paid under {entry.key!r} unless that is renewed"
        case _:
            return f"a transfer is open: {entry.key!r}"


def _is_currency(code: str) -> bool:
    return CURRENCY.fullmatch(code) is not None

"""Reconciliation of a transfer of unknown outcome: read the account, judge, never send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol, cast, runtime_checkable

import attrs

from clicksend_reseller import (
    Account,
    AsyncResellerClient,
    JournalEntry,
    JournalError,
    TransferOutcomeUnknownError,
    TransferState,
)
from clicksend_reseller._wire.limits import RESOLVABLE_AFTER
from clicksend_reseller.journal.judging import Assumptions, Opinion, Verdict, weigh
from clicksend_reseller.journal.states import OPEN
from clicksend_reseller.journal.validation import check_moment


@runtime_checkable
class _Readable(Protocol):
    async def get(self, key: str) -> JournalEntry | None: ...

    def entries(self, *, client_user_id: int | None = None) -> AsyncIterator[JournalEntry]: ...


@attrs.frozen(kw_only=True)
class Reconciliation:
    """A verdict on one transfer, with all that it rests on. Print it.

    Attributes:
        before: the client's balance before the transfer could be sent; None where nobody read it.
        after: the balance now.
        sent_at: when it may have left; None where that is not known.
        read_at: when `after` was read.
        assume: what was assumed, after what is known to be wrong was taken out.
        reasons: why the verdict is what it is.
    """

    verdict: Verdict
    client_user_id: int
    amount: int
    currency: str
    idempotency_key: str | None
    before: Decimal | None
    after: Decimal
    sent_at: datetime | None
    read_at: datetime
    assume: Assumptions
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        key = f" under the key {self.idempotency_key!r}" if self.idempotency_key else ""
        verdict = self.verdict.value.replace("_", " ")
        assumed = (f"{name}={value}" for name, value in attrs.asdict(self.assume).items())
        lines = [
            f"{self.amount} {self.currency} to client {self.client_user_id}{key}: {verdict}",
            f"  balance before: {_or_not_known(self.before)}",
            f"  sent at:        {_or_not_known(self.sent_at)}",
            f"  balance after:  {self.after}, read at {self.read_at}",
            f"  assumed: {', '.join(assumed)}",
            *(f"  because {reason}" for reason in self.reasons),
        ]
        return "\n".join(lines)


@attrs.frozen(kw_only=True)
class _Case:
    """What is known of the transfer before anything is read.

    Attributes:
        read_since: `before` was not read before this moment; None where that is not known.
    """

    client_user_id: int
    amount: int
    currency: str
    key: str | None
    before: Decimal | None
    read_since: datetime | None
    entry: JournalEntry | None

    @property
    def last_alive(self) -> datetime | None:
        """The last moment of which we know that the attempt was under way."""
        if self.entry is None:
            return None
        return self.entry.settled_at or self.entry.sent_at


async def reconcile_transfer(
    client: AsyncResellerClient,
    entry: JournalEntry | TransferOutcomeUnknownError,
    assume: Assumptions = Assumptions(),
    *,
    before: Decimal | int | None = None,
    before_at: datetime | None = None,
) -> Reconciliation:
    """Read the client's balance and judge whether a transfer of unknown outcome was applied.

    It writes and sends nothing: what follows from the verdict, `resolve` and perhaps `renew`,
    is a person's to do.

    Args:
        client: of the account that the transfer came from.
        entry: from the journal's `unresolved()` or `get()`, or the error that was raised.
        assume: what you know of the time between; by default nothing.
        before: the client's balance before the transfer, if you have read it; else the
            entry's `balance_before`.
        before_at: when you read `before`, with a time zone. Without it any other transfer to
            the client that the journal knows of may lie between, and is no `exclusive`.

    Returns:
        The verdict, both balances, times, assumptions and reasons.

    Raises:
        JournalError: the entry belongs to another account or base URL than the client.
        ResellerError: the account could not be read.
        ValueError: the transfer was never sent, or `before_at` makes no sense.
    """
    _check_reading(before, before_at)
    case = await _case(client, entry, before, before_at)
    assume, warnings = await _check_exclusive(client, case, assume)
    account = await client.get_account(case.client_user_id, fresh=True)
    read_at = datetime.now(UTC)
    assume, more = _check_currency(case, account, assume)
    opinion = _opinion(case, account, read_at, assume)
    return Reconciliation(
        verdict=opinion.verdict,
        client_user_id=case.client_user_id,
        amount=case.amount,
        currency=case.currency,
        idempotency_key=case.key,
        before=case.before,
        after=account.balance,
        sent_at=case.entry.sent_at if case.entry else None,
        read_at=read_at,
        assume=assume,
        reasons=(*warnings, *more, opinion.reason),
    )


async def _case(
    client: AsyncResellerClient,
    given: JournalEntry | TransferOutcomeUnknownError,
    before: Decimal | int | None,
    before_at: datetime | None,
) -> _Case:
    key, entry = await _find_entry(client, given)
    if entry is not None:
        _check_entry(client, entry)
        before, before_at = _balance_before(entry, before, before_at)
    return _Case(
        client_user_id=given.client_user_id,
        amount=given.amount,
        currency=given.currency,
        key=key,
        before=None if before is None else Decimal(before),
        read_since=before_at,
        entry=entry,
    )


def _check_reading(before: object, before_at: object) -> None:
    if before_at is None:
        return
    check_moment("before_at", before_at)
    if before is None:
        raise ValueError("before_at says when `before` was read: give that too")


async def _find_entry(
    client: AsyncResellerClient, given: object
) -> tuple[str | None, JournalEntry | None]:
    """Give the key of what is judged, and its entry where there is one."""
    if isinstance(given, JournalEntry):
        return given.key, given
    if not isinstance(given, TransferOutcomeUnknownError):
        raise TypeError(f"give an entry of the journal or the error, not {given!r:.80}")
    key, journal = given.idempotency_key, cast("object", client.journal)
    return key, await journal.get(key) if key and isinstance(journal, _Readable) else None


def _balance_before(
    entry: JournalEntry, before: Decimal | int | None, before_at: datetime | None
) -> tuple[Decimal | int | None, datetime | None]:
    """Give the balance before the transfer, and since when it holds."""
    if before is None or before == entry.balance_before:
        # Noted while it was intended, so after it was recorded.
        return entry.balance_before, entry.created_at
    if before_at and entry.sent_at and before_at > entry.sent_at:
        raise ValueError(
            f"a balance read at {before_at} may have the transfer in it, which may have left "
            f"at {entry.sent_at}"
        )
    return before, before_at


def _check_entry(client: AsyncResellerClient, entry: JournalEntry) -> None:
    if entry.realm not in {None, client.realm}:
        raise JournalError(
            f"the transfer {entry.key!r} belongs to {entry.realm!r}, and this client is "
            f"{client.realm!r}: its balances say nothing about it"
        )
    if entry.state is TransferState.INTENDED:
        raise ValueError(f"the transfer {entry.key!r} is intended: it was never sent")


async def _check_exclusive(
    client: AsyncResellerClient, case: _Case, assume: Assumptions
) -> tuple[Assumptions, tuple[str, ...]]:
    """Drop `exclusive` where the journal itself knows better."""
    journal: object = client.journal
    if not assume.exclusive or not isinstance(journal, _Readable):
        return assume, ()
    async for other in journal.entries(client_user_id=case.client_user_id):
        if other.realm in {None, client.realm} and _may_have_moved(other, case):
            warning = (
                f"exclusive is not so: the journal has another transfer to this client, "
                f"{other.key!r}, {other.state}, sent at {_or_not_known(other.sent_at)}"
            )
            return attrs.evolve(assume, exclusive=False), (warning, *_advice(case))
    return assume, ()


def _may_have_moved(other: JournalEntry, case: _Case) -> bool:
    """Return True if another round may have been applied after the balance was read."""
    entry = case.entry
    if entry is not None and (other.key, other.round) == (entry.key, entry.round):
        return False
    if other.state in OPEN:
        return True  # and it may still be applied, however old it is
    if other.state in {TransferState.INTENDED, TransferState.REJECTED}:
        return False
    ended = other.settled_at or other.sent_at
    if other.state is TransferState.REFUTED and other.sent_at is None:
        return False  # withdrawn
    return case.read_since is None or ended is None or ended >= case.read_since


def _advice(case: _Case) -> tuple[str, ...]:
    if case.read_since is not None:
        return ()
    return ("nobody knows when the balance before was read: pass before_at=, if you do",)


def _check_currency(
    case: _Case, account: Account, assume: Assumptions
) -> tuple[Assumptions, tuple[str, ...]]:
    code = account.currency_code
    if not assume.same_currency or code is None or code == case.currency:
        return assume, ()
    warning = f"same_currency is not so: the account is in {code}"
    return attrs.evolve(assume, same_currency=False), (warning,)


def _opinion(case: _Case, account: Account, read_at: datetime, assume: Assumptions) -> Opinion:
    if account.user_id != case.client_user_id:
        reason = f"the API answered about account {account.user_id}, not {case.client_user_id}"
        return Opinion(verdict=Verdict.INCONCLUSIVE, reason=reason)
    if case.before is None:
        reason = "nobody read the balance before the transfer: pass before="
        return Opinion(verdict=Verdict.INCONCLUSIVE, reason=reason)
    opinion = weigh(case.before, account.balance, case.amount, assume)
    if opinion.verdict is Verdict.NOT_APPLIED and (reason := _too_early(case, read_at, assume)):
        return Opinion(verdict=Verdict.INCONCLUSIVE, reason=reason)
    return opinion


def _too_early(case: _Case, read_at: datetime, assume: Assumptions) -> str:
    if case.last_alive is None:
        return "" if case.entry is None else "nobody knows when it was sent"
    needed = assume.quiet_for
    if case.entry is not None and case.entry.state is TransferState.SENT:
        needed = max(needed, RESOLVABLE_AFTER)
    seconds = (read_at - case.last_alive).total_seconds()
    if seconds >= needed:
        return ""
    return (
        f"only {seconds:.0f} s have passed since it was under way, and {needed:g} s must: "
        "it may be applied late"
    )


def _or_not_known(value: object) -> str:
    return "not known" if value is None else str(value)

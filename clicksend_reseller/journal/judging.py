"""What a balance proves: arithmetic on two balances and on stated assumptions, nothing else.

Between the two readings a client may have spent or been credited by others, and a balance may be
late. So each verdict refutes the other one: what cannot have happened has not.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import attrs

from clicksend_reseller._wire.limits import whole_number
from clicksend_reseller._wire.money import minus


def _is_exact(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


class Verdict(StrEnum):
    """What two balances say of a transfer between them.

    Attributes:
        APPLIED: under the assumptions it must have been applied.
        NOT_APPLIED: under the assumptions it cannot have been.
        INCONCLUSIVE: both can be; do not guess.
    """

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    INCONCLUSIVE = "inconclusive"


def _spend(_: object, _field: object, value: Decimal | None) -> None:
    if value is None:
        return
    if not _is_exact(value):
        raise TypeError(f"max_spend must be a Decimal or an int, not {value!r}")
    if not Decimal(value).is_finite() or value < 0:
        raise ValueError(f"max_spend must be 0 or more, not {value!r}")


def _seconds(_: object, _field: object, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"quiet_for must be a number of seconds, not {value!r}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"quiet_for must be 0 or more seconds, not {value!r}")


@attrs.frozen(kw_only=True)
class Assumptions:
    """What you know of the time between the two readings. By default nothing, so nothing follows.

    Attributes:
        exclusive: no other credit reached the client: no other transfer, recharge or refund.
        same_currency: the transfer is in the currency of the client's account, so that its
            amount arrives as it is.
        max_spend: the client spent at most this, in its own currency; None where nobody knows.
        quiet_for: seconds from the end of the attempt to the second reading, after which you
            take it that nothing is applied late and readings are up to date; with 0 nothing
            is ever called not applied.
    """

    exclusive: bool = False
    same_currency: bool = False
    max_spend: Decimal | int | None = attrs.field(default=None, validator=_spend)
    quiet_for: float = attrs.field(default=0.0, validator=_seconds)


@attrs.frozen(kw_only=True)
class Opinion:
    """A verdict and why."""

    verdict: Verdict
    reason: str


def judge(before: Decimal | int, after: Decimal | int, amount: int, assume: Assumptions) -> Verdict:
    """Say whether a transfer was applied between two readings of a balance.

    It is pure: it reads and sends nothing.

    Args:
        before: read before the transfer could be sent.
        after: read later.
        amount: of the transfer; negative where it took credit back.
        assume: what is known of the time between.

    Returns:
        APPLIED or NOT_APPLIED only where the other one is impossible under the assumptions.

    Raises:
        TypeError: a balance is a float, or anything else that is no exact number.
        ValueError: a balance is not finite, or the amount is 0.
    """
    return weigh(before, after, amount, assume).verdict


def weigh(before: Decimal | int, after: Decimal | int, amount: int, assume: Assumptions) -> Opinion:
    """Give the verdict of `judge` and its reason."""
    change = minus(_exact("after", after), _exact("before", before))
    if whole_number("amount", amount) == 0:
        raise ValueError("amount must not be 0")
    applied = _is_possible(change, *_gain(amount, assume), assume)
    not_applied = _is_possible(change, Decimal(0), Decimal(0), assume)
    if applied and not_applied:
        return _inconclusive(f"a change of {change} fits both")
    if not applied and not not_applied:
        return _inconclusive(f"a change of {change} fits neither, so an assumption is wrong")
    if applied:
        return Opinion(
            verdict=Verdict.APPLIED, reason=f"without it a change of {change} is impossible"
        )
    if assume.quiet_for <= 0:
        return _inconclusive(
            f"a change of {change} does not have it, but it may be applied or shown late: "
            "no quiet_for is assumed"
        )
    return Opinion(
        verdict=Verdict.NOT_APPLIED, reason=f"with it a change of {change} is impossible"
    )


def _gain(amount: int, assume: Assumptions) -> tuple[Decimal, Decimal]:
    """Bound what the transfer adds to the balance; a rate may even round it to nothing."""
    if assume.same_currency:
        return Decimal(amount), Decimal(amount)
    if amount > 0:
        return Decimal(0), Decimal("Infinity")
    return Decimal("-Infinity"), Decimal(0)


def _is_possible(change: Decimal, least: Decimal, most: Decimal, assume: Assumptions) -> bool:
    spend = assume.max_spend
    too_low = spend is not None and change < minus(least, Decimal(spend))
    too_high = assume.exclusive and change > most
    return not too_low and not too_high


def _exact(name: str, value: Decimal | int) -> Decimal:
    if not _is_exact(value):
        raise TypeError(f"{name} must be a Decimal or an int, not {value!r}")
    if not (number := Decimal(value)).is_finite():
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    return number


def _inconclusive(reason: str) -> Opinion:
    return Opinion(verdict=Verdict.INCONCLUSIVE, reason=reason)

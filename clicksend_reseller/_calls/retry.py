"""Retries: what may be repeated, after how long, and what a client may spend on them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from clicksend_reseller._wire.operations import Operation, Repeat
from clicksend_reseller.errors import (
    APIConnectionError,
    APIStatusError,
    RateLimitError,
    ResellerError,
)
from clicksend_reseller.models import Outcome

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# An empty bucket of 100 and 5 for a retry stop a storm after 20 retries: with the server down
# and 1,000 tasks about 1,020 requests are made, not 4,000.
BUDGET_SIZE = 100.0
RETRY_PRICE = 5.0
SUCCESS_REFUND = 1.0

# Spreads those who were given the same time, later and never earlier than asked.
_SPREAD = 0.1


def _is_not_negative(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{attribute.name} must be a number, not {value!r}")
    if not 0 <= value <= sys.float_info.max:  # an int can be larger than any float
        raise ValueError(f"{attribute.name} must be 0 or more, not {value!r}")


def _is_int(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{attribute.name} must be an int, not {value!r}")


def _is_bool(_: object, attribute: attrs.Attribute[Any], value: bool) -> None:  # noqa: FBT001 - attrs calls it
    if not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be True or False, not {value!r}")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often a client repeats what may be repeated, and after which waits, in seconds.

    Attributes:
        max_retries: attempts after the first.
        base_delay: the longest wait before the first retry; it doubles each time, and the wait
            is random between nothing and that ("full jitter").
        max_delay: the longest wait of our own choosing.
        max_retry_after: the longest wait that a server may ask for; beyond it the error is
            raised at once.
        resend_rate_limited_transfers: send a transfer again after a 429. That is the server's
            word that it did nothing, which no one has confirmed. No effect with a journal.
    """

    max_retries: int = attrs.field(default=3, validator=[_is_not_negative, _is_int])
    base_delay: float = attrs.field(default=0.5, validator=_is_not_negative)
    max_delay: float = attrs.field(default=8.0, validator=_is_not_negative)
    max_retry_after: float = attrs.field(default=60.0, validator=_is_not_negative)
    resend_rate_limited_transfers: bool = attrs.field(default=False, validator=_is_bool)


def may_repeat(
    error: BaseException, operation: Operation[Any], policy: RetryPolicy, *, journaled: bool
) -> bool:
    """Return True if the operation may be sent again after this bare error.

    Args:
        error: as the transport or the wire raised it.
        operation: its `repeat` word decides where the error leaves doubt.
        policy: for the one choice that is the caller's.
        journaled: a journal records this transfer, for which a 429 is final.
    """
    if not isinstance(error, ResellerError) or error.permanent:
        return False
    if error.outcome is Outcome.NOT_SENT:
        return isinstance(error, APIConnectionError)
    if isinstance(error, RateLimitError) and error.outcome is Outcome.REJECTED:
        opted_in = policy.resend_rate_limited_transfers and not journaled
        return operation.repeat is not Repeat.NEVER or opted_in
    if error.outcome is Outcome.UNKNOWN:
        return operation.repeat in {Repeat.FREELY, Repeat.SAME_MEANING}
    return False


def delay(
    error: BaseException | None,
    retry: int,
    policy: RetryPolicy,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float:
    """Choose the seconds to wait before a retry; retries count from 1."""
    ours = uniform(0, min(policy.max_delay, policy.base_delay * 2.0 ** min(retry - 1, 60)))
    asked = asked_to_wait(error)
    if asked is None:
        return ours
    return max(ours, asked + uniform(0, _SPREAD * asked))


def asked_to_wait(error: BaseException | None) -> float | None:
    """Give the seconds that the server asked to wait, if it did."""
    return error.retry_after if isinstance(error, APIStatusError) else None


class RetryBudget:
    """What a client may spend on retries, so that a server in trouble is not made worse.

    Spent by retries, refilled by successes; a retry after a 429 costs nothing, because there
    the server itself says when to come back.
    """

    def __init__(self) -> None:
        self._left = BUDGET_SIZE

    def refill(self) -> None:
        """Pay back for a call that succeeded."""
        self._left = min(BUDGET_SIZE, self._left + SUCCESS_REFUND)

    def spend(self, error: BaseException | None) -> bool:
        """Pay for a retry; return False if there is not enough."""
        price = 0.0 if isinstance(error, RateLimitError) else RETRY_PRICE
        if price > self._left:
            return False
        self._left -= price
        return True


class Repeatable(Protocol[T_co]):
    """A call whose first attempt failed: what `repeat` asks of it and does with it."""

    async def attempt(self) -> T_co:
        """Make another attempt."""
        ...

    def may_repeat(self, error: BaseException) -> bool:
        """Return True if an attempt may follow one that ended so."""
        ...

    def seconds_left(self) -> float:
        """Give the time until the call's deadline."""
        ...

    def before_wait(self, error: BaseException, seconds: float) -> None:
        """Report a wait that begins now, and why."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


async def repeat(
    call: Repeatable[T], first_error: ResellerError, *, policy: RetryPolicy, budget: RetryBudget
) -> T:
    """Go on after a first attempt that failed, until one succeeds or there is reason to stop.

    Entered only then: tenacity costs 17 to 25 µs, which a call that succeeds need not pay. Its
    counting stays exact, because the first error is handed to it as attempt 1.
    """
    import tenacity  # noqa: PLC0415 - needed after a failure only, and 4 % of the import

    earlier = iter([first_error])

    async def next_attempt() -> T:
        for error in earlier:
            raise error
        return await call.attempt()

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(call.may_repeat),
        wait=lambda state: delay(_error(state), state.attempt_number, policy),
        # The budget last, because asking it spends it.
        stop=lambda state: _is_over(state, call, policy) or not budget.spend(_error(state)),
        before_sleep=lambda state: call.before_wait(_error(state), state.upcoming_sleep),
        sleep=call.sleep,
        reraise=True,
    )
    return await retrying(next_attempt)


def _is_over(state: tenacity.RetryCallState, call: Repeatable[Any], policy: RetryPolicy) -> bool:
    return (
        state.attempt_number > policy.max_retries
        or (asked_to_wait(_error(state)) or 0.0) > policy.max_retry_after
        or state.upcoming_sleep > call.seconds_left()
    )


def _error(state: tenacity.RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    assert error is not None  # noqa: S101 - tenacity asks after a failure only
    return error

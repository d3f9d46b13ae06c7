"""One call, from its start to its end.

The caller's task owns the deadline and the retries; the layers below make the attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import attrs

from clicksend_reseller._calls.attempt import Attempts
from clicksend_reseller._calls.events import EventEmitter, note_on
from clicksend_reseller._calls.journaling import TransferGuard, TransferJournal, make_guard
from clicksend_reseller._calls.retry import RetryBudget, RetryPolicy, may_repeat, repeat
from clicksend_reseller._calls.state import CallState
from clicksend_reseller._calls.tasks import Closing, running_loop
from clicksend_reseller._calls.throttle import LimiterRaisedError
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller.errors import (
    APITimeoutError,
    ClientStateError,
    ConfigurationError,
    ResellerError,
)
from clicksend_reseller.models import Outcome, TransferReceipt

T = TypeVar("T")


class Executor:
    """Performs operations for one client, on the event loop of its first call.

    Args:
        attempts: makes one attempt.
        events: hears of each step.
        closing: says when no call begins any more.
        policy: how often to repeat, and after which waits.
        deadline: seconds for a whole call.
        journal: records transfers.
        realm: where the journal's keys belong.
        close_transport: called once, when all is done.
    """

    def __init__(
        self,
        attempts: Attempts,
        events: EventEmitter,
        closing: Closing,
        *,
        policy: RetryPolicy,
        deadline: float,
        journal: TransferJournal | None,
        realm: str,
        close_transport: Callable[[], Awaitable[None]],
    ) -> None:
        self._attempts = attempts
        self._events = events
        self._closing = closing
        self._policy = policy
        self._deadline = deadline
        self._journal = journal
        self._realm = realm
        self._close_transport = close_transport
        self._budget = RetryBudget()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now: Callable[[], float]
        self._end: asyncio.Future[None] | None = None

    async def perform(
        self,
        operation: Operation[T],
        guard: TransferGuard | None = None,
        *,
        deadline: float | None = None,
    ) -> T:
        """Make one call; raise our errors only, and let a cancellation through."""
        seconds = deadline or self._deadline
        self.check_state()
        now = self._now()
        call = CallState(operation=operation, guard=guard, began=now, ends_at=now + seconds)
        self._events.emit(call, "started")
        try:
            result = await self._within_deadline(call)
        except asyncio.CancelledError as cancelled:
            self._report_cancelled(call, cancelled)
            # Frames of the HTTP library hold headers and body.
            raise cancelled.with_traceback(None)  # noqa: B904 - the very same one
        self._budget.refill()
        self._events.emit(call, "finished", outcome=call.outcome_of_success)
        return result

    async def transfer(
        self,
        operation: Operation[TransferReceipt],
        idempotency_key: str | None,
        *,
        deadline: float | None,
    ) -> TransferReceipt:
        """Make a transfer, through the journal if there is one.

        Raises:
            ConfigurationError: a key without a journal, which the server would ignore.
        """
        if self._journal is not None:
            transfer = operation.body or {}
            guard = make_guard(self._journal, transfer, key=idempotency_key, realm=self._realm)
            return await self.perform(operation, guard, deadline=deadline)
        if idempotency_key is not None:
            raise ConfigurationError(
                "an idempotency_key needs a journal: the API knows no such key and would ignore it"
            )
        return await self.perform(operation, deadline=deadline)

    def check_state(self) -> None:
        """Bind to the running loop at first use.

        Raises:
            ClientStateError: closed, or bound to another loop.
        """
        if self._closing.has_begun:
            raise ClientStateError("the client is closed: make another one")
        loop = running_loop()
        if self._loop is None:
            self._loop, self._now = loop, loop.time
        elif self._loop is not loop:
            raise ClientStateError(
                "the client belongs to the event loop of its first call, "
                "and this is another one: make a client for each loop"
            )

    async def aclose(self) -> None:
        """Refuse new calls, wait for writes that have left, then close the connections."""
        if self._loop not in {None, running_loop()}:
            raise ClientStateError("close the client on the event loop that it was used on")
        self._closing.begin()
        # One end for all who ask, and it goes on though one of them is cancelled.
        if self._end is None:
            self._end = asyncio.ensure_future(self._drain_and_close())
        if self._attempts.has_task(asyncio.current_task()):
            return  # a limiter's doing, which would wait for itself
        await asyncio.shield(self._end)

    async def _drain_and_close(self) -> None:
        try:
            await self._attempts.drain()
        finally:
            await self._close_transport()

    # --- attempts

    async def _within_deadline(self, call: CallState[T]) -> T:
        failure: Exception
        try:
            async with asyncio.timeout_at(call.ends_at):
                if call.guard is not None:
                    receipt = await self._attempts.run_in_background(call, call.guard.open())
                    if receipt is not None:
                        return cast("T", receipt)
                return await self._with_retries(call)
        except ResellerError as error:
            failure = call.conclude(error)
        except LimiterRaisedError as raised:
            failure = call.conclude_limited(raised.error)
        except TimeoutError:
            if call.result is not None:
                return call.result  # a journal that is slow must not hide that it was applied
            failure = call.conclude(call.error or self._too_late(call))
        try:
            await self._withdraw(call)
            self._events.emit(call, "finished", outcome=call.outcome)
            raise failure
        finally:
            del failure  # its traceback holds this frame

    async def _with_retries(self, call: CallState[T]) -> T:
        try:
            return await self._attempts.make(call)
        except ResellerError as exc:
            error = exc
        repeatable = _Repeatable(
            call=call,
            attempts=self._attempts,
            events=self._events,
            policy=self._policy,
            closing=self._closing,
        )
        return await repeat(repeatable, error, policy=self._policy, budget=self._budget)

    # --- ends without a result

    def _too_late(self, call: CallState[Any]) -> APITimeoutError:
        fact = f"the deadline of {call.ends_at - call.began:g} s passed"
        return APITimeoutError(fact + self._attempts.advise(call), outcome=call.outcome_if_cut)

    async def _withdraw(self, call: CallState[Any]) -> None:
        """Leave no work behind for a call that sent nothing; go on without it at the deadline."""
        if call.guard is None or call.outcome is not Outcome.NOT_SENT:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(call.ends_at):
                await self._attempts.run_in_background(call, call.guard.withdraw())

    def _report_cancelled(self, call: CallState[Any], cancelled: asyncio.CancelledError) -> None:
        """Say on a cancellation what is known, and let it pass."""
        outcome = call.outcome or call.outcome_if_cut
        if call.operation.writes:
            note_on(cancelled, call, outcome)
        if call.guard is not None and outcome is Outcome.NOT_SENT:
            self._attempts.continue_in_background(call, call.guard.withdraw())
        self._events.emit(call, "finished", outcome=outcome)


@attrs.frozen(kw_only=True)
class _Repeatable(Generic[T]):
    """A call whose first attempt failed, for `repeat`."""

    call: CallState[T]
    attempts: Attempts
    events: EventEmitter
    policy: RetryPolicy
    closing: Closing

    async def attempt(self) -> T:
        return await self.attempts.make(self.call)

    def may_repeat(self, error: BaseException) -> bool:
        guard = self.call.guard
        if guard is not None and guard.claimed:
            return False
        journaled = guard is not None
        return may_repeat(error, self.call.operation, self.policy, journaled=journaled)

    def seconds_left(self) -> float:
        return self.call.ends_at - asyncio.get_running_loop().time()

    def before_wait(self, error: BaseException, seconds: float) -> None:
        self.events.waits(self.call, error, seconds)

    async def sleep(self, seconds: float) -> None:
        await self.closing.sleep(seconds)

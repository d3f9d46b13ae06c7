"""What is the road of one call? It strings the rooms below together.

The caller's task owns the deadline and the retries. Each attempt of a write is a task of its
own, which owns its place in the pacing, its time, the reading of the answer and the settling of
its key: a caller who leaves does not cut a write whose fate would then never be known.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast

from clicksend_reseller import _headers, _wire
from clicksend_reseller._answer import Answer
from clicksend_reseller._body import OneShotBody
from clicksend_reseller._call import Call, fate
from clicksend_reseller._exchange import Sender
from clicksend_reseller._guard import SETTLE_SECONDS, TransferGuard, TransferJournal, open_guard
from clicksend_reseller._operations import Operation
from clicksend_reseller._pacing import LimiterRaisedError, Pacing
from clicksend_reseller._retry import RetryBudget, RetryPolicy, may_repeat, repeat
from clicksend_reseller._shield import Apart
from clicksend_reseller.errors import (
    APIConnectionError,
    APITimeoutError,
    ClientStateError,
    ConfigurationError,
    RateLimitError,
    ResellerError,
)
from clicksend_reseller.models import CallEvent, Outcome, RateLimit, TransferReceipt

T = TypeVar("T")
Observer = Callable[[CallEvent], None]

_logger = logging.getLogger("clicksend_reseller")


# On a cancelled write: what is noted for its caller, and what is logged.
_WHEN_CANCELLED = {
    Outcome.NOT_SENT: ("cancelled, and nothing was sent", ""),
    Outcome.REJECTED: ("cancelled, and the API had refused it: nothing was changed", ""),
    Outcome.UNKNOWN: (
        (
            "cancelled after it had left, so it may have been applied; "
            "do not repeat it before you have checked"
        ),
        "was cancelled after it had left: its outcome is unknown",
    ),
    Outcome.APPLIED: (
        "cancelled, but it was applied: do not repeat it",
        "was cancelled after it had been applied",
    ),
}


class Calls:
    """Performs operations for one client, on the event loop of its first call.

    Args:
        sender: sends one request.
        pacing: says when.
        policy: how patiently to repeat.
        timeout: seconds for one attempt.
        deadline: seconds for a whole call.
        journal: records transfers.
        realm: where the journal's keys belong.
        observer: told of each step.
        close_transport: called once, when all is done.

    Attributes:
        rate_limit: what the last answer with rate headers said.
    """

    def __init__(
        self,
        sender: Sender,
        pacing: Pacing,
        *,
        policy: RetryPolicy,
        timeout: float,
        deadline: float,
        journal: TransferJournal | None,
        realm: str,
        observer: Observer | None,
        close_transport: Callable[[], Awaitable[None]],
    ) -> None:
        self.rate_limit: RateLimit | None = None
        self._sender = sender
        self._pacing = pacing
        self._policy = policy
        self._timeout = timeout
        self._deadline = deadline
        self._journal = journal
        self._realm = realm
        self._observer = observer
        self._close_transport = close_transport
        self._budget = RetryBudget()
        self._apart: Apart[Call[Any]] = Apart(_log_fate)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Future[None] | None = None
        self._closed = False
        self._end: asyncio.Future[None] | None = None

    async def perform(self, operation: Operation[T], guard: TransferGuard | None = None) -> T:
        """Make one call; raise our errors only, and let a cancellation through."""
        self.check_state()
        now = self._now()
        call = Call(operation=operation, guard=guard, began=now, ends_at=now + self._deadline)
        self._report(call, "started")
        try:
            result = await self._within_deadline(call)
        except asyncio.CancelledError as cancelled:
            self._let_go(call, cancelled)
            # Frames of the HTTP library hold headers and body.
            raise cancelled.with_traceback(None)  # noqa: B904 - the very same one
        self._budget.refill()
        self._report(call, "finished", outcome=call.outcome_of_success)
        return result

    async def transfer(
        self, operation: Operation[TransferReceipt], idempotency_key: str | None
    ) -> TransferReceipt:
        """Make a transfer, through the journal if there is one.

        Raises:
            ConfigurationError: a key without a journal, which the server would ignore.
        """
        if self._journal is not None:
            transfer = operation.body or {}
            guard = open_guard(self._journal, transfer, key=idempotency_key, realm=self._realm)
            return await self.perform(operation, guard)
        if idempotency_key is not None:
            raise ConfigurationError(
                "an idempotency_key needs a journal: the API knows no such key and would ignore it"
            )
        return await self.perform(operation)

    def check_state(self) -> None:
        """Bind to the running loop at first use.

        Raises:
            ClientStateError: closed, or bound to another loop.
        """
        if self._closed:
            raise ClientStateError("the client is closed: make another one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._closing = loop.create_future()
        elif self._loop is not loop:
            raise ClientStateError(
                "the client belongs to the event loop of its first call, "
                "and this is another one: make a client for each loop"
            )

    async def aclose(self) -> None:
        """Refuse new calls, wait for writes that have left, then close the connections."""
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ClientStateError("close the client on the event loop that it was used on")
        self._closed = True
        if self._closing is not None and not self._closing.done():
            self._closing.set_result(None)
        # One end for all who ask, and it goes on though one of them is cancelled.
        if self._end is None:
            self._end = asyncio.ensure_future(self._drain_and_close())
        await asyncio.shield(self._end)

    async def _drain_and_close(self) -> None:
        try:
            await self._drain()
        finally:
            await self._close_transport()

    async def _drain(self) -> None:
        for task, call in self._apart.under_way():
            _stop_unless_left(task, call)
        await self._apart.wait(self._timeout + SETTLE_SECONDS)
        for task, call in self._apart.under_way():
            _logger.error("%s was cut off by aclose(): its outcome is unknown", call)
            task.cancel()
        await self._apart.wait(1.0)

    # --- attempts

    async def _within_deadline(self, call: Call[T]) -> T:
        failure: Exception
        try:
            async with asyncio.timeout_at(call.ends_at):
                return await self._persist(call)
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
            self._report(call, "finished", outcome=call.outcome)
            raise failure
        finally:
            del failure  # its traceback holds this frame

    async def _persist(self, call: Call[T]) -> T:
        if call.guard is not None:
            receipt = await self._run_apart(call, call.guard.open())
            if receipt is not None:
                return cast("T", receipt)
        try:
            return await self._attempt(call)
        except ResellerError as exc:
            error = exc
        return await self._try_again(call, error)

    async def _try_again(self, call: Call[T], error: ResellerError) -> T:
        return await repeat(
            lambda: self._attempt(call),
            error,
            policy=self._policy,
            budget=self._budget,
            may_repeat=lambda error: self._may_repeat(call, error),
            seconds_left=lambda: call.ends_at - self._now(),
            before_wait=lambda error, seconds: self._announce_wait(call, error, seconds),
            sleep=self._sleep,
        )

    def _may_repeat(self, call: Call[Any], error: BaseException) -> bool:
        if call.guard is not None and call.guard.claimed:
            return False
        journaled = call.guard is not None
        return may_repeat(error, call.operation, self._policy, journaled=journaled)

    async def _attempt(self, call: Call[T]) -> T:
        began, before = self._now(), call.attempts
        call.begin_attempt()
        try:
            if call.operation.writes:
                result = await self._write_apart(call)
            else:
                result = await self._exchange(call, None)
        except ResellerError as error:
            call.fail_attempt(error)
            if call.attempts > before:
                self._report(call, "attempt", outcome=error.outcome, seconds=self._now() - began)
            raise
        outcome = call.outcome_of_success
        self._report(call, "attempt", outcome=outcome, seconds=self._now() - began)
        return result

    async def _exchange(self, call: Call[T], body: OneShotBody | None) -> T:
        operation = call.operation
        async with self._pacing.turn(operation.name, deadline=call.ends_at):
            if self._closed:
                raise ClientStateError("the client was closed while the call waited for its turn")
            call.attempts += 1
            answer = await self._sender.send(operation, body, seconds=self._timeout)
            call.status = answer.status
            # Before the place is given to the next, who must hear of a pause.
            self._heed(operation.name, answer)
            result = self._read(call, answer)
        if body is not None and not body.left:
            raise _not_taken(body)
        return result

    def _read(self, call: Call[T], answer: Answer) -> T:
        secrets = self._sender.secrets + call.secrets
        try:
            return _wire.read(call.operation, answer, secrets=secrets)
        except RateLimitError as error:
            asked = error.retry_after
            self._pacing.pause(self._policy.base_delay if asked is None else asked)
            raise

    async def _write_apart(self, call: Call[T]) -> T:
        claim = call.guard.claim if call.guard else None
        body = call.body = OneShotBody(_wire.write(call.operation.body or {}), claim)
        return await self._run_apart(call, self._write(call, body), is_attempt=True)

    async def _write(self, call: Call[T], body: OneShotBody) -> T:
        guard = call.guard
        try:
            result = await self._exchange(call, body)
        except BaseException as exc:
            error = exc if isinstance(exc, ResellerError) else None
            if error is not None:
                call.fail_attempt(error)
            if guard is not None:
                await guard.give_up(error, left=body.left)
            raise
        if guard is None:
            call.result = result
            return result
        receipt = guard.sign(cast("TransferReceipt", result))
        call.result = cast("T", receipt)
        await guard.confirm(receipt, call.status)
        return call.result

    async def _run_apart(
        self, call: Call[Any], step: Coroutine[Any, Any, T], *, is_attempt: bool = False
    ) -> T:
        task = self._apart.start(call, step)
        if is_attempt:
            call.task = task
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            call.left_behind = True
            _stop_unless_left(task, call)
            raise
        if task.cancelled():
            raise call.cut_off(closed=self._closed)
        return task.result()

    # --- what an answer teaches

    def _heed(self, operation: str, answer: Answer) -> None:
        limit = _headers.rate_limit(answer.headers, now=datetime.now(UTC))
        if limit is None:
            return
        self.rate_limit = limit
        if limit.remaining == 0 and limit.resets_in is not None:
            self._pacing.hold(operation, limit.resets_in)

    # --- ends without a result

    def _too_late(self, call: Call[Any]) -> APITimeoutError:
        fact = f"the deadline of {self._deadline:g} s passed"
        return APITimeoutError(fact, outcome=call.outcome_if_cut)

    async def _withdraw(self, call: Call[Any]) -> None:
        """Leave no work behind for a call that sent nothing; go on without it at the deadline."""
        if call.guard is None or call.outcome is not Outcome.NOT_SENT:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(call.ends_at):
                await self._run_apart(call, call.guard.withdraw())

    def _let_go(self, call: Call[Any], cancelled: asyncio.CancelledError) -> None:
        """Say on a cancellation what is known, and let it pass."""
        outcome = call.outcome or call.outcome_if_cut
        if call.operation.writes:
            note, log = _WHEN_CANCELLED[outcome]
            cancelled.add_note(f"{call}: {note}")
            if log:
                _logger.warning("%s %s", call, log)
        if call.guard is not None and outcome is Outcome.NOT_SENT:
            steps = self._apart.of(call)
            self._apart.start(call, _after(steps, call.guard.withdraw()))
        self._report(call, "finished", outcome=outcome)

    # --- waiting and telling

    def _now(self) -> float:
        return cast("asyncio.AbstractEventLoop", self._loop).time()

    async def _sleep(self, seconds: float) -> None:
        closing = cast("asyncio.Future[None]", self._closing)
        await asyncio.wait({closing}, timeout=seconds)
        if closing.done():
            raise ClientStateError("the client was closed while the call waited to be repeated")

    def _announce_wait(self, call: Call[Any], error: BaseException, seconds: float) -> None:
        name, attempts = call.operation.name, call.attempts
        text = "%s: attempt %d failed, another follows in %.2f s: %s"
        _logger.info(text, name, attempts, seconds, error)
        self._report(call, "waiting", seconds=seconds)

    def _report(
        self,
        call: Call[Any],
        kind: Literal["started", "attempt", "waiting", "finished"],
        *,
        outcome: Outcome | None = None,
        seconds: float | None = None,
    ) -> None:
        if self._observer is None:
            return
        event = CallEvent(
            call_id=call.id,
            kind=kind,
            operation=call.operation.name,
            attempt=call.attempts,
            status_code=call.status,
            outcome=outcome,
            seconds=self._now() - call.began if seconds is None else seconds,
        )
        try:
            self._observer(event)
        except Exception:
            _logger.exception("the observer failed at %s", kind)


def _stop_unless_left(task: asyncio.Task[Any], call: Call[Any]) -> None:
    if task is call.task and call.body is not None and call.body.shut():
        task.cancel()


def _not_taken(body: OneShotBody) -> Exception:
    if isinstance(body.refusal, ResellerError):
        return body.refusal
    return APIConnectionError(
        "the transport answered without taking the body; "
        "a transport made for tests must read it (await request.aread())",
        permanent=True,
    )


def _log_fate(task: asyncio.Task[Any], call: Call[Any]) -> None:
    if call.left_behind and call.has_left:
        _logger.warning("%s, whose caller had gone, ended: %s", call, fate(task))


async def _after(steps: list[asyncio.Task[Any]], last: Coroutine[Any, Any, None]) -> None:
    if steps:
        await asyncio.wait(steps)
    await last

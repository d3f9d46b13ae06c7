"""One attempt: its turn, its time, and for a write a task of its own.

Such a task owns its slot in the throttle, its time, the reading of the answer and the settling of
its key: a caller who leaves does not cut off a write, whose outcome nobody would know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from clicksend_reseller._calls.events import EventEmitter, log_attempt
from clicksend_reseller._calls.state import CallState, end_of_attempt
from clicksend_reseller._calls.tasks import BackgroundTasks, Closing, was_cancelled
from clicksend_reseller._calls.throttle import Throttle
from clicksend_reseller._http.body import OneShotBody
from clicksend_reseller._http.sender import Sender
from clicksend_reseller._wire import decoding
from clicksend_reseller._wire import headers as wire_headers
from clicksend_reseller._wire.limits import SETTLE_SECONDS
from clicksend_reseller._wire.response import Answer
from clicksend_reseller.errors import (
    APIConnectionError,
    ClientStateError,
    RateLimitError,
    ResellerError,
)
from clicksend_reseller.models import Outcome, RateLimit, TransferReceipt

T = TypeVar("T")

_logger = logging.getLogger("clicksend_reseller")


class Attempts:
    """Makes the attempts of one client.

    Args:
        sender: sends one request.
        throttle: says when.
        events: hears how each attempt ended.
        closing: says when no attempt begins any more.
        timeout: seconds for one attempt.
        pause: seconds that all calls are held after a 429 that names no time.

    Attributes:
        rate_limit: what the last answer with rate headers said.
    """

    def __init__(
        self,
        sender: Sender,
        throttle: Throttle,
        events: EventEmitter,
        closing: Closing,
        *,
        timeout: float,
        pause: float,
    ) -> None:
        self.rate_limit: RateLimit | None = None
        self._sender = sender
        self._throttle = throttle
        self._events = events
        self._closing = closing
        self._timeout = timeout
        self._pause = pause
        self._tasks: BackgroundTasks[CallState[Any]] = BackgroundTasks(_log_end)

    def advise(self, call: CallState[Any]) -> str:
        """Say what may be wrong where the time of a call ran out before it could be sent."""
        is_connecting = call.attempts > 0 and call.outcome_if_cut is Outcome.NOT_SENT
        return self._sender.proxy_advice() if is_connecting else ""

    async def make(self, call: CallState[T]) -> T:
        """Make one attempt, report how it ended, and raise the bare error of it."""
        now = asyncio.get_running_loop().time
        began, before = now(), call.attempts
        call.begin_attempt()
        try:
            writes = call.operation.writes
            result = await (self._write_in_background(call) if writes else self._read(call))
        except ResellerError as error:
            call.fail_attempt(error)
            if call.attempts > before:
                self._events.attempted(call, error.outcome, now() - began)
            raise
        except asyncio.CancelledError:
            if call.attempts > before:
                log_attempt(call, call.outcome_if_cut, now() - began)
            raise
        self._events.attempted(call, call.outcome_of_success, now() - began)
        return result

    async def run_in_background(self, call: CallState[Any], step: Coroutine[Any, Any, T]) -> T:
        """Run a step of a call in a task that its caller, leaving, does not cut."""
        return await self._until_done(call, self._tasks.start(call, step))

    def continue_in_background(self, call: CallState[Any], last: Coroutine[Any, Any, None]) -> None:
        """Run one more step when those that the call has under way have ended."""
        steps = self._tasks.of(call)
        self._tasks.start(call, _after(steps, last))

    def has_task(self, task: asyncio.Task[Any] | None) -> bool:
        """Return True if a task is one of those that run in the background."""
        return any(task is each for each, _ in self._tasks.under_way())

    async def drain(self) -> None:
        """Stop what has not left, wait for what has, and cut and report what takes too long."""
        for task, call in self._tasks.under_way():
            _stop_unless_left(task, call)
        await self._tasks.wait(self._timeout + SETTLE_SECONDS)
        for task, call in self._tasks.under_way():
            _logger.error(
                "%s was cut off by aclose(): its outcome is unknown", str(call), extra=call.fields()
            )
            task.cancel()
        await self._tasks.wait(1.0)

    # --- one exchange

    async def _read(self, call: CallState[T]) -> T:
        try:
            return await self._exchange(call, None)
        except asyncio.CancelledError:
            if was_cancelled():
                raise
            return self._result_of_a_cut(call)

    async def _exchange(self, call: CallState[T], body: OneShotBody | None) -> T:
        operation = call.operation
        async with self._throttle.turn(operation.name, deadline=call.ends_at):
            if self._closing.has_begun:
                raise ClientStateError("the client was closed while the call waited for its turn")
            call.attempts += 1
            result = await self._ask(call, body)
            if body is not None and not body.left:
                raise _not_taken(body)
            # Known from here on, even if a limiter hangs when it is left.
            return call.succeed(result)

    async def _ask(self, call: CallState[T], body: OneShotBody | None) -> T:
        """Send, and once more where another call's late answer came on a used connection.

        That is part of the same attempt and of its time: nobody failed, and nothing is repeated.
        """
        began = asyncio.get_running_loop().time()
        result, answer = await self._round_trip(call, body, self._timeout)
        about = decoding.strayed(call.operation, result)
        if about and answer.drop is not None:
            _logger.warning("%s: an answer about %s came, so it is asked again", call, about)
            await answer.drop()
            passed = asyncio.get_running_loop().time() - began
            result, _ = await self._round_trip(call, body, self._timeout - passed, fresh=True)
            about = decoding.strayed(call.operation, result)
        if about:
            _logger.warning("%s: the API's answer is about %s, given as it is", call, about)
        return result

    async def _round_trip(
        self, call: CallState[T], body: OneShotBody | None, seconds: float, *, fresh: bool = False
    ) -> tuple[T, Answer]:
        operation = call.operation
        answer = await self._sender.send(operation, body, seconds=seconds, fresh=fresh)
        call.status = answer.status
        # Before the slot is given to the next, who must hear of a pause.
        limit = wire_headers.rate_limit(answer.headers, now=datetime.now(UTC))
        if limit is not None:
            self.rate_limit = limit
            if limit.remaining == 0 and limit.resets_in is not None:
                self._throttle.hold(operation.name, limit.resets_in)
        try:
            return decoding.read(operation, answer, secrets=self._sender.secrets), answer
        except RateLimitError as error:
            asked = error.retry_after
            self._throttle.pause(self._pause if asked is None else asked)
            raise

    # --- a write

    async def _write_in_background(self, call: CallState[T]) -> T:
        claim = call.guard.claim if call.guard else None
        content = decoding.write(call.operation.body or {})
        body = call.body = OneShotBody(content, claim, seconds=self._timeout)
        call.task = self._tasks.start(call, self._write(call, body))
        return await self._until_done(call, call.task)

    async def _write(self, call: CallState[T], body: OneShotBody) -> T:
        try:
            return await self._exchange(call, body)
        except ResellerError as error:
            call.fail_attempt(error)
            raise
        finally:
            if call.guard is not None:
                receipt = cast("TransferReceipt | None", call.result)
                await call.guard.settle(
                    receipt, call.error, status_code=call.status, left=body.left
                )

    async def _until_done(self, call: CallState[Any], task: asyncio.Task[T]) -> T:
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            call.left_behind = True
            _stop_unless_left(task, call)
            raise
        return self._result_of_a_cut(call) if task.cancelled() else task.result()

    def _result_of_a_cut(self, call: CallState[T]) -> T:
        """Give what had come before an attempt was cancelled, by nobody who called."""
        if call.result is None:
            raise call.cut_off(closed=self._closing.has_begun)
        return call.result


def _stop_unless_left(task: asyncio.Task[Any], call: CallState[Any]) -> None:
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


def _log_end(task: asyncio.Task[Any], call: CallState[Any]) -> None:
    if call.left_behind and call.has_left:
        outcome, words = end_of_attempt(task, call)
        extra = call.fields(status_code=call.status, outcome=outcome)
        _logger.warning("%s, whose caller had gone, ended: %s", str(call), words, extra=extra)


async def _after(steps: list[asyncio.Task[Any]], last: Coroutine[Any, Any, None]) -> None:
    if steps:
        await asyncio.wait(steps)
    await last

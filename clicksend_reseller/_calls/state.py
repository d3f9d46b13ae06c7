"""What is known of one call, on its way and at its end."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import Any, Generic, TypeVar, cast

import attrs

from clicksend_reseller._calls.journaling import TransferGuard
from clicksend_reseller._http.body import OneShotBody
from clicksend_reseller._http.exceptions import chain
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller.errors import (
    APIConnectionError,
    ClientStateError,
    OutcomeUnknownError,
    ResellerError,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.models import Outcome, TransferReceipt

T = TypeVar("T")

_ids = itertools.count(1)


@attrs.define(kw_only=True, eq=False)
class CallState(Generic[T]):
    """One call.

    Attributes:
        began: the loop's time.
        ends_at: the loop's time of its deadline.
        attempts: how many began.
        status: of the latest attempt's answer.
        body: of the latest attempt; None for reads and before the first.
        task: of the latest attempt of a write.
        result: what came, even while a journal still writes it down.
        error: how the latest attempt failed, even while a journal still writes it down.
        doubt: the error of an attempt that may have been applied: it sticks.
        reached: the outcome of the latest attempt that had left.
        outcome: of the call, once it has failed.
        left_behind: the caller has gone.
    """

    operation: Operation[T]
    guard: TransferGuard | None
    began: float
    ends_at: float
    id: int = attrs.field(factory=partial(next, _ids))
    attempts: int = 0
    status: int | None = None
    body: OneShotBody | None = None
    task: asyncio.Task[T] | None = None
    result: T | None = None
    error: ResellerError | None = None
    doubt: ResellerError | None = None
    reached: Outcome | None = None
    outcome: Outcome | None = None
    left_behind: bool = False

    def __str__(self) -> str:
        if self.operation.returns is not TransferReceipt:
            return self.operation.name
        moved = cast("dict[str, Any]", self.operation.body)
        # The key distinguishes two transfers of the same values, else the call.
        which = f"idempotency key {self.guard.key!r}" if self.guard else f"call {self.id}"
        transfer = "{amount} {currency} to client {client_user_id}".format_map(moved)
        return f"{self.operation.name} of {transfer} ({which})"

    def fields(self, **more: object) -> dict[str, object]:
        """Give what a log record of this call has in `extra`: ids and amounts, no other value."""
        fields: dict[str, object] = {
            "operation": self.operation.name,
            "call_id": self.id,
            "attempt": self.attempts,
        }
        if self.operation.returns is TransferReceipt:
            fields |= cast("dict[str, Any]", self.operation.body)
            fields["idempotency_key"] = self.guard.key if self.guard else None
        plain = {k: v.value if isinstance(v, Outcome) else v for k, v in (fields | more).items()}
        return {f"clicksend_{name}": value for name, value in plain.items()}

    @property
    def has_left(self) -> bool:
        """The latest attempt's bytes were handed over."""
        return self.body is not None and self.body.left

    @property
    def outcome_if_cut(self) -> Outcome:
        """What is known if the call ends here and now."""
        if self.error is not None and self.doubt is None:
            return self._with_earlier(self.error.outcome)
        if not self.operation.writes:
            return Outcome.UNKNOWN if self.attempts else Outcome.NOT_SENT
        if self.result is not None:
            return Outcome.APPLIED
        if self.doubt is not None or self.has_left:
            return Outcome.UNKNOWN
        return self._with_earlier(Outcome.NOT_SENT)

    @property
    def outcome_of_success(self) -> Outcome | None:
        """APPLIED for a write; a read applies nothing."""
        return Outcome.APPLIED if self.operation.writes else None

    def begin_attempt(self) -> None:
        """Forget how the one before ended, except for the doubt that it left."""
        self.error = self.status = None

    def fail_attempt(self, error: ResellerError) -> None:
        """Remember how it ended."""
        self.error = error
        if error.outcome is not Outcome.NOT_SENT:
            self.reached = error.outcome
        if self.operation.writes and error.outcome is Outcome.UNKNOWN:
            self.doubt = error

    def succeed(self, result: T) -> T:
        """Remember what came, with its key where a journal records it."""
        if self.guard is not None:
            result = cast("T", self.guard.sign(cast("TransferReceipt", result)))
        self.result = result
        return result

    def conclude(self, error: ResellerError) -> ResellerError:
        """Say what is known: the one place that turns doubt about a write into its error."""
        error.operation, error.attempts = self.operation.name, self.attempts
        if self.doubt is None:
            error.outcome = self._with_earlier(error.outcome)
        if self.guard is not None:
            self.guard.mark(error)
        failure = self._in_doubt(error) if self._is_doubtful(error) else error
        for link in chain(failure):
            link.__traceback__ = None  # frames hold body, headers and raw answer
        self.outcome = failure.outcome
        return failure

    def conclude_limited(self, error: Exception) -> Exception:
        """Hand on what the limiter raised, unless an earlier attempt left doubt."""
        if self.doubt is None:
            self.outcome = self._with_earlier(Outcome.NOT_SENT)
            earlier = f" this time, and the attempt before was {self.reached}"
            note = f"nothing was sent{earlier if self.reached else ''}"
            if note not in getattr(error, "__notes__", ()):  # one object may be raised each time
                error.add_note(note)
            return error
        failure = self.conclude(self.doubt)
        failure.add_note(f"before the next attempt the limiter failed: {error!r}")
        return failure

    def cut_off(self, *, closed: bool) -> ResellerError:
        """Make the error of an attempt that aclose() cut, or something inside it."""
        who = "the client was closed" if closed else "the attempt was cancelled from within"
        fact = f"{who} before the answer came"
        if self.has_left or (self.attempts and not self.operation.writes):
            return APIConnectionError(fact, outcome=Outcome.UNKNOWN)
        return ClientStateError(fact) if closed else APIConnectionError(fact, permanent=True)

    def _with_earlier(self, outcome: Outcome) -> Outcome:
        """Give what is known: this attempt never left, but one before it may have."""
        if outcome is Outcome.NOT_SENT and self.reached is not None:
            return self.reached
        return outcome

    def _is_doubtful(self, error: ResellerError) -> bool:
        if not self.operation.writes or isinstance(error, OutcomeUnknownError):
            return False
        if error.outcome is Outcome.APPLIED:
            return False
        return error.outcome is Outcome.UNKNOWN or self.doubt is not None

    def _in_doubt(self, error: ResellerError) -> OutcomeUnknownError:
        fact = error.message
        if self.doubt is not None and self.doubt is not error:
            fact = f"an attempt may have been applied ({self.doubt.message}), and later: {fact}"
        unknown = self._unknown(fact)
        unknown.operation, unknown.attempts = error.operation, error.attempts
        unknown.__cause__ = error
        return unknown

    def _unknown(self, fact: str) -> OutcomeUnknownError:
        if self.operation.returns is not TransferReceipt:
            return OutcomeUnknownError(fact)
        transfer = cast("dict[str, Any]", self.operation.body)
        key = self.guard.key if self.guard else None
        return TransferOutcomeUnknownError(fact, **transfer, idempotency_key=key)


def end_of_attempt(task: asyncio.Task[Any], call: CallState[Any]) -> tuple[Outcome, str]:
    """Give what is known of an attempt whose caller had gone, and its description."""
    if call.result is not None:
        return Outcome.APPLIED, "applied"
    error = None if task.cancelled() else task.exception()
    if isinstance(error, ResellerError):
        return error.outcome, f"{error.outcome.value} ({error.message})"
    return Outcome.UNKNOWN, "cut off, outcome unknown"

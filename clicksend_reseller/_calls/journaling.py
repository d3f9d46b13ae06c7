"""The claim of a transfer's key before it leaves, and its settlement afterwards.

The journal is a guard, not an engine: `intended -> sent` is one compare-and-set, durable before
the first byte leaves, and there is no way back from `sent`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Coroutine, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypedDict, TypeVar, Unpack, runtime_checkable

import attrs

from clicksend_reseller._calls.tasks import StepCutError, shielded, was_cancelled
from clicksend_reseller._wire.keys import fault_of_key, key_in, normalized
from clicksend_reseller._wire.limits import SETTLE_SECONDS
from clicksend_reseller._wire.refusals import refusal
from clicksend_reseller.errors import (
    APIResponseError,
    APIStatusError,
    JournalError,
    KeyReusedError,
    ResellerError,
    TransferOutcomeUnknownError,
    UnsettledTransferError,
)
from clicksend_reseller.models import Outcome, Transfer, TransferReceipt

T = TypeVar("T")
_logger = logging.getLogger("clicksend_reseller")

NOT_SENT = "not sent"


class TransferState(StrEnum):
    """Where a round of a transfer stands in a journal.

    Attributes:
        INTENDED: recorded; nothing has left.
        SENT: may have left; nobody sends it again.
        CONFIRMED: the API said success.
        REJECTED: the API said no, or it was stopped after the claim before anything left.
        UNKNOWN: the answer is lost.
        REFUTED: withdrawn before it left, or found not applied by a person.
    """

    INTENDED = "intended"
    SENT = "sent"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    REFUTED = "refuted"


@attrs.frozen(kw_only=True)
class JournalEntry:
    """One round of a transfer, as a journal has it on record. Times in UTC.

    Attributes:
        key: the caller's idempotency key, or a minted one.
        round: 1, and one more for each renewal after a refusal.
        realm: the base URL and user name it belongs to; None until it is claimed.
        attempt: the id of the attempt that claimed it.
        queued: put in for somebody else to pay, not recorded by the call that pays.
        rounds: all rounds of the key, oldest first; empty where only one was asked for.
    """

    key: str
    client_user_id: int
    amount: int
    currency: str
    state: TransferState
    round: int = 1
    realm: str | None = None
    attempt: str | None = None
    queued: bool = False
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None
    status_code: int | None = None
    response_code: str | None = None
    response_msg: str | None = None
    created_at: datetime | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    by: str | None = None
    note: str | None = None
    rounds: tuple[JournalEntry, ...] = ()


@runtime_checkable
class TransferJournal(Protocol):
    """What the client asks of a journal. Each step runs to its end, even if the caller is gone.

    What a step raises becomes a JournalError; before the claim has succeeded nothing is sent.
    """

    async def intend(self, transfer: Transfer, *, realm: str) -> JournalEntry:
        """Record a transfer, or give the newest round that is on record for its key.

        Raises:
            Exception: it could not be recorded, so nothing is sent.
        """
        ...

    async def claim(self, key: str, round: int, *, realm: str, attempt: str) -> bool:  # noqa: A002 - the column's name
        """Turn `intended` into `sent`, durably before returning; False if someone else has.

        Raises:
            UnsettledTransferError: another transfer to this client is open.
        """
        ...

    async def settle(
        self,
        key: str,
        round: int,  # noqa: A002 - the column's name
        attempt: str,
        state: TransferState,
        *,
        balance_after: Decimal | None = None,
        status_code: int | None = None,
        response_code: str | None = None,
        response_msg: str | None = None,
    ) -> bool:
        """Record what became of the attempt that claimed a round; False if it was not open.

        REFUTED for a round still `intended` withdraws it.

        Raises:
            Exception: it could not be recorded; the round stays `sent`, for a person to judge.
        """
        ...


class _Details(TypedDict, total=False):
    balance_after: Decimal | None
    status_code: int | None
    response_code: str | None
    response_msg: str | None


class TransferGuard:
    """The journal's part in one transfer.

    Args:
        journal: where it is recorded.
        transfer: with its key.
        realm: the base URL and user name that the key belongs to.
        minted: the key is ours, so nobody will come back with it.
    """

    def __init__(
        self, journal: TransferJournal, transfer: Transfer, *, realm: str, minted: bool
    ) -> None:
        self.key = normalized(transfer.idempotency_key)
        self._journal = journal
        self._transfer = transfer
        self._realm = realm
        self._minted = minted
        self._round = 1
        self._attempt = uuid.uuid4().hex
        self._claimed = False
        self._claim_in_doubt = False
        self._withdrawn = False

    async def open(self) -> TransferReceipt | None:
        """Record the transfer; give the receipt if it has been made before.

        It runs in a task of its own, which the caller's cancellation does not reach.

        Raises:
            JournalError: it must not be sent.
            TransferOutcomeUnknownError: it was sent before and nobody knows.
            APIStatusError: it was refused before.
        """
        entry = await self._step(self._intend())
        self._compare(entry)
        self._round = entry.round
        match entry.state:
            case TransferState.INTENDED:
                return None
            case TransferState.CONFIRMED:
                return self._receipt()
            case TransferState.SENT | TransferState.UNKNOWN:
                raise self._unknown(entry)
            case _:  # REJECTED, REFUTED, and any word of a journal's that is not known here
                raise self._refused_before(entry)

    async def claim(self) -> None:
        """Make this attempt the one that may send; called when the first byte wants to leave."""
        self._claim_in_doubt = True  # already now: a caller may leave before the step's first turn
        await self._step(shielded(self._claim()))
        if not self._claimed:
            raise UnsettledTransferError(
                f"the transfer with key {self.key!r} is being sent by someone else, "
                "or has been sent: ask the journal what became of it",
                permanent=True,
            )

    def sign(self, receipt: TransferReceipt) -> TransferReceipt:
        """Put the key on a receipt."""
        return attrs.evolve(receipt, idempotency_key=self.key)

    def mark(self, error: ResellerError) -> None:
        """Say on an error that a round was used up though nothing left."""
        # A claim that failed leaves it intended, or in a doubt that the next call will report,
        # unless the round could be settled.
        used_up = self._claimed if isinstance(error, JournalError) else self.claimed
        if used_up and error.outcome is Outcome.NOT_SENT:
            error.needs_renewal = True

    async def settle(
        self,
        receipt: TransferReceipt | None,
        error: ResellerError | None,
        *,
        status_code: int | None,
        left: bool,
    ) -> None:
        """Record how an attempt ended; a receipt stands whatever the journal does."""
        if receipt is not None:
            await self._settle(
                TransferState.CONFIRMED,
                balance_after=receipt.balance_after,
                status_code=status_code,
                response_code="SUCCESS",
            )
        elif self._claim_in_doubt:
            # It may be on record all the same, and would then stay `sent` for a person to judge.
            settled = await self._settle_if_open(TransferState.REJECTED, response_msg=NOT_SENT)
            self._claimed = settled is True
        elif self._claimed and not left:
            await self._settle(TransferState.REJECTED, response_msg=NOT_SENT)
        elif self._claimed:
            await self._settle(_state_after(error), **_details_of(error))

    async def withdraw(self) -> None:
        """Leave no work behind under a minted key that nothing was sent for."""
        if self._minted and not self._claimed and not self._withdrawn:
            self._withdrawn = True
            await self._settle_if_open(TransferState.REFUTED, response_msg=NOT_SENT)

    @property
    def claimed(self) -> bool:
        """This attempt won the right to send, or may have, so no other may follow it."""
        return self._claimed or self._claim_in_doubt

    async def _intend(self) -> JournalEntry:
        transfer = self._transfer
        if transfer.idempotency_key != self.key:
            key = await key_in(self._journal, transfer.idempotency_key)
            transfer = attrs.evolve(transfer, idempotency_key=key)
        entry: object = await self._journal.intend(transfer, realm=self._realm)
        if not isinstance(entry, JournalEntry) or normalized(entry.key) != self.key:
            raise TypeError(f"intend() must give the entry of its key, not {entry!r:.80}")
        self.key = entry.key
        return entry

    async def _claim(self) -> None:
        try:
            won: object = await self._journal.claim(
                self.key, self._round, realm=self._realm, attempt=self._attempt
            )
            if not isinstance(won, bool):  # a rowcount of -1 would be true
                raise TypeError(f"claim() must give True or False, not {won!r}")
            # Within the step, so that a claim is known of even if its task was cancelled meanwhile.
            self._claimed = won
        except UnsettledTransferError:
            self._claim_in_doubt = False
            raise
        self._claim_in_doubt = False

    def _compare(self, entry: JournalEntry) -> None:
        wanted = (self._transfer.client_user_id, self._transfer.amount, self._transfer.currency)
        on_record = (entry.client_user_id, entry.amount, entry.currency)
        if on_record != wanted:
            raise KeyReusedError(
                f"the key {self.key!r} is on record for {_words(*on_record)}, "
                f"not for {_words(*wanted)}: use another key for another transfer"
            )
        if entry.realm not in {None, self._realm}:
            raise KeyReusedError(
                f"the key {self.key!r} is on record for {entry.realm!r}, not for {self._realm!r}"
            )

    def _receipt(self) -> TransferReceipt:
        return TransferReceipt(**self._on_record(), replayed=True)

    def _unknown(self, entry: JournalEntry) -> TransferOutcomeUnknownError:
        fact = f"the journal has it on record as {str(entry.state)!r}"
        return TransferOutcomeUnknownError(fact, **self._on_record())

    def _on_record(self) -> dict[str, Any]:
        return {**attrs.asdict(self._transfer), "idempotency_key": self.key}

    def _refused_before(self, entry: JournalEntry) -> ResellerError:
        renewal = f"renew({self.key!r}) in the journal opens another round"
        if entry.state is TransferState.REJECTED and entry.status_code is not None:
            error = refusal(entry.status_code, entry.response_code, entry.response_msg or "")
            error.advice = f"this is the journal's record, nothing was sent now; {renewal}"
            return error
        used_up = JournalError(
            f"the transfer with key {self.key!r} is on record as {str(entry.state)!r} "
            f"({entry.response_msg or entry.note or 'no reason given'}); {renewal}",
            permanent=True,
        )
        used_up.needs_renewal = True
        return used_up

    async def _step(self, step: Coroutine[Any, Any, T]) -> T:
        try:
            return await step
        except ResellerError:
            raise
        except asyncio.CancelledError as exc:
            if was_cancelled():
                raise
            raise _failure(StepCutError("it was cancelled from within")) from exc
        except Exception as exc:
            raise _failure(exc) from exc

    async def _settle(self, state: TransferState, **details: Unpack[_Details]) -> None:
        if await self._settle_if_open(state, **details) is False:
            _logger.error(
                "the transfer of %s with key %r ended as %r, but its round was settled before",
                *self._ended(state),
                extra=self._fields(state),
            )

    async def _settle_if_open(
        self, state: TransferState, **details: Unpack[_Details]
    ) -> bool | None:
        """Write down the end; None of a journal that fails, which must not hide what happened."""
        try:
            step = self._journal.settle(self.key, self._round, self._attempt, state, **details)
            return await shielded(step, SETTLE_SECONDS)
        except Exception:
            _logger.exception(
                "the transfer of %s with key %r ended as %r, but the journal could not record it",
                *self._ended(state),
                extra=self._fields(state),
            )
            return None

    def _ended(self, state: TransferState) -> tuple[str, str, str]:
        moved = self._transfer
        words = _words(moved.client_user_id, moved.amount, moved.currency)
        return words, self.key, state.value

    def _fields(self, state: TransferState) -> dict[str, object]:
        fields = {**attrs.asdict(self._transfer), "operation": "transfer_credit", "state": state}
        return {f"clicksend_{name}": value for name, value in fields.items()}


def make_guard(
    journal: TransferJournal, body: Mapping[str, Any], *, key: str | None, realm: str
) -> TransferGuard:
    """Make the guard of one transfer, under a minted key where the caller gave none."""
    if key is not None and not isinstance(key, str):
        raise TypeError(f"idempotency_key must be a str, not {key!r}")
    if key is not None and (fault := fault_of_key(key)):
        raise ValueError(f"idempotency_key {fault}")
    transfer = Transfer(idempotency_key=key or f"auto-{uuid.uuid4().hex}", **body)
    return TransferGuard(journal, transfer, realm=realm, minted=key is None)


def _state_after(error: ResellerError | None) -> TransferState:
    refused = isinstance(error, APIStatusError) and error.outcome is Outcome.REJECTED
    return TransferState.REJECTED if refused else TransferState.UNKNOWN


def _details_of(error: ResellerError | None) -> _Details:
    match error:
        case APIStatusError():
            return {
                "status_code": error.status_code,
                "response_code": error.response_code,
                "response_msg": error.response_msg or error.message,
            }
        case APIResponseError():
            return {"status_code": error.status_code, "response_msg": error.message}
        case ResellerError():
            return {"response_msg": error.message}
        case _:
            return {"response_msg": "cut off"}


def _failure(exc: Exception) -> JournalError:
    return JournalError(f"the journal failed ({type(exc).__name__}: {exc})", permanent=True)


def _words(client_user_id: int, amount: int, currency: str) -> str:
    return f"{amount} {currency} to client {client_user_id}"

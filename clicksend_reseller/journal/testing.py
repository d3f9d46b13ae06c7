"""A stock suite for anybody's journal, which needs no library for tests.

Subclass `JournalPromises` in a test file, and say how your journal is opened::

    class TestMyJournal(JournalPromises):
        def open(self):
            return MyJournal("…")  # an async context manager; twice at once means two machines

pytest collects its methods, which are plain functions and run an event loop of their own. They
use new keys and clients each time, so the store may be an old one.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import attrs

from clicksend_reseller import (
    JournalEntry,
    KeyReusedError,
    Transfer,
    TransferJournal,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller._wire.limits import MAX_INT

__all__ = ["JournalPromises"]

Promise = Callable[["JournalPromises"], Coroutine[Any, Any, None]]

_INTENDED, _SENT = TransferState.INTENDED, TransferState.SENT
_CONFIRMED, _REJECTED = TransferState.CONFIRMED, TransferState.REJECTED
_UNKNOWN, _REFUTED = TransferState.UNKNOWN, TransferState.REFUTED


class BrokenPromiseError(AssertionError):
    """A journal did what it must not, or did not what it must."""


def _run_sync(promise: Promise) -> Callable[[JournalPromises], None]:
    @functools.wraps(promise)
    def run(self: JournalPromises) -> None:
        asyncio.run(promise(self))

    return run


class JournalPromises:
    """What the client relies on, a method for each promise.

    Attributes:
        one_open_per_client: set it to False where yours allows several on purpose.
        racers: how many claim one key at once.
    """

    one_open_per_client: ClassVar[bool] = True
    racers: ClassVar[int] = 8

    def open(self) -> AbstractAsyncContextManager[TransferJournal]:
        """Open the journal; each call is another process on the same store."""
        raise NotImplementedError("say how your journal is opened")

    @_run_sync
    async def test_a_new_key_is_intended(self) -> None:
        """What is given is what is on record, in its first round."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            entry = await journal.intend(transfer, realm=realm)
        _expect(_values(transfer, _INTENDED, 1), _values_of(entry), "intend() of a new key")
        _expect(expected=True, found=entry.realm in {None, realm}, what="its realm is ours or none")

    @_run_sync
    async def test_a_known_key_gives_what_is_on_record(self) -> None:
        """Whatever is asked for now: the client compares, and refuses."""
        transfer = _transfer()
        other = attrs.evolve(transfer, amount=transfer.amount + 1)
        async with self.open() as journal:
            await journal.intend(transfer, realm=_realm())
            for again in (transfer, other):
                try:
                    entry = await journal.intend(again, realm=_realm())
                except KeyReusedError:
                    continue
                _expect(
                    _values(transfer, _INTENDED, 1), _values_of(entry), "intend() of a known key"
                )

    @_run_sync
    async def test_a_claim_outlives_the_journal(self) -> None:
        """Another process finds the round sent."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            await journal.intend(transfer, realm=realm)
            _expect(expected=True, found=await self._claim(journal, transfer, realm), what="claim")
        async with self.open() as journal:
            entry = await journal.intend(transfer, realm=realm)
            again = await self._claim(journal, transfer, realm)
        _expect(_values(transfer, _SENT, 1), _values_of(entry), "a claimed round")
        _expect(expected=False, found=again, what="a second claim of the round")

    @_run_sync
    async def test_one_of_many_claims_wins(self) -> None:
        """At once, from two processes."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as one, self.open() as two:
            await one.intend(transfer, realm=realm)
            claims = [
                self._claim(journal, transfer, realm, attempt=str(n))
                for n in range(self.racers)
                for journal in (one, two)
            ]
            found = await asyncio.gather(*claims)
            entry = await two.intend(transfer, realm=realm)
        _expect(1, found.count(True), "claims that won")
        _expect(2 * self.racers - 1, found.count(False), "claims that lost")
        winner = str(found.index(True) // 2)
        _expect(winner, entry.attempt, "the attempt on record")

    @_run_sync
    async def test_a_claim_belongs_to_its_realm(self) -> None:
        """A key used against a sandbox never answers for the live account."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            await journal.intend(transfer, realm=realm)
            entry = await journal.intend(transfer, realm=realm)
            if entry.realm is not None:
                stranger = await self._claim(journal, transfer, _realm())
                _expect(expected=False, found=stranger, what="a claim from another realm")
            _expect(expected=True, found=await self._claim(journal, transfer, realm), what="claim")
            entry = await journal.intend(transfer, realm=realm)
        _expect(realm, entry.realm, "the realm of a claimed round")

    @_run_sync
    async def test_nothing_is_claimed_that_was_not_intended(self) -> None:
        """Neither an unknown key nor a round that there is not."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            unknown = await self._claim(journal, transfer, realm)
            await journal.intend(transfer, realm=realm)
            absent = await journal.claim(transfer.idempotency_key, 2, realm=realm, attempt="a")
        _expect(expected=False, found=unknown, what="a claim of an unknown key")
        _expect(expected=False, found=absent, what="a claim of a round that there is not")

    @_run_sync
    async def test_a_settled_round_is_never_claimed_again(self) -> None:
        """There is no way back from `sent`."""
        for state in (_CONFIRMED, _REJECTED, _UNKNOWN):
            transfer, realm = _transfer(), _realm()
            async with self.open() as journal:
                await journal.intend(transfer, realm=realm)
                await self._claim(journal, transfer, realm)
                settled = await self._settle(journal, transfer, state)
                again = await self._claim(journal, transfer, realm, attempt="b")
                entry = await journal.intend(transfer, realm=realm)
            _expect(expected=True, found=settled, what=f"settle() as {state.value}")
            _expect(expected=False, found=again, what=f"a claim of what is {state.value}")
            _expect(_values(transfer, state, 1), _values_of(entry), "a settled round")

    @_run_sync
    async def test_only_the_attempt_that_claimed_settles(self) -> None:
        """Nobody else knows what became of it."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            await journal.intend(transfer, realm=realm)
            early = await self._settle(journal, transfer, _CONFIRMED)
            await self._claim(journal, transfer, realm)
            stranger = await self._settle(journal, transfer, _CONFIRMED, attempt="b")
            entry = await journal.intend(transfer, realm=realm)
        _expect(expected=False, found=early, what="settling what was not claimed")
        _expect(expected=False, found=stranger, what="settling somebody else's attempt")
        _expect(_values(transfer, _SENT, 1), _values_of(entry), "the round that nobody settled")

    @_run_sync
    async def test_a_stranger_s_settlement_changes_nothing(self) -> None:
        """Whatever it says, and before and after the round was settled by its own attempt."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            await journal.intend(transfer, realm=realm)
            await self._claim(journal, transfer, realm)
            await self._expect_no_stranger(journal, transfer, realm, _SENT)
            own = await self._settle(journal, transfer, _REJECTED)
            await self._expect_no_stranger(journal, transfer, realm, _REJECTED)
        _expect(expected=True, found=own, what="settling the own attempt")

    @_run_sync
    async def test_a_claimed_round_refuses_another_realm(self) -> None:
        """It stays with the account that may have been asked to pay it."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            await journal.intend(transfer, realm=realm)
            await self._claim(journal, transfer, realm)
            stranger = await self._claim(journal, transfer, _realm(), attempt="b")
            entry = await journal.intend(transfer, realm=realm)
        _expect(expected=False, found=stranger, what="a claim from another realm")
        _expect((_SENT, realm, "a"), (entry.state, entry.realm, entry.attempt), "the round")

    @_run_sync
    async def test_the_spellings_of_one_text_are_one_key(self) -> None:
        """An accent of one code point or of two; the entry has the key to claim by."""
        realm = _realm()
        for first, second in (("\u00e9", "e\u0301"), ("e\u0301", "\u00e9")):
            transfer = _transfer()
            key = transfer.idempotency_key
            async with self.open() as journal:
                one = attrs.evolve(transfer, idempotency_key=f"{key}-{first}")
                entry = await journal.intend(one, realm=realm)
                on_record = attrs.evolve(transfer, idempotency_key=entry.key)
                await self._claim(journal, on_record, realm)
                other = attrs.evolve(transfer, idempotency_key=f"{key}-{second}")
                again = await journal.intend(other, realm=realm)
            _expect((entry.key, _SENT), (again.key, again.state), "the key in another spelling")

    @_run_sync
    async def test_a_decision_is_written_whatever_its_text_is(self) -> None:
        """What a server says may not fit into the store; what became of the money must."""
        for text in ("no \u2013 not today", "\N{MONEY BAG}", "a\0b", "\ud800", "x" * 100_000):
            transfer, realm = _transfer(), _realm()
            async with self.open() as journal:
                await journal.intend(transfer, realm=realm)
                await self._claim(journal, transfer, realm)
                found = await self._settle(journal, transfer, _REJECTED, text=text)
                entry = await journal.intend(transfer, realm=realm)
            _expect(expected=True, found=found, what=f"settle() with the text {text!r:.20}")
            _expect(_values(transfer, _REJECTED, 1), _values_of(entry), "the settled round")

    @_run_sync
    async def test_a_round_that_never_left_is_withdrawn(self) -> None:
        """Then it is never sent; what was claimed is not withdrawn."""
        transfer, realm = _transfer(), _realm()
        async with self.open() as journal:
            await journal.intend(transfer, realm=realm)
            withdrawn = await self._settle(journal, transfer, _REFUTED)
            claimed = await self._claim(journal, transfer, realm)
        _expect(expected=True, found=withdrawn, what="settle() as refuted of an intended round")
        _expect(expected=False, found=claimed, what="a claim of a withdrawn round")

    @_run_sync
    async def test_an_unknown_round_may_not_be_settled_as_if_open(self) -> None:
        """A key that is not on record has no end."""
        async with self.open() as journal:
            found = await self._settle(journal, _transfer(), _CONFIRMED)
        _expect(expected=False, found=found, what="settling an unknown key")

    @_run_sync
    async def test_a_client_has_one_open_transfer(self) -> None:
        """While one is sent or unknown, another one to it is refused and stays intended."""
        if not self.one_open_per_client:
            return
        first, realm = _transfer(), _realm()
        second = attrs.evolve(_transfer(), client_user_id=first.client_user_id)
        async with self.open() as journal:
            for transfer in (first, second):
                await journal.intend(transfer, realm=realm)
            await self._claim(journal, first, realm)
            await self._expect_blocked(journal, second, realm, first)
            await self._settle(journal, first, _UNKNOWN)
            await self._expect_blocked(journal, second, realm, first)
            entry = await journal.intend(second, realm=realm)
        _expect(_values(second, _INTENDED, 1), _values_of(entry), "the round that had to wait")

    @_run_sync
    async def test_a_settled_transfer_frees_its_client(self) -> None:
        """Confirmed and rejected are ends."""
        realm, client = _realm(), _transfer().client_user_id
        async with self.open() as journal:
            for state in (_CONFIRMED, _REJECTED):
                transfer = attrs.evolve(_transfer(), client_user_id=client)
                await journal.intend(transfer, realm=realm)
                won = await self._claim(journal, transfer, realm)
                _expect(expected=True, found=won, what="a claim after the one before was settled")
                await self._settle(journal, transfer, state)

    # --- steps

    async def _claim(
        self, journal: TransferJournal, transfer: Transfer, realm: str, *, attempt: str = "a"
    ) -> bool:
        return await journal.claim(transfer.idempotency_key, 1, realm=realm, attempt=attempt)

    async def _settle(
        self,
        journal: TransferJournal,
        transfer: Transfer,
        state: TransferState,
        *,
        attempt: str = "a",
        text: str = "said so",
    ) -> bool:
        return await journal.settle(
            transfer.idempotency_key, 1, attempt, state, status_code=200, response_msg=text
        )

    async def _expect_no_stranger(
        self, journal: TransferJournal, transfer: Transfer, realm: str, state: TransferState
    ) -> None:
        for wanted in (_CONFIRMED, _REJECTED, _UNKNOWN, _REFUTED):
            found = await self._settle(journal, transfer, wanted, attempt="b", text="by another")
            _expect(expected=False, found=found, what=f"somebody else's settle() as {wanted.value}")
        entry = await journal.intend(transfer, realm=realm)
        _expect((state, "a"), (entry.state, entry.attempt), "what nobody else has settled")
        if entry.response_msg == "by another":
            raise BrokenPromiseError("the round has the words of somebody else's settle()")

    async def _expect_blocked(
        self, journal: TransferJournal, transfer: Transfer, realm: str, other: Transfer
    ) -> None:
        try:
            await self._claim(journal, transfer, realm)
        except UnsettledTransferError as error:
            named = other.idempotency_key in str(error)
            _expect(expected=True, found=named, what="the error names the key in the way")
        else:
            raise BrokenPromiseError("a second transfer to one client was not refused")


def _transfer() -> Transfer:
    return Transfer(
        idempotency_key=f"promise-{secrets.token_hex(8)}",
        client_user_id=1 + secrets.randbelow(MAX_INT),
        amount=5,
        currency="AUD",
    )


def _realm() -> str:
    return f"http://localhost/v3 as {secrets.token_hex(4)}"


def _values(transfer: Transfer, state: TransferState, number: int) -> tuple[object, ...]:
    return (*attrs.astuple(transfer), state, number)


def _values_of(entry: JournalEntry) -> tuple[object, ...]:
    values = (entry.key, entry.client_user_id, entry.amount, entry.currency)
    return (*values, entry.state, entry.round)


def _expect(expected: object, found: object, what: str) -> None:
    if expected != found:
        raise BrokenPromiseError(f"{what}: expected {expected!r}, found {found!r}")

"""What is a journal without a database? One that keeps its rounds in a dict, for tests.

It keeps the protocol's promises: claiming is one compare-and-set, a client has one open transfer,
a key belongs to its realm, and only the attempt that claimed a round settles it. Nothing between
two `await`s is ever seen half done, so the dict is as good as a transaction.
"""

import unicodedata
from collections.abc import Awaitable, Callable
from decimal import Decimal

import attrs

from clicksend_reseller._calls.journaling import JournalEntry, TransferState
from clicksend_reseller.errors import UnsettledTransferError
from clicksend_reseller.models import Transfer

Hook = Callable[[], Awaitable[None]]

OPEN = frozenset({TransferState.SENT, TransferState.UNKNOWN})
RENEWABLE = frozenset({TransferState.REJECTED, TransferState.REFUTED})


class MemoryJournal:
    """A `TransferJournal` whose steps can be made slow, failing or dying.

    Attributes:
        rounds: the rounds of each key, oldest first.
        steps: the steps that have begun, in order: "intend", "claim", "settle".
        ended: the steps that ran to their end.
        before: for a step's name, what it waits for before it changes anything; raising there
            is a journal that failed.
        after: for a step's name, what follows the change; raising there is a journal that died
            with its work done.
    """

    def __init__(self) -> None:
        self.rounds: dict[str, list[JournalEntry]] = {}
        self.steps: list[str] = []
        self.ended: list[str] = []
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}

    # --- the protocol

    async def intend(self, transfer: Transfer, *, realm: str) -> JournalEntry:
        await self._begin("intend")
        entry = JournalEntry(
            key=unicodedata.normalize("NFC", transfer.idempotency_key),
            client_user_id=transfer.client_user_id,
            amount=transfer.amount,
            currency=transfer.currency,
            state=TransferState.INTENDED,
        )
        newest = self.rounds.setdefault(entry.key, [entry])[-1]
        await self._end("intend")
        return newest

    async def claim(self, key: str, round: int, *, realm: str, attempt: str) -> bool:  # noqa: A002 - the protocol's
        await self._begin("claim")
        rounds = self.rounds.get(key, [])
        if round > len(rounds):
            await self._end("claim")
            return False
        entry = rounds[round - 1]
        won = entry.state is TransferState.INTENDED and entry.realm in {None, realm}
        if won:
            self._refuse_second_open(entry, realm)
            sent = attrs.evolve(entry, state=TransferState.SENT, realm=realm, attempt=attempt)
            self._keep(sent)
        await self._end("claim")
        return won

    async def settle(
        self,
        key: str,
        round: int,  # noqa: A002 - the protocol's
        attempt: str,
        state: TransferState,
        *,
        balance_after: Decimal | None = None,
        status_code: int | None = None,
        response_code: str | None = None,
        response_msg: str | None = None,
    ) -> bool:
        await self._begin("settle")
        rounds = self.rounds.get(key, [])
        entry = rounds[round - 1] if rounds else None
        is_open = entry is not None and self._may_settle(entry, attempt, state)
        if entry is not None and is_open:
            settled = attrs.evolve(
                entry,
                state=state,
                balance_after=balance_after,
                status_code=status_code,
                response_code=response_code,
                response_msg=response_msg,
            )
            self._keep(settled)
        await self._end("settle")
        return is_open

    # --- what a person does

    def put(self, entry: JournalEntry) -> None:
        """Have a round on record."""
        self.rounds.setdefault(entry.key, []).append(entry)

    def renew(self, key: str) -> int:
        """Open another round after a refusal."""
        newest = self.newest(key)
        if newest.state not in RENEWABLE:
            raise ValueError(f"{key!r} is {newest.state.value!r}, and only a refusal is renewed")
        number = newest.round + 1
        self.put(
            JournalEntry(
                key=key,
                client_user_id=newest.client_user_id,
                amount=newest.amount,
                currency=newest.currency,
                state=TransferState.INTENDED,
                round=number,
                realm=newest.realm,
            )
        )
        return number

    # --- what a test asks

    def newest(self, key: str) -> JournalEntry:
        """Give the newest round of a key."""
        return self.rounds[key][-1]

    @property
    def only(self) -> JournalEntry:
        """The one round on record."""
        [[entry]] = self.rounds.values()
        return entry

    @property
    def states(self) -> dict[str, list[TransferState]]:
        """The states of each key's rounds."""
        return {key: [entry.state for entry in rounds] for key, rounds in self.rounds.items()}

    # --- inside

    def _refuse_second_open(self, entry: JournalEntry, realm: str) -> None:
        for rounds in self.rounds.values():
            for other in rounds:
                same_client = (other.realm, other.client_user_id) == (realm, entry.client_user_id)
                if same_client and other.state in OPEN:
                    raise UnsettledTransferError(
                        f"the transfer with key {other.key!r} to the same client is open"
                    )

    def _may_settle(self, entry: JournalEntry, attempt: str, state: TransferState) -> bool:
        if entry.state is TransferState.INTENDED:
            return state is TransferState.REFUTED
        return entry.state is TransferState.SENT and entry.attempt == attempt

    def _keep(self, changed: JournalEntry) -> None:
        self.rounds[changed.key][changed.round - 1] = changed

    async def _begin(self, step: str) -> None:
        self.steps.append(step)
        if step in self.before:
            await self.before[step]()

    async def _end(self, step: str) -> None:
        if step in self.after:
            await self.after[step]()
        self.ended.append(step)


def raises(error: BaseException) -> Hook:
    """Make a hook that fails."""

    async def hook() -> None:
        raise error

    return hook

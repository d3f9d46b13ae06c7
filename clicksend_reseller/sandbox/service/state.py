"""The state of a sandbox: the accounts, the credit, and a ledger of every transfer."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from functools import reduce
from itertools import count
from random import Random
from typing import Any

import attrs

from clicksend_reseller._wire.limits import MAX_INT
from clicksend_reseller._wire.money import minus, plus
from clicksend_reseller.sandbox.service.accounts import Client
from clicksend_reseller.sandbox.service.faults import Fault, FaultTable
from clicksend_reseller.sandbox.service.money import check_rate, convert, money
from clicksend_reseller.sandbox.service.quirks import Quirks

REQUESTS_KEPT = 10_000
BALANCES_KEPT = 60


class ShortOfCreditError(Exception):
    """Raised where a transfer would leave less than nothing on the paying side."""


@attrs.frozen(kw_only=True)
class Entry:
    """One transfer that was applied.

    Attributes:
        n: counted from 1.
        time: by the sandbox's clock.
        amount: as the caller asked, in ``currency``.
        balance_after: the client's, in the client's currency.
        credit_after: the reseller's, in the reseller's currency.
        request: the number of the request that caused it.
        told: the whole answer was delivered to the caller.
    """

    n: int
    time: float
    client_user_id: int
    amount: Decimal
    currency: str
    balance_after: Decimal
    credit_after: Decimal
    request: int
    told: bool = False


MONEY_OF_ENTRY = ("amount", "balance_after", "credit_after")


@attrs.frozen(kw_only=True)
class LoggedRequest:
    """One request that arrived.

    Attributes:
        n: counted from 1.
        time: by the sandbox's clock.
        operation: the client's method; None for an unknown route.
        client_user_id: whom it is about, where it says so.
        query: with passwords and keys masked.
        authorization: the scheme; what proves who is asking is masked.
        body: may hold a password.
        status: of the answer that was meant for the caller; None where the request was dropped.
        fault: the kind that was used.
        entry: the number of the transfer that it caused.
        answer: the body that was meant for the caller; empty where the request was dropped.
    """

    n: int
    time: float
    method: str
    path: str
    query: str
    operation: str | None
    client_user_id: int | None
    authorization: str
    body: bytes = attrs.field(repr=False)
    status: int | None
    fault: str | None
    entry: int | None = None
    answer: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Balance:
    """What a client had from some time on; None is the beginning.

    Attributes:
        entry: the number of the transfer that made it so; None where the client spent.
    """

    since: float | None
    amount: Decimal
    entry: int | None = None


@attrs.frozen(kw_only=True)
class Setup:
    """What a state is when it begins, and again after a reset."""

    clients: tuple[Client, ...]
    standing_faults: tuple[Fault, ...]
    credit: Decimal
    currency: str
    username: str
    api_key: str = attrs.field(repr=False)
    quirks: Quirks
    rates: Mapping[str, Decimal]
    seed: int
    clock: Callable[[], float]


class SandboxState:
    """The state behind the API; nothing in it waits or does I/O.

    Attributes:
        lock: held by whoever changes the state, or reads more than one thing of it: a served
            sandbox may be steered from another thread.
        watchers: called after each change, in whichever thread made it.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.revision: int = 0
        self.lock: AbstractContextManager[Any] = threading.RLock()
        self.watchers: list[Callable[[], None]] = []
        self._begin()

    def _begin(self) -> None:
        setup = self.setup
        self.clients: dict[int, Client] = {client.user_id: client for client in setup.clients}
        self.credit: Decimal = setup.credit
        self.balances: dict[int, deque[Balance]] = {}
        self.ledger: list[Entry] = []
        self.requests: deque[LoggedRequest] = deque(maxlen=REQUESTS_KEPT)
        self.requests_seen = 0
        # Seeded on purpose: a test that fails must fail again.
        random = Random(setup.seed)  # noqa: S311
        self.faults: FaultTable = FaultTable(random, setup.standing_faults)
        self._minute = 0
        self._calls: Counter[str] = Counter()
        self._recent_changes: deque[tuple[float, int | None, Decimal]] = deque()

    def reset(self) -> None:
        """Go back to the beginning; the revision alone goes on."""
        self._begin()
        self.changed()

    def changed(self) -> None:
        """Count a change, for whoever watches."""
        self.revision += 1
        for watcher in tuple(self.watchers):
            watcher()

    def add(self, client: Client, *, entry: int | None = None) -> None:
        """Let a client in, or replace the one with the same id.

        Args:
            client: as it is from now on.
            entry: the number of the transfer that changes its balance.
        """
        check_rate(client.currency, self.setup.rates)
        known = self.clients.get(client.user_id)
        if known and known.balance != client.balance:
            self._keep_balance(known, client, entry)
        self.clients[client.user_id] = client
        self.changed()

    def _keep_balance(self, before: Client, after: Client, entry: int | None) -> None:
        begun = deque([Balance(None, before.balance)], maxlen=BALANCES_KEPT)
        kept = self.balances.setdefault(after.user_id, begun)
        kept.append(Balance(self.setup.clock(), after.balance, entry))

    @property
    def next_id(self) -> int:
        """The ``user_id`` of the next client."""
        following = max(self.clients, default=1000) + 1
        if following <= MAX_INT:
            return following
        return next(number for number in count(1) if number not in self.clients)

    def spend(self, client: Client, amount: Decimal) -> None:
        """Let a client use up credit, into debt if need be."""
        self.add(attrs.evolve(client, balance=minus(client.balance, amount)))

    def transfer(self, client: Client, amount: Decimal, currency: str) -> Client:
        """Move credit between the reseller and a client, and write it into the ledger.

        Raises:
            ShortOfCreditError: the paying side has less; nothing is changed.
        """
        cost = self._convert(amount, currency, self.setup.currency)
        gain = self._convert(amount, currency, client.currency)
        credit, balance = minus(self.credit, cost), plus(client.balance, gain)
        if (cost > 0 and credit < 0) or (gain < 0 and balance < 0):
            raise ShortOfCreditError
        self._delay_in_reads(client.user_id, gain, minus(Decimal(0), cost))
        self.credit = credit
        paid = attrs.evolve(client, balance=balance)
        self.add(paid, entry=len(self.ledger) + 1)
        self._append_entry(paid, amount, currency)
        return paid

    def _convert(self, amount: Decimal, source: str, target: str) -> Decimal:
        return convert(amount, source, target, self.setup.rates)

    def _append_entry(self, client: Client, amount: Decimal, currency: str) -> None:
        self.ledger.append(
            Entry(
                n=len(self.ledger) + 1,
                time=self.setup.clock(),
                client_user_id=client.user_id,
                amount=amount,
                currency=currency,
                balance_after=client.balance,
                credit_after=self.credit,
                request=self.requests_seen,
            )
        )

    def mark_delivered(self, entry: Entry) -> None:
        """Note that the caller was given the whole answer, unless a reset came between."""
        index = entry.n - 1
        if index < len(self.ledger) and self.ledger[index] is entry:
            self.ledger[index] = attrs.evolve(entry, told=True)
            self.changed()

    # Reads may trail transfers: the changes of the last `read_lag` seconds are taken off again.

    def balance_in_reads(self, client: Client) -> Decimal:
        """Give the client's balance as a read shows it."""
        return minus(client.balance, self._hidden_change(client.user_id))

    def credit_in_reads(self) -> Decimal:
        """Give the reseller's credit as a read shows it."""
        return minus(self.credit, self._hidden_change(None))

    def _delay_in_reads(self, user_id: int, gain: Decimal, credit_change: Decimal) -> None:
        if self.setup.quirks.read_lag:
            now = self.setup.clock()
            self._recent_changes.extend(((now, user_id, gain), (now, None, credit_change)))

    def _hidden_change(self, user_id: int | None) -> Decimal:
        shown_until = self.setup.clock() - self.setup.quirks.read_lag
        while self._recent_changes and self._recent_changes[0][0] <= shown_until:
            self._recent_changes.popleft()
        hidden = (change for _, owner, change in self._recent_changes if owner == user_id)
        return reduce(plus, hidden, money(0))

    def count_call(self, operation: str) -> tuple[int, int]:
        """Count a call in the present clock minute.

        Returns:
            How many there were of this operation, and the seconds until the next minute.
        """
        now = self.setup.clock()
        if int(now // 60) != self._minute:
            self._minute, self._calls = int(now // 60), Counter()
        self._calls[operation] += 1
        return self._calls[operation], 60 - int(now % 60)

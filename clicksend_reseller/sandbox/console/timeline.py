"""Money over time as a small picture and as the rows of a table.

The line is a staircase: a balance stays what it is until something happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from clicksend_reseller._wire.money import CONTEXT, minus
from clicksend_reseller.sandbox.console.formats import format_amount, format_short_amount
from clicksend_reseller.sandbox.console.rows import applied_row, refused_row

if TYPE_CHECKING:
    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.state import Balance, Entry, LoggedRequest, SandboxState

SPENT = "spent"
POINTS_KEPT = 60

# Of the picture that the template draws, 240 wide and 72 high.
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 232, 8, 54


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened to an amount of money.

    Attributes:
        what: paid, unknown, refused or spent; the name of its mark.
        description: for a reader of the table.
        amount: what was there from then on.
    """

    time: float
    what: str
    description: str
    amount: Decimal


@attrs.frozen(kw_only=True)
class Mark:
    """An event's place in the picture."""

    x: float
    y: float
    event: Event


@attrs.frozen(kw_only=True)
class Timeline:
    """An amount of money from the first event to the last.

    Attributes:
        begun: the amount before the first of the events.
        events: the oldest first.
    """

    begun: Decimal
    events: Sequence[Event] = ()

    @property
    def now(self) -> Decimal:
        """The amount after the last event."""
        return self.events[-1].amount if self.events else self.begun

    @property
    def least(self) -> Decimal:
        """The lower end of the scale."""
        return min(self._amounts)

    @property
    def most(self) -> Decimal:
        """The upper end of the scale."""
        return max(self._amounts)

    @property
    def scale(self) -> list[tuple[float, str]]:
        """The labels of the scale, each with its height; one where nothing changed."""
        ends = sorted({self.most, self.least}, reverse=True)
        return [(self._y(amount), format_short_amount(amount)) for amount in ends]

    @property
    def zero(self) -> float | None:
        """The height of zero, where the line crosses it."""
        return self._y(Decimal(0)) if self.least < 0 < self.most else None

    @property
    def points(self) -> str:
        """The staircase, as the points of an SVG."""
        corners = [(float(_LEFT), self._y(self.begun))]
        for mark in self.marks:
            corners += [(mark.x, corners[-1][1]), (mark.x, mark.y)]
        corners.append((float(_RIGHT), corners[-1][1]))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)

    @property
    def marks(self) -> list[Mark]:
        """Where each event stands."""
        return [
            Mark(x=self._x(event.time), y=self._y(event.amount), event=event)
            for event in self.events
        ]

    @property
    def _amounts(self) -> list[Decimal]:
        return [self.begun, *(event.amount for event in self.events)]

    def _x(self, time: float) -> float:
        first, last = self.events[0].time, self.events[-1].time
        share = (time - first) / (last - first) if last > first else 0.5
        return _LEFT + (_RIGHT - _LEFT) * (0.08 + 0.84 * share)

    def _y(self, amount: Decimal) -> float:
        span = minus(self.most, self.least)
        share = float(CONTEXT.divide(minus(amount, self.least), span)) if span else 0.5
        return _BOTTOM - (_BOTTOM - _TOP) * share


def client_timeline(
    state: SandboxState, client: Client, refused: Sequence[LoggedRequest]
) -> Timeline:
    """Give a client's balance over time, with what was refused to it.

    Args:
        state: that of the client's sandbox.
        client: whose.
        refused: the transfers to it that were not applied.
    """
    kept = tuple(state.balances.get(client.user_id, ()))
    if not kept:
        return Timeline(
            begun=client.balance,
            events=[_unapplied_event(each, client.balance) for each in refused],
        )
    changes = [
        _change_event(state, before, after)
        for before, after in pairwise(kept)
        if after.since is not None
    ]
    unapplied = [_unapplied_event(each, _balance_at(kept, each.time)) for each in refused]
    events = sorted([*changes, *unapplied], key=lambda event: event.time)[-POINTS_KEPT:]
    return Timeline(begun=kept[0].amount, events=events)


def _change_event(state: SandboxState, before: Balance, after: Balance) -> Event:
    change = minus(after.amount, before.amount)
    entry = state.ledger[after.entry - 1] if after.entry else None
    row = applied_row(entry) if entry else None
    return Event(
        time=after.since or 0.0,
        what=row.status if row else SPENT,
        description=_signed(change, f"transfer {row.n}, {row.description}" if row else SPENT),
        amount=after.amount,
    )


def _unapplied_event(request: LoggedRequest, balance: Decimal) -> Event:
    row = refused_row(request)
    description = f"{row.description}: {row.reason}" if row.reason else row.description
    return Event(time=request.time, what=row.status, description=description, amount=balance)


def _balance_at(kept: Sequence[Balance], time: float) -> Decimal:
    until = [balance.amount for balance in kept if balance.since is None or balance.since <= time]
    return until[-1] if until else kept[0].amount


def _signed(change: Decimal, description: str) -> str:
    sign = "+" if change > 0 else "-"
    return f"{sign}{format_amount(change.copy_abs())}, {description}"


def credit_timeline(state: SandboxState) -> Timeline:
    """Give the reseller's credit over time."""
    entries = state.ledger[-POINTS_KEPT - 1 :]
    is_whole = len(entries) == len(state.ledger)
    begun = state.setup.credit if is_whole else entries[0].credit_after
    shown = entries if is_whole else entries[1:]
    return Timeline(begun=begun, events=[_transfer_event(entry) for entry in shown])


def _transfer_event(entry: Entry) -> Event:
    row = applied_row(entry)
    description = f"transfer {entry.n} to {entry.client_user_id}, {row.description}"
    return Event(
        time=entry.time, what=row.status, description=description, amount=entry.credit_after
    )

"""Bars of balances, as percent of the width that they are drawn in: a page needs no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Protocol

import attrs

from clicksend_reseller import Account
from clicksend_reseller.journal import Reconciliation


class Read(Protocol):
    """An account, and when it was read."""

    @property
    def account(self) -> Account:
        """The account."""
        ...


@attrs.frozen(kw_only=True)
class Scale:
    """From the least amount that is shown to the most, zero included."""

    least: Decimal
    most: Decimal

    @classmethod
    def over(cls, amounts: Iterable[Decimal]) -> Scale:
        """Make the scale that holds these amounts."""
        all_of_them = [Decimal(0), *amounts]
        return cls(least=min(all_of_them), most=max(all_of_them))

    def at(self, amount: Decimal) -> float:
        """Give the place of an amount, in percent."""
        span = (self.most - self.least) or Decimal(1)
        return round(float((amount - self.least) / span) * 96 + 2, 2)

    def bar(self, amount: Decimal) -> dict[str, float]:
        """Give where a bar from zero begins, and how wide it is."""
        zero, end = self.at(Decimal(0)), self.at(amount)
        return {"x": round(min(zero, end), 2), "width": round(max(abs(end - zero), 0.4), 2)}


@attrs.frozen(kw_only=True)
class Chart:
    """The clients of one currency, lowest first.

    Attributes:
        currency: None where the accounts show none.
        zero: where zero is, in percent.
        line: where the limit is, in percent; None where it is beyond the scale.
        rows: each with its bar, and whether it is low.
    """

    currency: str | None
    zero: float
    line: float | None
    rows: Sequence[dict[str, Any]]


def charts(shown: Iterable[Read], low: Decimal) -> list[Chart]:
    """Make one chart for each currency: amounts of two currencies share no scale."""

    def code(seen: Read) -> str:
        return seen.account.currency_code or ""

    groups = groupby(sorted(shown, key=code), code)
    return [_chart(currency or None, list(of_it), low) for currency, of_it in groups]


def _chart(currency: str | None, shown: Sequence[Read], low: Decimal) -> Chart:
    scale = Scale.over(seen.account.balance for seen in shown)
    rows = [
        {
            "seen": seen,
            "bar": scale.bar(seen.account.balance),
            "is_low": seen.account.balance < low,
            "is_negative": seen.account.balance < 0,
        }
        for seen in shown
    ]
    line = scale.at(low) if scale.least <= low <= scale.most else None
    return Chart(currency=currency, zero=scale.at(Decimal(0)), line=line, rows=rows)


def comparison(found: Reconciliation) -> dict[str, Any]:
    """Draw the balance before a transfer and the one of now, and mark what it would have made."""
    before = found.before or Decimal(0)
    expected = before + found.amount
    scale = Scale.over([before, found.after, expected])
    return {
        "zero": scale.at(Decimal(0)),
        "before": scale.bar(before),
        "now": scale.bar(found.after),
        "expected": expected,
        "mark": scale.at(expected),
    }

"""Conversion between currencies: Decimal only, six decimals, half even."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from clicksend_reseller._wire.money import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

# What one unit is worth in AUD. Invented: ClickSend's own rates are unknown and change weekly.
RATES: Mapping[str, Decimal] = {
    "AUD": Decimal(1),
    "CAD": Decimal("1.10"),
    "EUR": Decimal("1.65"),
    "GBP": Decimal("1.95"),
    "NZD": Decimal("0.91"),
    "SGD": Decimal("1.16"),
    "USD": Decimal("1.50"),
}

_MICRO = Decimal("0.000001")
_RATE = re.compile(r"([A-Z]{3})=([0-9]{1,12}(?:\.[0-9]{1,12})?)", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


def money(value: object) -> Decimal:
    """Read an amount, to six decimals.

    Raises:
        TypeError: a float, or no number at all.
        ValueError: no plain decimal number of at most 12 digits and 6 decimals.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError(f"money is a str, an int or a Decimal, not {value!r}")
    # Written out, 1e999999999 is a text of a gigabyte.
    is_moderate = isinstance(value, Decimal) and abs(value.adjusted()) <= 12
    text = f"{value:f}" if is_moderate else str(value)
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"money has at most 12 digits and 6 decimals, not {text[:40]!r}")
    return _to_micro(Decimal(text))


def read_rates(texts: Iterable[str]) -> dict[str, Decimal]:
    """Read rates as they are typed, such as ``JPY=0.0102``, and add them to ``RATES``.

    Raises:
        ValueError: no currency of three capital letters, or no number above zero.
    """
    given = dict(RATES)
    for text in texts:
        found = _RATE.fullmatch(text)
        if not found or not Decimal(found[2]):
            raise ValueError(
                f"a rate is what one unit is worth in AUD, such as JPY=0.0102, not {text[:40]!r}"
            )
        given[found[1]] = Decimal(found[2])
    return given


def convert(amount: Decimal, source: str, target: str, rates: Mapping[str, Decimal]) -> Decimal:
    """Change an amount of one currency into another."""
    if source == target:
        return _to_micro(amount)
    in_aud = CONTEXT.multiply(amount, rates[source])
    return _to_micro(CONTEXT.divide(in_aud, rates[target]))


def check_rate(currency: str, rates: Container[str]) -> None:
    """Refuse a currency that has no rate.

    Raises:
        ValueError: it has none.
    """
    if currency not in rates:
        raise ValueError(
            f"no rate for currency {currency!r}: say what one is worth in AUD, by "
            f"--rate {currency[:3]}=0.0102 on the command line or rates= in Python"
        )


def _to_micro(value: Decimal) -> Decimal:
    # Adding zero turns a negative zero into a plain one.
    return CONTEXT.add(value.quantize(_MICRO, context=CONTEXT), Decimal(0))

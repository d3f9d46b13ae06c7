"""Exact arithmetic of money, in a decimal context that no caller can change.

Precision, rounding and traps of the calling thread have no effect here. Comparing, reading and
writing a Decimal are exact in any context; adding, subtracting and `abs` are not.
"""

from __future__ import annotations

from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)

# Everything is given: what is left out is taken from decimal.DefaultContext, which anybody may set.
CONTEXT = Context(
    prec=400,  # digits, far more than any amount has: so sums are exact
    rounding=ROUND_HALF_EVEN,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[InvalidOperation, DivisionByZero, Overflow],
)


def exact(value: str | int | Decimal) -> Decimal:
    """Read all digits.

    Raises:
        InvalidOperation: it is no number, or out of range.
    """
    return Decimal(value, CONTEXT)


def plus(one: Decimal, other: Decimal) -> Decimal:
    """Add, whatever the context of the calling thread is."""
    return CONTEXT.add(one, other)


def minus(one: Decimal, other: Decimal) -> Decimal:
    """Subtract, whatever the context of the calling thread is."""
    return CONTEXT.subtract(one, other)

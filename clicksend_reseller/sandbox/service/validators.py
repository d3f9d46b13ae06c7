"""Validators of fields, whose messages say what a field can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import attrs

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def whole(least: int) -> Validator:
    """Take an int of at least this much."""

    def check(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{field.name} is a whole number from {least} on, not {value!r}")

    return check


def number(least: float, most: float) -> Validator:
    """Take a number between two bounds, both included."""

    def check(_owner: object, field: attrs.Attribute[Any], value: Any) -> None:  # noqa: ANN401 - not checked yet
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and least <= value <= most):
            raise ValueError(f"{field.name} is a number from {least} to {most}, not {value!r}")

    return check


def one_of(*values: object) -> Validator:
    """Take one of these, of the very same type: True is no 1."""

    def check(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
        if (type(value), value) not in [(type(known), known) for known in values]:
            names = ", ".join(repr(known) for known in values)
            raise ValueError(f"{field.name} is one of {names}, not {value!r}")

    return check


def flag(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    """Take True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{field.name} is True or False, not {value!r}")  # noqa: TRY004 - as the others


def text(_owner: object, field: attrs.Attribute[Any], value: object) -> None:
    """Take a string."""
    if not isinstance(value, str):
        raise ValueError(f"{field.name} is a string, not {value!r}")  # noqa: TRY004 - as the others


def or_none(other: Validator) -> Validator:
    """Take None beside what the other check takes."""

    def check(owner: object, field: attrs.Attribute[Any], value: object) -> None:
        if value is not None:
            other(owner, field, value)

    return check

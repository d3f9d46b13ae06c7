"""Strict JSON, without what the standard library lets pass and an answer must not hold."""

from __future__ import annotations

import codecs
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeGuard

from clicksend_reseller._wire.money import exact

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_OPENING, _COLON, _COMMA, _CLOSING = (
    re.compile(rf"[ \t\r\n]*+{sign}[ \t\r\n]*+") for sign in (r"\{", ":", ",", r"\}")
)

# 2 MiB of tiny objects or fractions take 50 MB; the largest real page has a tenth of this.
_MAX_VALUES = 100_000
_COUNTED_FROM = 300_000  # bytes: a page of 100 accounts is shorter and is not counted
_MAX_FRACTION_LENGTH = 100


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return True if a parsed value was a JSON object."""
    return type(value) is dict


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return True if a parsed value was a JSON array."""
    return type(value) is list


def array_in(value: object) -> list[Any] | None:
    """Give an array, also one that PHP wrote as an object {"0": …, "1": …}; None for all else.

    PHP does so for each list whose keys have a gap, as after `array_filter`.
    """
    if is_object(value) and value and all(map(_INDEX.fullmatch, value)):
        return list(value.values())
    return value if is_array(value) else None


def parse_object(content: bytes) -> dict[str, Any]:
    """Parse an object, in which no key of the first level may stand twice: it can hide an answer.

    A byte order mark before it is passed over, as some PHP files send one.
    Only that level is walked in Python: the standard library's hook for pairs would be called
    for every object inside. Numbers with a fraction are Decimals; NaN and Infinity are no JSON.
    An answer that would not fit into memory as Python objects is refused before it is parsed.

    Raises:
        ValueError: this is no such object.
        RecursionError: it nests too deeply.
    """
    if len(content) > _COUNTED_FROM and sum(map(content.count, b",[{")) > _MAX_VALUES:
        raise ValueError(f"it holds more than {_MAX_VALUES} values")
    text = content.removeprefix(codecs.BOM_UTF8).decode()
    fields: dict[str, Any] = {}
    sign, at = _OPENING.match(text), 0
    if sign is None:
        raise ValueError("'{' is missing at character 0")
    while sign is not None:
        key, at = _decode(text, sign.end())
        if type(key) is not str or key in fields:
            raise ValueError(f"a key before character {at} is no string or stands twice")
        colon = _COLON.match(text, at)
        if colon is None:
            raise ValueError(f"':' is missing at character {at}")
        fields[key], at = _decode(text, colon.end())
        sign = _COMMA.match(text, at)
    if _CLOSING.fullmatch(text, at) is None:
        raise ValueError(f"'}}' is missing at character {at}, or something follows it")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _fraction(number: str) -> Decimal:
    # A million digits take 16 MB to look at, and an exponent can be too large for Decimal itself.
    if len(number) > _MAX_FRACTION_LENGTH:
        raise ValueError(f"a number has more than {_MAX_FRACTION_LENGTH} characters")
    try:
        return exact(number)
    except InvalidOperation:
        raise ValueError("a number is out of range") from None


_decode = json.JSONDecoder(parse_float=_fraction, parse_constant=_refuse_constant).raw_decode

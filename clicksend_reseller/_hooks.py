"""How does a JSON object become a model? One compiled cattrs hook for each class.

Plain cattrs calls one hook for each field, and a frozen attrs `__init__` costs 3.3 µs for an
account. A compiled hook is one function with a few lines for each field, written from the
class's own annotations; it fills a private twin of the class that is not frozen, and hands the
result over as the class itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar, cast, get_args, get_type_hints

import attrs
import cattrs

from clicksend_reseller import _secrecy
from clicksend_reseller.models import Secret

T = TypeVar("T")
Extra = dict[str, Any]

# Before Decimal: int(Decimal("1E+300000")) takes seconds, and NaN is no balance.
_MONEY = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,8})?", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_LARGEST = 2**63 - 1
_MOST_DIGITS, _MOST_DECIMALS = 12, 8
_FLAGS = {"0": False, "1": True}


class UnreadableError(ValueError):
    """A required field is missing or unreadable; the message is its path."""


def read_int(value: Any) -> int | None:
    """Read an id or a number; the wire may quote it."""
    if type(value) is str and _WHOLE.fullmatch(value):
        value = int(value)
    return value if type(value) is int and -_LARGEST <= value <= _LARGEST else None


def read_text(value: Any) -> str | None:
    """Read a text; phones are ints on the documentation page (D)."""
    if type(value) is int:
        return str(value)
    return value if type(value) is str else None


def read_flag(value: Any) -> bool | None:
    """Read a flag: 0 or 1 (D)."""
    if type(value) is str:
        return _FLAGS.get(value)
    if type(value) is int:
        return bool(value) if 0 <= value <= 1 else None
    return value if type(value) is bool else None


def read_money(value: Any) -> Decimal | None:
    """Read an amount of money: a decimal string (D), a number in one example (G)."""
    if type(value) is str:
        return Decimal(value) if _MONEY.fullmatch(value) else None
    if type(value) is int:
        return Decimal(value) if abs(value) < 10**_MOST_DIGITS else None
    if type(value) is not Decimal or not value.is_finite():
        return None
    decimals = -cast("int", value.as_tuple().exponent)
    return value if value.adjusted() < _MOST_DIGITS and 0 <= decimals <= _MOST_DECIMALS else None


def read_secret(value: Any) -> Secret | None:
    """Read a credential; it is never kept as plain text."""
    text = read_text(value)
    return None if text is None else Secret(text)


READERS: Mapping[type, Callable[[Any], Any]] = {
    int: read_int,
    str: read_text,
    bool: read_flag,
    Decimal: read_money,
    Secret: read_secret,
}

# How the usual value is known and what becomes of it; all others go through the reader.
_USUAL: Mapping[type, tuple[str, str]] = {
    int: ("type(v) is int and -LARGEST <= v <= LARGEST", "v"),
    str: ("type(v) is str", "v"),
    bool: ("type(v) is int and 0 <= v <= 1", "v == 1"),
    Decimal: ("type(v) is str and is_money(v)", "Decimal(v)"),
    Secret: ("type(v) is str", "Secret(v)"),
}
_SELDOM = ("False", "v")


def make_converter(names: Mapping[type, Mapping[str, str]]) -> cattrs.Converter:
    """Make the converter, with a compiled hook for each class.

    Args:
        names: for each class the wire's names of the fields that differ; a class that another
            one contains comes first.
    """
    converter = cattrs.Converter()
    readers = dict(READERS)
    for cls, wire_names in names.items():
        hook: Callable[[Any, Any], Any] = compile_hook(cls, wire_names, readers)
        converter.register_structure_hook(cls, hook)
        readers[cls] = partial(_read_object, hook, cls)
    return converter


def _read_object(hook: Callable[[Any, type], Any], cls: type, value: Any) -> Any:
    return hook(value, cls) if type(value) is dict and value else None


def compile_hook(
    cls: type[T], names: Mapping[str, str], readers: Mapping[type, Callable[[Any], Any]]
) -> Callable[[Any, type[T]], T]:
    """Write and compile the function that reads one class.

    A field that cannot be read is None and its raw value stays in `extra`; a required one
    raises UnreadableError. Keys that the class does not know go to `extra`.
    """
    hints = get_type_hints(cls)
    scope = _scope(cls)
    lines = ["def hook(raw, _):", " extra = raw.copy()", " pop = extra.pop", " obj = TWIN()"]
    for field in attrs.fields(cast("Any", cls)):
        if field.name != "extra":
            kind = _plain_type(hints[field.name])
            scope[f"read_{field.name}"] = readers[kind]
            wire_name = names.get(field.name, field.name)
            required = field.default is attrs.NOTHING
            lines += _field_lines(field.name, wire_name, kind, required=required)
    lines += [" obj.extra = conceal(extra) if extra else extra"]
    lines += [" obj.__class__ = CLS", " return obj"]
    exec("\n".join(lines), scope)  # noqa: S102 - made of this package's own names alone
    return cast("Callable[[Any, type[T]], T]", scope["hook"])


def _scope(cls: type) -> dict[str, Any]:
    return {
        "CLS": cls,
        "TWIN": _twin(cls),
        "LARGEST": _LARGEST,
        "Decimal": Decimal,
        "Secret": Secret,
        "UnreadableError": UnreadableError,
        "conceal": _secrecy.conceal,
        "is_money": _MONEY.fullmatch,
        "read_oddly": _read_oddly,
    }


def _field_lines(name: str, wire_name: str, kind: type, *, required: bool) -> list[str]:
    test, value = _USUAL.get(kind, _SELDOM)
    lines = [
        f" v = pop({wire_name!r}, None)",
        " if v is not None:",
        f"  v = {value} if {test} else read_oddly(read_{name}, v, {wire_name!r}, extra)",
    ]
    if required:
        lines.append(f" if v is None: raise UnreadableError({wire_name!r})")
    return [*lines, f" obj.{name} = v"]


def _read_oddly(read: Callable[[Any], Any], value: Any, wire_name: str, extra: Extra) -> Any:
    result = read(value)
    # An empty object or list stands where the server means nothing (D, G).
    if result is None and value not in ({}, []):
        extra[wire_name] = value
    return result


def _plain_type(hint: Any) -> type:
    return next(
        arg for arg in cast("tuple[type, ...]", (*get_args(hint), hint)) if arg is not type(None)
    )


def _twin(cls: type) -> type:
    """Make a class of the same layout that is not frozen."""
    return type(cls.__name__, (), {"__slots__": cls.__dict__["__slots__"]})

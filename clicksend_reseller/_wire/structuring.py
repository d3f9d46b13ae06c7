"""Conversion of a JSON object into a model, by one compiled cattrs hook for each class.

Plain cattrs calls one hook for each field, and a frozen attrs `__init__` costs 3.3 µs for an
account. A compiled hook is one function with a line or two for each field, written from the
class's own annotations; it fills a mutable class of the same layout and then
sets the class of the result. Values that many accounts have in common are interned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, get_args, get_type_hints

import attrs

from clicksend_reseller._wire import redaction
from clicksend_reseller.models import Secret

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")
Extra = dict[str, Any]
Readers = Mapping[type, Callable[..., Any]]

# Before Decimal: int(Decimal("1E+300000")) takes seconds, and NaN is no balance.
# Possessive, since nothing is ever gained by going back.
_MONEY = re.compile(r"-?+[0-9]{1,12}+(?:\.[0-9]{1,8}+)?+", re.ASCII)
_is_money = _MONEY.fullmatch
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_MAX_INT64 = 2**63 - 1
_MAX_DIGITS, _MAX_DECIMALS = 12, 8
_FLAGS = {"0": False, "1": True}

# What is kept from one answer to the next is small, whatever a server sends.
_MAX_INTERNED, _MAX_KEYS, _MAX_TEXTS, _MAX_INTERNED_LENGTH = 16, 100, 1_000, 100
_MAX_AMOUNTS, _MAX_AMOUNT_LENGTH = 256, 6


class UnreadableError(ValueError):
    """A required field is missing or unreadable; the message is its path."""


def read_int(value: Any) -> int | None:
    """Read an id or a number; the wire may quote it."""
    if type(value) is str and _WHOLE.fullmatch(value):
        value = int(value)
    return value if type(value) is int and -_MAX_INT64 <= value <= _MAX_INT64 else None


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
        return _read_amount(value)
    if type(value) is int:
        return Decimal(value) if abs(value) < 10**_MAX_DIGITS else None
    if type(value) is not Decimal or not value.is_finite():
        return None
    decimals = -cast("int", value.as_tuple().exponent)
    return value if value.adjusted() < _MAX_DIGITS and 0 <= decimals <= _MAX_DECIMALS else None


_amounts: dict[str, Decimal] = {}


def _read_amount(text: str) -> Decimal | None:
    # Settings such as "20.00" stand on every account: one Decimal for all of them saves 100
    # bytes each, and the time to make it. Balances are longer, and hardly ever the same.
    known = _amounts.get(text)
    if known is not None:
        return known
    amount = Decimal(text) if _is_money(text) else None
    if amount is not None and len(text) <= _MAX_AMOUNT_LENGTH and len(_amounts) < _MAX_AMOUNTS:
        _amounts[text] = amount
    return amount


def read_secret(value: Any) -> Secret | None:
    """Read a credential; it is never kept as plain text."""
    text = read_text(value)
    return None if text is None else Secret(text)


READERS: Readers = {
    int: read_int,
    str: read_text,
    bool: read_flag,
    Decimal: read_money,
    Secret: read_secret,
}

# What a value of the usual type becomes; all others go through the reader. A small int is one
# object in CPython, and identity is quicker than equality; elsewhere the reader gives the same.
_FAST_PATHS: Mapping[type, str] = {
    int: "v if type(v) is int and -MAX_INT64 <= v <= MAX_INT64",
    str: "v if type(v) is str",
    bool: "False if v is ZERO else True if v is ONE",
    Decimal: (
        "amount if type(v) is str and (amount := known_amount(v) or read_amount(v)) is not None"
    ),
    Secret: "Secret(v) if type(v) is str",
}
_INTERNED_TEXT = "(interned_texts.get(v) or intern_text(v)) if type(v) is str"


@attrs.frozen(kw_only=True)
class Shape:
    """What a class's annotations do not say of its wire format.

    Attributes:
        names: the wire's names of the fields that differ.
        interned_texts: fields that hold one of a few texts, such as a country.
        is_interned: equal objects are read into one model.
    """

    names: Mapping[str, str] = attrs.field(factory=dict[str, str])
    interned_texts: Collection[str] = ()
    is_interned: bool = False


def make_converter(shapes: Mapping[type, Shape]) -> cattrs.Converter:
    """Make the converter, with a compiled hook for each class.

    Args:
        shapes: by class; one that another contains comes first.
    """
    import cattrs  # noqa: PLC0415 - a tenth of what it takes to import this package

    converter = cattrs.Converter()
    readers = dict(READERS)
    for cls, shape in shapes.items():
        hook: Callable[[Any, Any], Any] = compile_hook(cls, shape, dict(readers))
        readers[cls] = _interning(hook) if shape.is_interned else hook
        converter.register_structure_hook(cls, readers[cls])
    return converter


def _interning(read: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    """Read equal objects into one model: 100,000 accounts have a handful of currencies.

    Only objects of short texts are remembered: beside an int, True would be equal to 1.
    """
    interned: list[tuple[dict[str, str], T]] = []

    def hook(raw: Any, cls: Any) -> T:
        for known, model in interned:
            if known == raw:
                return model
        model = read(raw, cls)
        has_room = len(interned) < _MAX_INTERNED and len(raw) <= _MAX_KEYS
        if has_room and all(map(_is_short_text, (*raw, *raw.values()))):
            fixed = _ReadOnlyExtra(cast("Any", model).extra)
            model = cast("T", attrs.evolve(cast("Any", model), extra=fixed))
            interned.append((raw.copy(), model))
        return model

    return hook


class _ReadOnlyExtra(Extra):
    """The `extra` of an interned model: a change for one account would be one for all."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("many accounts share this model: change a copy, dict(extra)")

    if not TYPE_CHECKING:  # checkers see a Mapping, which has none of these
        __delitem__ = __ior__ = __setitem__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Extra], tuple[Extra]]:
        return dict, (dict(self),)  # a copy belongs to whoever made it


_interned_texts: dict[str, str] = {}


def _intern_text(text: str) -> str:
    if len(_interned_texts) < _MAX_TEXTS and _is_short_text(text):
        _interned_texts[text] = text
    return text


def _is_short_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _MAX_INTERNED_LENGTH


def compile_hook(cls: type[T], shape: Shape, readers: Readers) -> Callable[[Any, type[T]], T]:
    """Write and compile the hook that reads one class.

    A field that cannot be read is None and its raw value stays in `extra`; a required one
    raises UnreadableError. Keys that the class does not know go to `extra`.
    """
    fields = [field for field in attrs.fields(cast("Any", cls)) if field.name != "extra"]
    hints = get_type_hints(cls)
    scope = {**_SCOPE, "CLS": cls, "MUTABLE": _mutable_twin(cls)}
    lines = ["def read(raw, _):", " obj = MUTABLE()", " extra = raw.copy()", " pop = extra.pop"]
    for field in fields:
        kind = _plain_type(hints[field.name])
        scope[f"read_{field.name}"] = readers[kind]
        lines += _field_lines(field, kind, shape)
    # Not `extra` itself: emptied, it still takes the memory of all that it held.
    lines += [" obj.extra = wrap_secrets(extra) if extra else {}"]
    lines += [" obj.__class__ = CLS", " return obj"]
    exec("\n".join(lines), scope)  # noqa: S102 - made of this package's own names alone
    return cast("Callable[[Any, type[T]], T]", scope["read"])


def _field_lines(field: attrs.Attribute[Any], kind: type, shape: Shape) -> list[str]:
    wire_name = shape.names.get(field.name, field.name)
    value = _expression(field.name, kind, shape, wire_name)
    lines = [f" v = pop({wire_name!r}, None)", f" obj.{field.name} = {value}"]
    if field.default is attrs.NOTHING:
        lines.append(f" if obj.{field.name} is None: raise UnreadableError({wire_name!r})")
    return lines


def _expression(name: str, kind: type, shape: Shape, wire_name: str) -> str:
    if kind in _FAST_PATHS:
        fast_path = _INTERNED_TEXT if name in shape.interned_texts else _FAST_PATHS[kind]
        fallback = f"read_fallback(read_{name}, v, {wire_name!r}, extra)"
    else:  # a model
        fast_path = f"read_{name}(v, None) if type(v) is dict and v"
        fallback = f"keep_raw(v, {wire_name!r}, extra)"
    return f"{fast_path} else None if v is None else {fallback}"


def _read_fallback(read: Callable[[Any], Any], value: Any, wire_name: str, extra: Extra) -> Any:
    result = read(value)
    return _keep_raw(value, wire_name, extra) if result is None else result


def _keep_raw(value: Any, wire_name: str, extra: Extra) -> None:
    # An empty object or list stands where the server means nothing (D, G).
    if value not in ({}, []):
        extra[wire_name] = value


def _plain_type(hint: Any) -> type:
    return next(
        arg for arg in cast("tuple[type, ...]", (*get_args(hint), hint)) if arg is not type(None)
    )


def _mutable_twin(cls: type) -> type:
    """Make a class of the same layout that is not frozen."""
    return type(cls.__name__, cls.__bases__, {"__slots__": cls.__dict__["__slots__"]})


_SCOPE: Mapping[str, Any] = {
    "MAX_INT64": _MAX_INT64,
    "ZERO": 0,
    "ONE": 1,
    "Secret": Secret,
    "UnreadableError": UnreadableError,
    "interned_texts": _interned_texts,
    "keep_raw": _keep_raw,
    "known_amount": _amounts.get,
    "read_amount": _read_amount,
    "read_fallback": _read_fallback,
    "intern_text": _intern_text,
    "wrap_secrets": redaction.wrap_secrets,
}

"""What should an account's JSON become? The plain path: slow, obvious, one field after another.

Plain cattrs converts each value by the type of its field, and the class is built by its own
`__init__`. The compiled hooks must give the same for every input.
"""

from decimal import Decimal
from typing import Any, TypeVar, cast, get_args, get_type_hints

import attrs
import cattrs

from clicksend_reseller.models import Account, Currency, Secret, Subaccount

T = TypeVar("T")

WIRE_NAMES = {"currency": "_currency", "subaccount": "_subaccount"}
NOTHING: tuple[object, ...] = (None, {}, [])
TELLING = (
    *("apikey", "api_key", "api-key", "passw", "pwd", "token", "secret", "credential"),
    *("authorization", "privatekey", "private_key", "private-key"),
)


def read_account(raw: dict[str, Any]) -> Account:
    """Read an account; a ValueError names the required field that cannot be read."""
    return read_model(raw, Account)


def read_model(raw: dict[str, Any], cls: type[T]) -> T:
    """Read one class, its fields in order."""
    hints = get_type_hints(cls)
    extra = dict(raw)
    values: dict[str, Any] = {}
    for field in attrs.fields(cast("Any", cls)):
        if field.name == "extra":
            continue
        wire_name = WIRE_NAMES.get(field.name, field.name)
        came = extra.pop(wire_name, None)
        values[field.name] = None
        if not any(type(came) is type(nothing) and came == nothing for nothing in NOTHING):
            try:
                values[field.name] = plain.structure(came, without_none(hints[field.name]))
            except ValueError:
                extra[wire_name] = came
        if values[field.name] is None and field.default is attrs.NOTHING:
            raise ValueError(wire_name)
    make = cast("Any", cls)
    return cast(
        "T", make(**values, extra={name: concealed(name, extra[name], 1) for name in extra})
    )


def without_none(hint: Any) -> Any:
    """Give the type of an optional field."""
    return next((kind for kind in get_args(hint) if kind is not type(None)), hint)


def concealed(name: str, value: Any, depth: int) -> Any:
    """Wrap scalars under a telling name, and what lies inside it."""
    hidden = any(word in name.lower() for word in TELLING)
    if depth > 64:
        return None
    if isinstance(value, dict):
        return {
            key: concealed(f"{name} {key}" if hidden else key, value[key], depth + 1)
            for key in value
        }
    if isinstance(value, list):
        return [concealed(name, item, depth + 1) for item in value]
    if hidden and isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        return Secret(str(value))
    return value


def whole(value: Any, _: type) -> int:
    """Read an id or a number, also a quoted one."""
    if isinstance(value, str) and is_digits(value.removeprefix("-"), most=18):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    raise ValueError(value)


def text(value: Any, _: type) -> str:
    """Read a text, also one that came as a number."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(value)


def flag(value: Any, _: type) -> bool:
    """Read a flag: 0, 1 and the two words of JSON."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int) and str(value) in {"0", "1"}:
        return str(value) == "1"
    raise ValueError(value)


def money(value: Any, _: type) -> Decimal:
    """Read an amount of at most twelve digits and eight decimals."""
    if isinstance(value, Decimal) and int(value.as_tuple().exponent) > 0:
        raise ValueError(value)
    written = f"{value:f}" if isinstance(value, Decimal) else str(value)
    units, point, decimals = written.removeprefix("-").partition(".")
    if is_digits(units, most=12) and (is_digits(decimals, most=8) or not point):
        return Decimal(written)
    raise ValueError(value)


def is_digits(value: str, *, most: int) -> bool:
    """Tell whether it is a few ASCII digits and nothing else."""
    return value.isascii() and value.isdigit() and len(value) <= most


def model(value: Any, cls: type[T]) -> T:
    """Read a nested object."""
    if isinstance(value, dict):
        return read_model(value, cls)
    raise ValueError(value)


plain = cattrs.Converter()
plain.register_structure_hook(int, whole)
plain.register_structure_hook(str, text)
plain.register_structure_hook(bool, flag)
plain.register_structure_hook(Decimal, money)
plain.register_structure_hook(Secret, lambda value, cls: Secret(text(value, cls)))
plain.register_structure_hook(Currency, model)
plain.register_structure_hook(Subaccount, model)


def with_types(value: Any) -> Any:
    """Show a value with all types in it: True is not 1, and 1.0 is not 1.00."""
    match value:
        case Secret():
            return ("Secret", value.get_secret_value())
        case Account() | Currency() | Subaccount():
            fields = (
                (field.name, getattr(value, field.name)) for field in attrs.fields(type(value))
            )
            return (type(value), [(name, with_types(item)) for name, item in fields])
        case dict():
            return {key: with_types(item) for key, item in value.items()}
        case list():
            return [with_types(item) for item in value]
        case _:
            return (type(value), str(value))

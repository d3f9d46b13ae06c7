"""How would plain cattrs read a page? A converter with a hook for each type, as its docs show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, cast

import cattrs
from cattrs.gen import make_dict_structure_fn, override

from clicksend_reseller import Account, Currency, Secret, Subaccount
from clicksend_reseller._wire import structuring

_NAMES = {"currency": "_currency", "subaccount": "_subaccount"}


def read_page(content: bytes) -> list[Account]:
    """Read an answer's page."""
    rows = json.loads(content)["data"]["data"]
    return [_converter.structure(row, Account) for row in rows]


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    for kind in (int, str, bool, Decimal, Secret):
        converter.register_structure_hook(kind, _reading(kind))
    for cls in (Currency, Subaccount, Account):
        _register(converter, cls)
    return converter


def _reading(kind: type) -> Any:
    reader = structuring.READERS[kind]
    return lambda value, _: reader(value)


def _register(converter: cattrs.Converter, cls: type[Any]) -> None:
    known = {_NAMES.get(name, name) for name in cls.__slots__} - {"extra"}
    renamed = {ours: override(rename=theirs) for ours, theirs in _NAMES.items()}
    structure = make_dict_structure_fn(cls, converter, **cast("Any", renamed))

    def read(raw: dict[str, Any], _: type[Any]) -> Any:
        extra = {name: value for name, value in raw.items() if name not in known}
        return structure({**raw, "extra": extra}, cls)

    converter.register_structure_hook(cls, read)
    converter.register_structure_hook(cls | None, lambda raw, _: read(raw, cls) if raw else None)


_converter = _make_converter()

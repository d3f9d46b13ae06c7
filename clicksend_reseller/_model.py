"""The base class of the models: how they print, and their pydantic schema."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, cast

import attrs


class Model:
    """The part of a model that is no data.

    It has no slots, and a model that is read from one JSON object has no weakref slot: the
    compiled hooks fill a class of the same layout (`_wire/structuring.py`).
    """

    __slots__ = ()

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Give the fields worth reading: the required ones, and what is set of the others."""
        for field in attrs.fields(cast("Any", type(self))):
            value = getattr(self, field.name, attrs.NOTHING)  # not initialized
            if value is attrs.NOTHING:
                continue
            if field.default is attrs.NOTHING or value not in ({}, field.default):
                yield field.name, value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Give pydantic its schema; only pydantic calls this, so only then it is imported."""
        # By name: the core does not depend on pydantic, and models know nothing of JSON.
        return import_module("clicksend_reseller._pydantic").schema_of(cls, handler)


@attrs.frozen(repr=False)
class Counted:
    """Stands in a print for models too many to print.

    Args:
        number: how many they are.
    """

    number: int

    def __repr__(self) -> str:
        return f"<{self.number} account{'' if self.number == 1 else 's'}>"

"""Secrets, which are masked wherever they are printed."""

from __future__ import annotations

import hmac
from typing import Any, Self, final

MASK = "**********"


@final
class Secret:
    """A string that shows itself only when asked: masked in repr, str and format.

    A copy is the same secret. A pickle drops the value, and asking for it then raises, so that
    no mask ever becomes somebody's password.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a secret is a str, not {type(value).__name__}")
        self._value: str | None = value

    def get_secret_value(self) -> str:
        """Give the plain value.

        Raises:
            ValueError: this secret was unpickled, and secrets do not travel.
        """
        if self._value is None:
            raise ValueError("this secret did not travel: pass it again")
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._value is None or other._value is None:
            return self is other
        return hmac.compare_digest(_comparable(self._value), _comparable(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return self._without_value, ()

    @classmethod
    def _without_value(cls) -> Self:
        secret = cls("")
        secret._value = None
        return secret


def _comparable(value: str) -> bytes:
    # A JSON string may hold lone surrogates, which plain UTF-8 refuses.
    return value.encode("utf-8", "surrogatepass")


def to_secret(value: str | Secret) -> Secret:
    """Wrap a plain string; a mask that was printed and copied is refused."""
    secret = value if isinstance(value, Secret) else Secret(value)
    if secret == Secret(MASK):
        raise ValueError("this is the mask of a secret, not the secret: pass the value itself")
    return secret

"""Texts from outside in a form that any database takes, so that none prevents a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Spell = Callable[[str], str]

# PostgreSQL: a character that the database's encoding does not have; bytes that are no text.
_STATES = frozenset({"22P05", "22021"})


def storable(text: str) -> str:
    """Keep what a database in UTF-8 takes: no NUL and no lone surrogate."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def escaped(text: str) -> str:
    r"""Write all that is not ASCII as \u2013 and the like, which any database takes."""
    return storable(text).encode("ascii", "backslashreplace").decode()


def is_about_text(error: BaseException) -> bool:
    """Return True if a step failed because a text does not fit into the database's encoding."""
    return any(
        isinstance(each, UnicodeError) or getattr(each, "sqlstate", None) in _STATES
        for each in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "orig", None) or error.__cause__

"""The command that comes next, in the very words, to be copied."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from clicksend_reseller.cli.options import GlobalOptions

_NAME = "clicksend-reseller"


def command(options: GlobalOptions, *words: str) -> str:
    """Write a command for a shell, that works in the same place as the one with these options."""
    place: list[str] = []
    if options.sandbox:
        place.append(f"--sandbox={options.sandbox}")
    if options.journal is not None:
        place += ["--journal", options.journal]
    return shlex.join([_NAME, *words, *place])


def again(*more: str, arguments: Sequence[str] | None = None) -> str:
    """Write this very command, with words behind it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return shlex.join([_NAME, *given, *(word for word in more if word not in given)])

"""The start of the `clicksend-reseller` command, and the message where its extra is missing."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

__all__ = ["main"]

_PARTS = ("cyclopts", "rich", "sqlalchemy", "aiosqlite")


def main() -> None:
    """Run the command line and leave with its exit status."""
    _fill_closed_streams()
    missing = [name for name in _PARTS if find_spec(name) is None]
    if missing:
        sys.exit(
            f"the command line needs {', '.join(missing)}: "
            'pip install "clicksend-reseller[cli]"'  # sys.exit prints it and leaves with 1
        )
    from clicksend_reseller.cli.app import run  # noqa: PLC0415 - the extra is there

    sys.exit(run(sys.argv[1:]))


def _fill_closed_streams() -> None:
    """Give what was closed (`>&-`) a place: else the journal's file would become stdout."""
    for number, mode in enumerate(("r", "w", "w")):
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))

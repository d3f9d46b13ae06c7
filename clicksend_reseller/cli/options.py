"""What can be said to every command, and to those that move money?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import attrs
from cyclopts import Group, Parameter, Token

from clicksend_reseller.cli.exit_status import CommandError, Status

__all__ = [
    "ASKED_FIRST",
    "IN_PROCESS",
    "USUAL",
    "Format",
    "GlobalOptions",
    "PaymentOptions",
    "Whole",
    "amount",
    "text",
    "whole",
]

Format = Literal["table", "json", "jsonl", "csv"]

# What a bare `--sandbox` becomes: an option with an empty value.
IN_PROCESS = ""

_WHOLE = re.compile(r"-?[0-9]{1,10}", re.ASCII)


def whole(_type: Any, tokens: Sequence[Token]) -> int:  # noqa: ANN401 - cyclopts' own signature
    """Read a whole number as it is written: cyclopts alone would make 5 of "5.5".

    Raises:
        ValueError: it is none.
    """
    text = tokens[0].value
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"a whole number, not {text!r:.40}")
    return int(text)


Whole = Annotated[int, Parameter(converter=whole)]

_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?", re.ASCII)


def amount(_type: Any, tokens: Sequence[Token]) -> Decimal:  # noqa: ANN401 - cyclopts' own signature
    """Read an amount of money as it is written: Decimal alone takes 1_0, 1e5000000 and NaN.

    Raises:
        ValueError: it is none.
    """
    text = tokens[0].value
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"an amount such as 12.50, not {text!r:.40}")
    return Decimal(text)


def text(value: str, name: str) -> str:
    """Give a text that can be sent and kept.

    Raises:
        EndedError: it holds bytes that are no text in this terminal's encoding.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CommandError(
            Status.USAGE,
            f"{name} holds bytes that are no UTF-8: type it in a UTF-8 terminal; nothing was sent",
        ) from None
    return value


_EVERYWHERE = Group("GlobalOptions", sort_key=91)
_MOVING = Group("Moving money", sort_key=90)


@Parameter(name="*", group=_EVERYWHERE)
@attrs.frozen(kw_only=True)
class GlobalOptions:
    """The options of every command.

    Attributes:
        output: None is what suits the command.
        sandbox: None is the live API, "" a world in this process, else a URL.
    """

    output: Annotated[
        Format | None,
        Parameter(
            alias="-o",
            help="how rows are written; a table is tab-separated where stdout is no terminal",
        ),
    ] = None
    columns: Annotated[
        str | None, Parameter(metavar="A,B", help="which columns, in this order")
    ] = None
    sandbox: Annotated[
        str | None,
        Parameter(
            metavar="[=URL]",
            help="rehearse: in a world of its own that is gone afterwards, or in a served one",
        ),
    ] = None
    journal: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            help="an SQLAlchemy URL instead of the file under $XDG_STATE_HOME; one that holds "
            "a password comes from CLICKSEND_JOURNAL",
        ),
    ] = None
    limit_per_minute: Annotated[
        int | None,
        Parameter(converter=whole, metavar="N", help="at most so many requests in any minute"),
    ] = None
    quiet: Annotated[
        bool, Parameter(alias="-q", negative=(), show_default=False, help="errors only on stderr")
    ] = False
    verbose: Annotated[
        int,
        Parameter(alias="-v", count=True, show_default=False, help="say more; twice: everything"),
    ] = 0


@Parameter(name="*", group=_MOVING)
@attrs.frozen(kw_only=True)
class PaymentOptions:
    """The options of the commands that move money."""

    yes: Annotated[
        bool,
        Parameter(
            alias="-y",
            negative=(),
            show_default=False,
            help="do not ask; for a batch only together with --max-total",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        Parameter(
            alias="-n",
            negative=(),
            show_default=False,
            help="show what would be done, send nothing",
        ),
    ] = False
    max_total: Annotated[
        int | None,
        Parameter(
            converter=whole,
            metavar="AMOUNT",
            help="refuse to move more than this in any one currency",
        ),
    ] = None
    new_journal: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="with --yes, begin a journal that does not exist yet, which knows of no payment",
        ),
    ] = False


# What holds where nothing is said; both are frozen, so they can be shared.
USUAL = GlobalOptions()
ASKED_FIRST = PaymentOptions()

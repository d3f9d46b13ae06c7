"""The options of every command, those of the commands that move money, and their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import attrs
from cyclopts import Group, Parameter, Token

from clicksend_reseller.cli.exit_status import CommandError, Status

T = TypeVar("T")

Format = Literal["table", "json", "jsonl", "csv"]

# What a bare `--sandbox` becomes: an option with an empty value.
IN_PROCESS = ""


def _reader(
    pattern: re.Pattern[str], what: str, made: Callable[[str], T]
) -> Callable[[Any, Sequence[Token]], T]:
    """Read a number as it is written: int and Decimal alone take 1_0, 1e5000000 and NaN."""

    def read(_type: Any, tokens: Sequence[Token]) -> T:  # noqa: ANN401 - cyclopts' own signature
        given = tokens[0].value
        if not pattern.fullmatch(given):
            # cyclopts alone would make 5 of 5.5; this follows the name of the argument.
            raise ValueError(f"must be {what}, not {given!r:.40}")
        return made(given)

    return read


whole: Callable[[Any, Sequence[Token]], int] = _reader(
    re.compile(r"-?[0-9]{1,10}", re.ASCII), "a whole number", int
)
amount: Callable[[Any, Sequence[Token]], Decimal] = _reader(
    re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?", re.ASCII), "an amount such as 12.50", Decimal
)

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Whole = Annotated[int, Parameter(converter=whole)]
Amount = Annotated[Decimal | None, Parameter(converter=amount, metavar="AMOUNT")]
Balance = Annotated[Decimal | None, Parameter(converter=amount, metavar="BALANCE")]


def text(value: str, name: str) -> str:
    """Return a text that can be sent and kept.

    Raises:
        CommandError: it holds bytes that are no text in this terminal's encoding.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CommandError(
            Status.USAGE,
            f"{name} holds bytes that are not UTF-8: type it in a UTF-8 terminal. "
            "Nothing was sent.",
        ) from None
    return value


@Parameter(name="*", group=Group("Options of every command", sort_key=91))
@attrs.frozen(kw_only=True)
class GlobalOptions:
    """The options of every command.

    Attributes:
        output: None is what suits the command.
        sandbox: None is the live API, "" a sandbox in this process, else a URL.
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
            help="rehearse: in a sandbox that is gone afterwards, or in one that is being served",
        ),
    ] = None
    journal: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            help="a file or an SQLAlchemy URL instead of the file under $XDG_STATE_HOME; a URL "
            "with a password comes from CLICKSEND_JOURNAL",
        ),
    ] = None
    limit_per_minute: Annotated[
        int | None,
        Parameter(converter=whole, metavar="N", help="send at most N requests in any minute"),
    ] = None
    quiet: Annotated[Flag, Parameter(alias="-q", help="only errors on stderr")] = False
    verbose: Annotated[
        int,
        Parameter(alias="-v", count=True, show_default=False, help="say more; twice: everything"),
    ] = 0

    @property
    def asks_for_rows(self) -> bool:
        """Rows in a format are wanted, not the sentences that a person reads."""
        return self.output is not None or self.columns is not None


# Read once, in front of any command, and handed on to it.
Everywhere = Annotated[GlobalOptions, Parameter(parse=False)]


@Parameter(name="*", group=Group("Moving money", sort_key=90))
@attrs.frozen(kw_only=True)
class PaymentOptions:
    """The options of the commands that move money."""

    yes: Annotated[
        Flag, Parameter(alias="-y", help="do not ask; a batch needs --max-total as well")
    ] = False
    dry_run: Annotated[
        Flag, Parameter(alias="-n", help="show what would be done, and send nothing")
    ] = False
    offline: Annotated[
        Flag, Parameter(help="with --dry-run, do not look the clients up; no request is sent")
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
        Flag,
        Parameter(help="with --yes, start a journal that does not exist yet and knows no payment"),
    ] = False

    def __attrs_post_init__(self) -> None:
        if self.offline and not self.dry_run:
            raise CommandError(Status.USAGE, "--offline needs --dry-run. Nothing was sent.")


# The values where no option is given; both are frozen, so they can be shared.
USUAL = GlobalOptions()
ASKED_FIRST = PaymentOptions()

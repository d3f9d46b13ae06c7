"""The commands that read client accounts."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clicksend_reseller import Account
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import (
    USUAL,
    Amount,
    Everywhere,
    Flag,
    GlobalOptions,
    Whole,
    whole,
)
from clicksend_reseller.cli.output.console import printable
from clicksend_reseller.cli.output.formats import Record
from clicksend_reseller.cli.output.output import Output, exported
from clicksend_reseller.cli.output.records import (
    ACCOUNT_COLUMNS,
    EXPORTED_ACCOUNT_COLUMNS,
    USUAL_ACCOUNT_COLUMNS,
    account_record,
    exported_record,
)
from clicksend_reseller.cli.session.session import Session

_SEARCHED = (
    "username",
    "user_email",
    "user_phone",
    "user_first_name",
    "user_last_name",
    "account_name",
)
_PREFETCH = 4

Wanted = Callable[[Account], bool]


def list_(
    *,
    low: Amount = None,
    limit: Annotated[int | None, Parameter(converter=whole, metavar="N")] = None,
    everywhere: Everywhere = USUAL,
) -> Status:
    """List the client accounts.

    Args:
        low: only those whose balance is below this, each in its own currency.
        limit: show at most N rows.
    """
    if limit is not None and limit < 1:
        raise CommandError(Status.USAGE, f"--limit must be 1 or more, not {limit}")
    nothing = "There are no clients." if low is None else f"No client is below {low}."

    def wanted(account: Account) -> bool:
        return low is None or account.balance < low

    output = Output(everywhere, ACCOUNT_COLUMNS, USUAL_ACCOUNT_COLUMNS)
    return _walked(everywhere, output, wanted, limit, nothing=nothing)


def find(text: str, /, *, everywhere: Everywhere = USUAL) -> Status:
    """Find client accounts.

    The whole list is read, since the API has no search.

    Args:
        text: a part of a user name, an address, a phone or a name; capitals do not matter.
    """
    part = _folded(text)
    nothing = f"No client has {printable(text)!r} in its name or addresses."
    output = Output(everywhere, ACCOUNT_COLUMNS, USUAL_ACCOUNT_COLUMNS)

    def wanted(account: Account) -> bool:
        return any(part in _folded(getattr(account, name) or "") for name in _SEARCHED)

    return _walked(everywhere, output, wanted, nothing=nothing)


def get(client_user_id: Whole, /, *, everywhere: Everywhere = USUAL) -> Status:
    """Show one client account.

    Args:
        client_user_id: the account's user_id.
    """
    output = Output(everywhere, ACCOUNT_COLUMNS)
    with Session(everywhere) as session:
        account = session.ask(session.client.get_account(client_user_id))
    output.one(account_record(account))
    return Status.DONE


def balance(*, everywhere: Everywhere = USUAL) -> Status:
    """Show the reseller's own credit."""
    output = Output(everywhere, ACCOUNT_COLUMNS, ("username", "balance", "currency"))
    with Session(everywhere) as session:
        account = session.ask(session.client.get_own_account())
    output.one(account_record(account))
    return Status.DONE


def export(
    *,
    to: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    excel: Flag = False,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Write all client accounts, with all columns, as they come.

    Args:
        to: a file instead of stdout; it is there whole or not at all. Its ending says the format
            where --output does not: .csv, .json, .jsonl.
        excel: put an apostrophe before texts of the CSV that a spreadsheet would run as formulas.
    """
    columns = (ACCOUNT_COLUMNS, EXPORTED_ACCOUNT_COLUMNS)
    with exported(everywhere, to, *columns, for_excel=excel) as output:
        return _walked(everywhere, output, record=exported_record)


def _walked(
    everywhere: GlobalOptions,
    output: Output,
    wanted: Wanted = lambda _: True,
    limit: int | None = None,
    *,
    record: Callable[[Account], Record] = account_record,
    nothing: str = "There are no clients.",
) -> Status:
    with Session(everywhere) as session:
        complete = session.run(_walk(session, output, wanted, limit, record))
        output.end()
        if output.is_empty:
            session.console.note(nothing)
        if complete:
            return Status.DONE
        session.console.warn(
            "the list changed while it was read, so an account may be missing: run it again"
        )
        return Status.PARTLY


async def _walk(
    session: Session,
    output: Output,
    wanted: Wanted,
    limit: int | None,
    record: Callable[[Account], Record],
) -> bool:
    rows = 0
    async with session.client.iter_accounts(prefetch=_PREFETCH) as walk:
        with output.counting(session.console, "accounts read") as steps:
            async for account in walk:
                steps.step()
                if wanted(account):
                    output.row(record(account))
                    rows += 1
                    if rows == limit:
                        return True
        return walk.report.complete


def _folded(text: str) -> str:
    """Fold capitals, and an accent to one spelling of the two that it can be typed in."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())

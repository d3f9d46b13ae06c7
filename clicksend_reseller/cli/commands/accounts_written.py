"""The commands that create and change client accounts, one at a time or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import Group, Parameter

from clicksend_reseller import Account, AccountFields
from clicksend_reseller.cli.commands.account_files import create_from
from clicksend_reseller.cli.exit_status import CommandError, Status, worst
from clicksend_reseller.cli.options import USUAL, Everywhere, Flag, Whole, text
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.output.records import (
    ACCOUNT_COLUMNS,
    USUAL_ACCOUNT_COLUMNS,
    account_record,
)
from clicksend_reseller.cli.session.passwords import read_password
from clicksend_reseller.cli.session.session import Session

_Field = Annotated[str | None, Parameter(help="")]


@Parameter(name="*", group=Group("The account", sort_key=10))
@attrs.frozen(kw_only=True)
class Fields:
    """The fields of an account but its password, which never stands in a command."""

    username: _Field = None
    user_email: _Field = None
    user_phone: _Field = None
    user_first_name: _Field = None
    user_last_name: _Field = None
    account_name: _Field = None
    country: Annotated[
        str | None, Parameter(help="two letters, ISO 3166-1 alpha-2, such as AU")
    ] = None

    @property
    def given(self) -> dict[str, str]:
        """Those that were given."""
        return {
            name: text(value, _option(name))
            for name, value in attrs.asdict(self).items()
            if value is not None
        }


def create(
    *,
    fields: Fields = Fields(),
    password_stdin: Flag = False,
    from_: Annotated[Path | None, Parameter(name="--from", metavar="FILE.csv")] = None,
    results: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Create a client account from options, or one for each row of a file.

    The file is CSV with a header of the eight fields. With --results the result of each row is
    written before and after it is tried, and the same command again continues where it stopped.

    Args:
        fields: of the account; all are needed.
        password_stdin: read the password from stdin instead of asking for it.
        from_: create the accounts of this file.
        results: write the result of each row here; the next run reads it.
    """
    if from_ is not None:
        if fields.given or password_stdin:
            raise CommandError(
                Status.USAGE, "--from has all fields: leave out the other options of the account"
            )
        return create_from(everywhere, from_, results)
    if results is not None:
        raise CommandError(Status.USAGE, "--results belongs to --from")
    if missing := [name for name in attrs.fields_dict(Fields) if name not in fields.given]:
        options = " ".join(map(_option, missing))
        raise CommandError(Status.USAGE, f"a new account needs {options}, or --from FILE.csv")
    output = Output(everywhere, ACCOUNT_COLUMNS, USUAL_ACCOUNT_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        client = session.client
        password = read_password(
            session.console, from_stdin=password_stdin, whose=fields.given["username"]
        )
        wanted = AccountFields(password=password, **fields.given)
        account, status = session.write(client.create_account(wanted))
    return _shown(output, account, status)


def update(
    client_user_id: Whole,
    /,
    *,
    fields: Fields = Fields(),
    password_stdin: Flag = False,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Change a client account. Every update sets the client's password again.

    The API takes all eight fields at once: those that are not given stay as they are, but the
    password cannot be read back and has to be given.

    Args:
        client_user_id: the account's user_id.
        fields: to change.
        password_stdin: read the password from stdin instead of asking for it.
    """
    changes = fields.given
    output = Output(everywhere, ACCOUNT_COLUMNS, USUAL_ACCOUNT_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        account = session.ask(session.client.get_account(client_user_id))
        session.console.note(
            "every update sets the client's password again: give the one that it shall have"
        )
        password = read_password(session.console, from_stdin=password_stdin, whose=account.username)
        try:
            wanted = AccountFields.from_account(account, password=password, **changes)
        except ValueError as exc:
            raise CommandError(Status.USAGE, str(exc)) from None
        changed, status = session.write(session.client.update_account(client_user_id, wanted))
    return _shown(output, changed, status)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(output: Output, account: Account, status: Status) -> Status:
    output.one(account_record(account))
    return worst([status, output.status])

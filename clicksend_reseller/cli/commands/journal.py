"""The commands that show the journal and record what a person decides. Nothing is sent."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clicksend_reseller import JournalEntry, TransferState
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import USUAL, Everywhere, Flag, GlobalOptions, text, whole
from clicksend_reseller.cli.output.output import Output, exported
from clicksend_reseller.cli.output.records import ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS, entry_record
from clicksend_reseller.cli.session.next_steps import command
from clicksend_reseller.cli.session.session import Session

Entries = Callable[[Session], AsyncIterator[JournalEntry]]


def list_(
    *,
    unresolved: Flag = False,
    state: Annotated[TransferState | None, Parameter(metavar="STATE")] = None,
    client: Annotated[int | None, Parameter(converter=whole, metavar="ID")] = None,
    everywhere: Everywhere = USUAL,
) -> Status:
    """List the transfers on record, the oldest first, one row for each attempt.

    Args:
        unresolved: only transfers that are unknown, or sent and never settled.
        state: only those in it.
        client: only those to this client_user_id.
    """
    output = Output(everywhere, ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS)

    def wanted(session: Session) -> AsyncIterator[JournalEntry]:
        if unresolved:
            return session.readable.unresolved(older_than=0.0)
        return session.readable.entries(state=state, client_user_id=client)

    def keeps(entry: JournalEntry) -> bool:
        return state in {None, entry.state} and client in {None, entry.client_user_id}

    return _written(everywhere, output, wanted, keeps)


def export(
    *,
    to: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    excel: Flag = False,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Write all that is on record, with all columns.

    Args:
        to: a file instead of stdout; its ending says the format where --output does not.
        excel: put an apostrophe before texts of the CSV that a spreadsheet would run as formulas.
    """

    def wanted(session: Session) -> AsyncIterator[JournalEntry]:
        return session.readable.entries()

    with exported(everywhere, to, ENTRY_COLUMNS, for_excel=excel) as output:
        return _written(everywhere, output, wanted)


def show(key: str, /, *, everywhere: Everywhere = USUAL) -> Status:
    """Show all attempts under one key.

    Args:
        key: of the transfer.
    """
    output = Output(everywhere, ENTRY_COLUMNS)
    with Session(everywhere) as session:
        for entry in found(session, key).rounds:
            output.row(entry_record(entry))
        output.end()
    return Status.DONE


def resolve(
    key: str,
    /,
    *,
    note: Annotated[str, Parameter(metavar="TEXT")],
    applied: Flag = False,
    not_applied: Flag = False,
    by: Annotated[str | None, Parameter(metavar="NAME")] = None,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Record whether a transfer arrived. Nothing is sent.

    Args:
        key: of the transfer.
        note: how you found out.
        applied: the credit arrived.
        not_applied: the credit did not arrive; then the key can be renewed.
        by: who decides; else your login name.
    """
    if applied == not_applied:
        raise CommandError(Status.USAGE, "give --applied or --not-applied")
    text(note, "--note")
    output = Output(everywhere, ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        seen = found(session, key)
        resolved = session.journal.resolve(key, applied, by=_who(by), note=note, seen=seen)
        output.one(entry_record(session.run(resolved)))
    return Status.DONE


def renew(
    key: str,
    /,
    *,
    note: Annotated[str, Parameter(metavar="TEXT")] = "renewed from the command line",
    by: Annotated[str | None, Parameter(metavar="NAME")] = None,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Allow another attempt of a transfer that was refused or did not arrive. Nothing is sent.

    Args:
        key: of the transfer; it stays the same.
        note: why.
        by: who decides; else your login name.
    """
    text(note, "--note")
    output = Output(everywhere, ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        seen = found(session, key)
        session.run(session.journal.renew(key, by=_who(by), note=note, seen=seen))
        entry = found(session, key)
        output.one(entry_record(entry))
        words = (str(entry.client_user_id), str(entry.amount), entry.currency, "--key", key)
        paying = command(everywhere, "transfer", *words)
        session.console.note(f"to pay it: {paying}, or its batch again")
    return Status.DONE


def hold(
    *,
    before: Annotated[str | None, Parameter(metavar="TIME")] = None,
    note: Annotated[str, Parameter(metavar="TEXT")] = "held from the command line",
    by: Annotated[str | None, Parameter(metavar="NAME")] = None,
    everywhere: Everywhere = USUAL,
) -> Status:
    """After restoring a backup: block transfers that were planned but not sent.

    They become unknown, because they may have been sent after the backup. Nothing is sent here.

    Args:
        before: only what was recorded before this time, such as 2026-11-24T10:00Z.
        note: why.
        by: who decides; else your login name.
    """
    moment = _moment(before)
    with Session(everywhere) as session:
        if not session.has_journal:
            raise CommandError(Status.FAILED, f"there is no journal {session.place.journal_shown}")
        held = session.run(session.journal.hold(moment, by=_who(by), note=note))
        listing = command(everywhere, "journal", "list", "--unresolved")
        session.console.note(f"{held} blocked, {held.left} left as they are: see {listing}")
        session.console.warn(
            "transfers made after the backup are not on record. Compare with the ClickSend "
            "dashboard first; until then, pay no list and renew nothing"
        )
    return Status.DONE


def _written(
    everywhere: GlobalOptions,
    output: Output,
    wanted: Entries,
    keeps: Callable[[JournalEntry], bool] = lambda _: True,
) -> Status:
    async def write(session: Session) -> None:
        async for entry in wanted(session):
            if keeps(entry):
                output.row(entry_record(entry))

    with Session(everywhere) as session:
        if session.has_journal:
            session.run(write(session))
        output.end()
        if output.is_empty:
            session.console.note(f"Nothing to show in {session.place.journal_shown}.")
    return Status.DONE


def found(session: Session, key: str) -> JournalEntry:
    """Give the newest round of a key.

    Raises:
        CommandError: it is not on record.
    """
    entry = session.run(session.readable.get(key)) if session.has_journal else None
    if entry is None:
        where = session.place.journal_shown
        raise CommandError(Status.FAILED, f"the key {key!r} is not on record in {where}")
    return entry


def _moment(text: str | None) -> datetime | None:
    if text is None or text == "now":
        return None  # no clock is asked: one that was ahead has written times to come
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(
            Status.USAGE,
            f"--before is now, or a time with its zone, such as 2026-11-24T10:00Z, not {text!r}",
        )
    return moment


def _who(by: str | None) -> str:
    if by is not None:
        return text(by, "--by")
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise CommandError(
            Status.USAGE, "there is no login name here: give one with --by"
        ) from None

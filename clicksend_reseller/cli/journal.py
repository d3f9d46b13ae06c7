"""What is on record, and what does a person decide about it? Nothing here sends anything."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from clicksend_reseller import JournalEntry, TransferState
from clicksend_reseller.cli.next_steps import command
from clicksend_reseller.cli.options import Everywhere, whole
from clicksend_reseller.cli.output import Output, replaced, suited
from clicksend_reseller.cli.records import (
    ENTRY_COLUMNS,
    RECONCILED_COLUMNS,
    USUAL_ENTRY_COLUMNS,
    entry_record,
    reconciled_record,
)
from clicksend_reseller.cli.session import Session
from clicksend_reseller.cli.statuses import EndedError, Status
from clicksend_reseller.cli.voice import printable
from clicksend_reseller.journal import Assumptions, Verdict

if TYPE_CHECKING:
    from clicksend_reseller.journal import Reconciliation

__all__ = ["export", "hold", "list_", "reconcile", "renew", "resolve", "show"]

_Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Entries = Callable[[Session], AsyncIterator[JournalEntry]]


def list_(
    *,
    unresolved: _Flag = False,
    state: Annotated[TransferState | None, Parameter(metavar="STATE")] = None,
    client: Annotated[int | None, Parameter(converter=whole, metavar="ID")] = None,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """List what is on record, oldest first, each round a row.

    Args:
        unresolved: only what a person must judge: unknown, or sent and never settled; one that
            was sent a moment ago may still be under way.
        state: only those in it.
        client: only those to this client_user_id.
        everywhere: the options of every command.
    """
    output = Output(everywhere, ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS)

    def wanted(session: Session) -> AsyncIterator[JournalEntry]:
        if unresolved:
            return session.journal.unresolved(older_than=0.0)
        return session.journal.entries(state=state, client_user_id=client)

    def keeps(entry: JournalEntry) -> bool:
        return state in {None, entry.state} and client in {None, entry.client_user_id}

    return _written(everywhere, output, wanted, keeps)


def export(
    *,
    to: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """Write all that is on record, with all columns.

    Args:
        to: a file instead of stdout; its ending says the format where --output does not.
        everywhere: the options of every command.
    """

    def wanted(session: Session) -> AsyncIterator[JournalEntry]:
        return session.journal.entries()

    suits = suited(to)
    if to is None:
        return _written(everywhere, Output(everywhere, ENTRY_COLUMNS, suits=suits), wanted)
    with replaced(to) as stream:
        output = Output(everywhere, ENTRY_COLUMNS, suits=suits, stream=stream)
        return _written(everywhere, output, wanted)


def show(
    key: str,
    /,
    *,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """Show all rounds of one key.

    Args:
        key: of the transfer.
        everywhere: the options of every command.
    """
    output = Output(everywhere, ENTRY_COLUMNS)
    with Session(everywhere) as session:
        for entry in _found(session, key).rounds:
            output.row(entry_record(entry))
        output.end()
    return Status.DONE


def reconcile(
    key: str | None = None,
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    before: Annotated[Decimal | None, Parameter(metavar="BALANCE")] = None,
    exclusive: _Flag = False,
    same_currency: _Flag = False,
    max_spend: Annotated[Decimal | None, Parameter(metavar="AMOUNT")] = None,
    quiet_for: Annotated[float, Parameter(metavar="SECONDS")] = 0.0,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """Look whether a transfer of unknown outcome arrived: a verdict, by balances and assumptions.

    It sends and writes nothing. Exit status 6 where a verdict is inconclusive.

    Args:
        key: of the transfer.
        all_: all that are unresolved.
        before: the client's balance before the transfer, if you know it.
        exclusive: assume that no other credit reached the client.
        same_currency: assume that the amount arrives as it is.
        max_spend: assume that the client spent at most this.
        quiet_for: assume that nothing arrives later than so many seconds.
        everywhere: the options of every command.
    """
    if (key is None) == (not all_):
        raise EndedError(Status.USAGE, "say KEY or --all")
    if all_ and before is not None:
        raise EndedError(Status.USAGE, "--before is one client's balance: say it with a KEY")
    try:
        assume = Assumptions(
            exclusive=exclusive,
            same_currency=same_currency,
            max_spend=max_spend,
            quiet_for=quiet_for,
        )
    except ValueError as exc:
        raise EndedError(Status.USAGE, str(exc)) from None
    output = Output(everywhere, RECONCILED_COLUMNS)
    with Session(everywhere, journaled=True) as session:
        entries = session.run(_unresolved(session)) if key is None else [_found(session, key)]
        found = [session.run(_judged(session, entry, assume, before)) for entry in entries]
        for each in found:
            if everywhere.output is None and everywhere.columns is None:
                output.text(*str(each).splitlines())
            else:
                output.row(reconciled_record(each))
        if everywhere.output is not None or everywhere.columns is not None:
            output.end()
        _say_what_follows(session, found)
    open_ = [each for each in found if each.verdict is Verdict.INCONCLUSIVE]
    return Status.UNKNOWN if open_ else Status.DONE


def resolve(
    key: str,
    /,
    *,
    note: Annotated[str, Parameter(metavar="TEXT")],
    applied: _Flag = False,
    not_applied: _Flag = False,
    by: Annotated[str | None, Parameter(metavar="NAME")] = None,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """Write down what you found out about a transfer. Nothing is sent.

    Args:
        key: of the transfer.
        note: how you found out.
        applied: the credit arrived.
        not_applied: it did not; only then may it be renewed.
        by: who says so; else your login name.
        everywhere: the options of every command.
    """
    if applied == not_applied:
        raise EndedError(Status.USAGE, "say --applied or --not-applied")
    output = Output(everywhere, ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        _found(session, key)
        entry = session.run(session.journal.resolve(key, applied, by=_who(by), note=note))
        output.one(entry_record(entry))
    return Status.DONE


def renew(
    key: str,
    /,
    *,
    note: Annotated[str, Parameter(metavar="TEXT")] = "renewed from the command line",
    by: Annotated[str | None, Parameter(metavar="NAME")] = None,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """Open another round of a transfer that was refused, or found not applied. Nothing is sent.

    Args:
        key: of the transfer; it stays the same.
        note: why.
        by: who decides; else your login name.
        everywhere: the options of every command.
    """
    output = Output(everywhere, ENTRY_COLUMNS, USUAL_ENTRY_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        _found(session, key)
        session.run(session.journal.renew(key, by=_who(by), note=note))
        entry = _found(session, key)
        output.one(entry_record(entry))
        words = (str(entry.client_user_id), str(entry.amount), entry.currency, "--key", key)
        paying = command(everywhere, "transfer", *words)
        session.voice.note(f"to pay it: {paying}, or its batch again")
    return Status.DONE


def hold(
    *,
    before: Annotated[str, Parameter(metavar="TIME")],
    note: Annotated[str, Parameter(metavar="TEXT")] = "held from the command line",
    by: Annotated[str | None, Parameter(metavar="NAME")] = None,
    everywhere: Everywhere = Everywhere(),
) -> Status:
    """Stop what was intended before a time: it becomes unknown. Run it after restoring a backup.

    What the old copy calls intended may have been sent since. Nothing is sent here.

    Args:
        before: now, or a time such as 2026-11-24T10:00Z.
        note: why.
        by: who decides; else your login name.
        everywhere: the options of every command.
    """
    moment = _moment(before)
    with Session(everywhere) as session:
        if not session.has_journal:
            raise EndedError(Status.FAILED, f"there is no journal {session.place.journal_shown}")
        count = session.run(session.journal.hold(moment, by=_who(by), note=note))
        session.voice.note(
            f"{count} stopped: see {command(everywhere, 'journal', 'list', '--unresolved')}"
        )
    return Status.DONE


def _written(
    everywhere: Everywhere,
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
    return Status.DONE


def _found(session: Session, key: str) -> JournalEntry:
    entry = session.run(session.journal.get(key)) if session.has_journal else None
    if entry is None:
        where = session.place.journal_shown
        raise EndedError(Status.FAILED, f"the key {key!r} is not on record in {where}")
    return entry


async def _unresolved(session: Session) -> list[JournalEntry]:
    realm = session.client.realm
    return [
        entry
        async for entry in session.journal.unresolved(older_than=0.0)
        if entry.realm in {None, realm}
    ]


async def _judged(
    session: Session, entry: JournalEntry, assume: Assumptions, before: Decimal | None
) -> Reconciliation:
    from clicksend_reseller.journal import reconcile_transfer  # noqa: PLC0415 - an HTTP library, which help does not need

    try:
        return await reconcile_transfer(session.client, entry, assume, before=before)
    except ValueError as exc:
        raise EndedError(Status.FAILED, printable(str(exc))) from None


def _say_what_follows(session: Session, found: list[Reconciliation]) -> None:
    if not found:
        session.voice.note("nothing is unresolved")
    for each in found:
        if each.verdict is not Verdict.INCONCLUSIVE and each.idempotency_key:
            option = f"--{each.verdict.value.replace('_', '-')}"
            words = ("journal", "resolve", each.idempotency_key, option, "--note", each.reasons[-1])
            session.voice.note(f"if you agree: {command(session.options, *words)}")


def _moment(text: str) -> datetime:
    if text == "now":
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise EndedError(
            Status.USAGE,
            f"--before is now, or a time with its zone, such as 2026-11-24T10:00Z, not {text!r}",
        )
    return moment


def _who(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise EndedError(Status.USAGE, "nobody is logged in here: say who with --by") from None

"""The command that judges a transfer of unknown outcome by balances. Nothing is sent or written."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from clicksend_reseller import JournalEntry
from clicksend_reseller.cli.commands.journal import found
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import USUAL, Amount, Balance, Everywhere, Flag
from clicksend_reseller.cli.output.console import printable
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.output.records import RECONCILED_COLUMNS, reconciled_record
from clicksend_reseller.cli.session.next_steps import command
from clicksend_reseller.cli.session.session import Session
from clicksend_reseller.journal import Assumptions, Verdict

if TYPE_CHECKING:
    from clicksend_reseller.journal import Reconciliation


def reconcile(
    key: str | None = None,
    /,
    *,
    all_: Annotated[Flag, Parameter(name="--all")] = False,
    before: Balance = None,
    exclusive: Flag = False,
    same_currency: Flag = False,
    max_spend: Amount = None,
    quiet_for: Annotated[float, Parameter(metavar="SECONDS")] = 0.0,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Check by balances whether a transfer of unknown outcome arrived.

    It sends and writes nothing. The exit status is 6 where a verdict is inconclusive.

    Args:
        key: of the transfer.
        all_: check all unresolved transfers.
        before: the client's balance before the transfer, if you know it.
        exclusive: assume that no other credit reached the client.
        same_currency: assume that the amount arrives as it is.
        max_spend: assume that the client spent at most this.
        quiet_for: assume that nothing arrives later than this many seconds.
    """
    if (key is None) == (not all_):
        raise CommandError(Status.USAGE, "give KEY or --all")
    if all_ and before is not None:
        raise CommandError(Status.USAGE, "--before is one client's balance: give it with a KEY")
    try:
        assume = Assumptions(
            exclusive=exclusive,
            same_currency=same_currency,
            max_spend=max_spend,
            quiet_for=quiet_for,
        )
    except ValueError as exc:
        raise CommandError(Status.USAGE, str(exc)) from None
    output = Output(everywhere, RECONCILED_COLUMNS)
    with Session(everywhere) as session:
        entries = session.run(_unresolved(session)) if key is None else [found(session, key)]
        verdicts = [session.run(_judged(session, entry, assume, before)) for entry in entries]
        if everywhere.asks_for_rows:
            for each in verdicts:
                output.row(reconciled_record(each))
            output.end()
        else:
            output.text(*(line for each in verdicts for line in str(each).splitlines()))
        _say_what_follows(session, verdicts)
    open_ = [each for each in verdicts if each.verdict is Verdict.INCONCLUSIVE]
    return Status.UNKNOWN if open_ else Status.DONE


async def _unresolved(session: Session) -> list[JournalEntry]:
    realm = session.client.realm
    return [
        entry
        async for entry in session.readable.unresolved(older_than=0.0)
        if entry.realm in {None, realm}
    ]


async def _judged(
    session: Session, entry: JournalEntry, assume: Assumptions, before: Decimal | None
) -> Reconciliation:
    from clicksend_reseller.journal import reconcile_transfer  # noqa: PLC0415 - an HTTP library, which help does not need

    try:
        return await reconcile_transfer(session.client, entry, assume, before=before)
    except ValueError as exc:
        raise CommandError(Status.FAILED, printable(str(exc))) from None


def _say_what_follows(session: Session, verdicts: list[Reconciliation]) -> None:
    if not verdicts:
        session.console.note("nothing is unresolved")
    for each in verdicts:
        if each.verdict is not Verdict.INCONCLUSIVE and each.idempotency_key:
            option = f"--{each.verdict.value.replace('_', '-')}"
            words = ("journal", "resolve", each.idempotency_key, option, "--note", each.reasons[-1])
            session.console.note(f"if you agree: {command(session.options, *words)}")

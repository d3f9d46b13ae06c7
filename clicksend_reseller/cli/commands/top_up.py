"""Many clients paid: those of a file, or all whose balance is below an amount."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clicksend_reseller.cli.exit_status import CommandError, Status, worst
from clicksend_reseller.cli.options import (
    ASKED_FIRST,
    USUAL,
    Balance,
    Everywhere,
    Flag,
    PaymentOptions,
)
from clicksend_reseller.cli.output.console import CommandConsole, printable
from clicksend_reseller.cli.payments.amounts import checked_batch
from clicksend_reseller.cli.payments.clients import made_up
from clicksend_reseller.cli.payments.plan import check_moving, pay, planned
from clicksend_reseller.cli.payments.policy import Proposal, propose
from clicksend_reseller.cli.payments.topup_file import read_file, write_plan
from clicksend_reseller.cli.session.next_steps import command
from clicksend_reseller.cli.session.session import Session
from clicksend_reseller.journal import plan_top_ups

_SKIPPED = 20


def top_up(
    *,
    from_: Annotated[Path | None, Parameter(name="--from", metavar="FILE.csv")] = None,
    below: Balance = None,
    to: Balance = None,
    batch: Annotated[str | None, Parameter(metavar="NAME")] = None,
    currency: Annotated[str | None, Parameter(metavar="AUD")] = None,
    plan: Annotated[Path | None, Parameter(metavar="FILE.csv")] = None,
    renew_rejected: Flag = False,
    moving: PaymentOptions = ASKED_FIRST,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Pay many clients, each key once: those of a file, or those with a low balance.

    After an interruption, run the same command again: it continues and pays nobody twice.

    Args:
        from_: CSV with the header client_user_id,amount,currency[,key][,note].
        below: pay the clients whose balance is less than this, each in its own currency.
        to: bring them to at least this, in whole units.
        batch: the first part of each key; the same name means the same payment.
        currency: with --below, only clients whose account is in it.
        plan: with --below, write a file for --from, and send nothing.
        renew_rejected: also pay rows that were refused before.
        moving: of the commands that move money.
    """
    name = None if batch is None else checked_batch(batch)
    if from_ is not None:
        if any(other is not None for other in (below, to, currency, plan)):
            raise CommandError(
                Status.USAGE, "with --from, leave out --below, --to, --currency and --plan"
            )
        check_moving(moving)
        rows = read_file(from_, name)
        with Session(everywhere, journaled=True) as session:
            rows = made_up(session, rows)
            return pay(session, rows, moving=moving, renew_rejected=renew_rejected)
    if below is None or to is None or name is None:
        raise CommandError(
            Status.USAGE, "give --from FILE.csv, or --below BALANCE --to BALANCE --batch NAME"
        )
    if moving.offline:
        raise CommandError(Status.USAGE, "--offline is for --from: --below reads the balances")
    _check(below, to, currency)
    if plan is None:
        check_moving(moving)
    with Session(everywhere, journaled=True) as session:
        proposal = session.run(propose(session, name, below=below, to=to, currency=currency))
        _show(session.console, proposal)
        if not proposal.rows:
            session.console.note(f"No client is below {below} and to be paid.")
        if plan is not None:
            return _written(session, plan, proposal)
        status = pay(
            session,
            proposal.rows,
            moving=moving,
            renew_rejected=renew_rejected,
            finds_twins=False,  # the balance of this moment is the better reason
            before=proposal.put_on_record,
        )
    return worst([status, Status.DONE if proposal.is_complete else Status.PARTLY])


def _check(below: Decimal, to: Decimal, currency: str | None) -> None:
    try:
        plan_top_ups((), below=below, to=to, currency=currency)
    except ValueError as exc:
        raise CommandError(Status.USAGE, f"--{exc}. Nothing was sent.") from None


def _show(console: CommandConsole, proposal: Proposal) -> None:
    for skip in proposal.skipped[:_SKIPPED]:
        why = f"{skip.reason}{'; its row is withdrawn' if skip.is_withdrawn else ''}"
        who = f"{skip.account.user_id} {skip.account.username}"
        console.note(printable(f"skipped {who}: {why}"))
    if (more := len(proposal.skipped) - _SKIPPED) > 0:
        console.note(f"skipped {more} more")
    if not proposal.is_complete:
        console.warn("the list changed while it was read, so a client may be missing: run it again")


def _written(session: Session, path: Path, proposal: Proposal) -> Status:
    found = session.run(planned(session, proposal.rows, renew_rejected=False))
    session.run(proposal.put_on_record(session))  # or the file would not fit what is on record
    write_plan(path, found.due)
    if found.unknown:
        session.console.warn(f"{found.unknown} rows of the batch have no known outcome: look first")
    session.console.note(f"{len(found.due)} rows planned in {path}, nothing was sent")
    paying = command(session.options, "top-up", "--from", str(path))
    session.console.note(f"to pay them: {paying}")
    return worst([found.status, Status.DONE if proposal.is_complete else Status.PARTLY])

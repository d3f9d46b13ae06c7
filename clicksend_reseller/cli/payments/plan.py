"""A list before it is paid: looked up in the journal, shown, and confirmed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from typing import Any

import attrs

from clicksend_reseller import Account, JournalEntry, ResellerError, TransferState
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import PaymentOptions
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.output.records import money
from clicksend_reseller.cli.payments.clients import look_up, warn_of
from clicksend_reseller.cli.payments.on_record import entries_of, is_for, twins
from clicksend_reseller.cli.payments.rows import DRAWN_COLUMNS, RESULT_COLUMNS, Payment
from clicksend_reseller.cli.payments.run import Paying
from clicksend_reseller.cli.session.session import Session

_LARGEST = 5
_CONFLICTS = 20


@attrs.frozen(kw_only=True)
class Plan:
    """What a list comes to, after a look at the journal.

    Attributes:
        due: to be paid now.
        settled: the rows that the journal has an answer for.
    """

    due: Sequence[Payment]
    settled: Sequence[Payment]

    @property
    def sums(self) -> Counter[str]:
        """What is to be paid now, by currency."""
        sums: Counter[str] = Counter()
        for row in self.due:
            sums[row.transfer.currency] += row.transfer.amount
        return sums

    @property
    def unknown(self) -> int:
        """The number of rows that may or may not have been paid."""
        return self.count("unknown")

    @property
    def status(self) -> Status:
        """What the list makes of the status of a run that sends nothing."""
        return Status.UNKNOWN if self.unknown else Status.DONE

    def count(self, status: str) -> int:
        """Count the rows that the journal has an answer for, by that answer."""
        return sum(row.status == status for row in self.settled)


def check_moving(moving: PaymentOptions) -> None:
    """Refuse a batch that nobody confirms and nothing bounds.

    Raises:
        CommandError: `--yes` without `--max-total`, or a cap that is none.
    """
    if moving.max_total is not None and moving.max_total < 0:
        raise CommandError(Status.USAGE, f"--max-total must be 0 or more, not {moving.max_total}")
    if moving.yes and moving.max_total is None and not moving.dry_run:
        raise CommandError(
            Status.USAGE,
            "--yes on a batch needs --max-total AMOUNT, the most that may move in any one "
            "currency; nothing was sent",
        )


def pay(
    session: Session,
    rows: Sequence[Payment],
    *,
    moving: PaymentOptions,
    renew_rejected: bool,
    finds_twins: bool = True,
    before: Callable[[Session], Coroutine[Any, Any, None]] | None = None,
) -> Status:
    """Pay rows, each key once; the same rows again go on where it stopped.

    Args:
        session: with a journal.
        rows: with keys that are all different.
        moving: whether to ask, and the most that may move.
        renew_rejected: also pay rows that were refused before.
        finds_twins: say where the same was sent in the last day under other keys.
        before: is done when all is confirmed, before the first row is sent.
    """
    output = Output(
        session.options, RESULT_COLUMNS, RESULT_COLUMNS[:-1], drawn=DRAWN_COLUMNS, goes_on=True
    )
    plan = session.run(planned(session, rows, renew_rejected=renew_rejected))
    with _unknown_first(plan):
        if session.place.in_process or not (moving.offline or (moving.yes and not moving.dry_run)):
            plan = attrs.evolve(plan, due=look_up(session, plan.due))
        _ask(session, plan, moving, finds_twins=finds_twins)
        if moving.dry_run:
            return _rehearsed(session, output, plan)
        if before is not None:
            session.run(before(session))
    paying = Paying(
        session, output, due=plan.due, settled=plan.settled, renew_rejected=renew_rejected
    )
    return paying.to_its_end()


@contextlib.contextmanager
def _unknown_first(plan: Plan) -> Generator[None]:
    """Let no other end hide that rows of the list are unknown."""
    try:
        yield
    except (CommandError, ResellerError, KeyboardInterrupt) as exc:
        if not plan.unknown:
            raise
        why = exc.message if isinstance(exc, CommandError) else str(exc) or "interrupted"
        raise CommandError(
            Status.UNKNOWN, f"{why}; {plan.unknown} rows of the list have no known outcome"
        ) from None


def _ask(session: Session, plan: Plan, moving: PaymentOptions, *, finds_twins: bool) -> None:
    asks = plan.due and not moving.offline
    credit = session.ask(session.client.get_own_account()) if asks else None
    wanted = [row.transfer for row in plan.due] if finds_twins else []
    seen = session.run(twins(session.on_record, wanted, session.client.realm)) if wanted else []
    _show(session, plan, credit, seen)
    session.check_journal(moving)
    _check_total(plan, moving)
    if plan.due and not moving.yes and not moving.dry_run:
        session.console.confirm(f"Send {_in_words(plan)}?")


async def planned(session: Session, rows: Sequence[Payment], *, renew_rejected: bool) -> Plan:
    """Look the rows up in the journal.

    Raises:
        CommandError: a key is on record for something else: all of them named, nothing sent.
    """
    entries = await entries_of(session.on_record, {row.transfer.idempotency_key for row in rows})
    _check_conflicts(rows, entries, session.client.realm)
    payable = {TransferState.INTENDED, *([TransferState.REJECTED] if renew_rejected else [])}
    due: list[Payment] = []
    settled: list[Payment] = []
    for row in rows:
        entry = entries.get(row.transfer.idempotency_key)
        if entry is None or entry.state in payable:
            due.append(row)
        else:
            settled.append(row.on_record(entry))
    return Plan(due=due, settled=settled)


def _check_conflicts(
    rows: Sequence[Payment], entries: Mapping[str, JournalEntry], realm: str
) -> None:
    conflicts = [
        (row, entry)
        for row in rows
        if (entry := entries.get(row.transfer.idempotency_key))
        and not is_for(entry, row.transfer, realm)
        and not _gives_way(row, entry)
    ]
    if not conflicts:
        return
    lines = [f"  {_conflict(row, entry, realm)}" for row, entry in conflicts[:_CONFLICTS]]
    if (more := len(conflicts) - _CONFLICTS) > 0:
        lines.append(f"  and {more} more")
    fact = "nothing was sent: a key is for one transfer only, and these are on record for another:"
    raise CommandError(Status.USAGE, "\n".join([fact, *lines]))


def _gives_way(row: Payment, entry: JournalEntry) -> bool:
    """Return True if a round is still the one that was never sent and is computed anew."""
    seen = row.replaces
    is_same = seen is not None and (seen.round, seen.realm) == (entry.round, entry.realm)
    return is_same and entry.state is TransferState.INTENDED


def _conflict(row: Payment, entry: JournalEntry, realm: str) -> str:
    wanted, where = row.transfer, f"line {row.line}: " if row.line else ""
    words = (
        f"{where}{wanted.idempotency_key!r} is on record for {entry.amount} {entry.currency} "
        f"to {entry.client_user_id} ({entry.state}), not for {wanted.amount} {wanted.currency} "
        f"to {wanted.client_user_id}"
    )
    return words if entry.realm in {None, realm} else f"{words}, at {entry.realm}, not {realm}"


def _show(
    session: Session, plan: Plan, credit: Account | None, seen: Sequence[JournalEntry]
) -> None:
    rows = len(plan.due) + len(plan.settled)
    lines = [
        ("host", session.place.host),
        ("journal", session.place.journal_shown),
        ("rows", f"{rows}, {plan.count('already_paid')} of them already paid"),
        ("to pay now", _in_words(plan)),
    ]
    if plan.unknown:
        lines.append(("unknown", f"{plan.unknown}: not sent again; see journal list --unresolved"))
    if refused := plan.count("rejected"):
        lines.append(("refused before", f"{refused}: not sent again without --renew-rejected"))
    if plan.due:
        lines.append(("largest", _largest(plan.due)))
    if credit is not None:
        lines.append(("own credit", f"{money(credit.balance)} {credit.currency_code or ''}"))
    session.console.show(lines)
    warn_of(session, plan.due)
    if credit is not None and plan.sums.get(credit.currency_code or "", 0) > credit.balance:
        session.console.warn("your own credit does not cover it: the batch will end early")
    if seen:
        session.console.warn(
            f"{len(seen)} transfers like these were sent in the last 24 hours under other keys, "
            f"such as {seen[0].key!r}: is this the same list under another name?"
        )


def _largest(rows: Iterable[Payment]) -> str:
    largest = sorted(rows, key=lambda row: row.transfer.amount, reverse=True)[:_LARGEST]
    return ", ".join(
        f"{row.transfer.amount} {row.transfer.currency} to {row.transfer.client_user_id} "
        f"{row.username}".rstrip()
        for row in largest
    )


def _in_words(plan: Plan) -> str:
    if not plan.due:
        return "nothing"
    sums = ", ".join(f"{amount} {code}" for code, amount in sorted(plan.sums.items()))
    return f"{sums} in {len(plan.due)} transfer{'s' if len(plan.due) > 1 else ''}"


def _check_total(plan: Plan, moving: PaymentOptions) -> None:
    most = moving.max_total
    over = [
        f"{sum_} {code}" for code, sum_ in plan.sums.items() if most is not None and sum_ > most
    ]
    if over:
        raise CommandError(
            Status.FAILED, f"nothing was sent: {', '.join(over)} is more than --max-total {most}"
        )


def _rehearsed(session: Session, output: Output, plan: Plan) -> Status:
    for row in (*plan.due, *plan.settled):
        output.row(row.record)
    output.end()
    session.console.note("a dry run: nothing was sent")
    return plan.status

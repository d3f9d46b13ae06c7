"""One transfer: shown, confirmed, and sent once under a key that is named before."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated

import attrs
from cyclopts import Parameter

from clicksend_reseller import (
    Account,
    AuthenticationError,
    JournalEntry,
    NotFoundError,
    PermissionDeniedError,
    ResellerError,
    Transfer,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller._wire.limits import MAX_INT
from clicksend_reseller.cli.exit_status import CommandError, Status, status_of, worst
from clicksend_reseller.cli.options import (
    ASKED_FIRST,
    USUAL,
    Everywhere,
    Flag,
    PaymentOptions,
    Whole,
)
from clicksend_reseller.cli.output.console import printable
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.output.records import moment, money
from clicksend_reseller.cli.payments.amounts import checked_key, fault_of_currency
from clicksend_reseller.cli.payments.clients import MADE_UP
from clicksend_reseller.cli.payments.on_record import OPEN, entries_of, is_for, twins
from clicksend_reseller.cli.payments.rows import DRAWN_COLUMNS, RESULT_COLUMNS, Payment
from clicksend_reseller.cli.session.next_steps import command
from clicksend_reseller.cli.session.session import Session


def transfer(
    client_user_id: Whole,
    amount: Whole,
    currency: str,
    /,
    *,
    key: Annotated[str | None, Parameter(metavar="K")] = None,
    allow_negative: Flag = False,
    moving: PaymentOptions = ASKED_FIRST,
    everywhere: Everywhere = USUAL,
) -> Status:
    """Move credit to a client, once.

    Without --key the command makes a key and prints it before it sends anything. The same
    command with that key looks up the result and never sends the transfer twice.

    Args:
        client_user_id: the account's user_id.
        amount: whole units of the currency.
        currency: three capital letters.
        key: your own name for this transfer, such as an invoice number.
        allow_negative: let a negative amount take credit back from the client.
        moving: of the commands that move money.
    """
    wanted = Transfer(
        idempotency_key=f"cli-{uuid.uuid4().hex[:12]}" if key is None else checked_key(key),
        client_user_id=client_user_id,
        amount=amount,
        currency=currency,
    )
    _check(wanted, moving, allow_negative=allow_negative)
    # A table is for a person, who reads the reason beside it.
    usual = RESULT_COLUMNS[: -1 if everywhere.output else -2]
    output = Output(everywhere, RESULT_COLUMNS, usual, drawn=DRAWN_COLUMNS[:-1], goes_on=True)
    with Session(everywhere, journaled=True) as session:
        session.make_up([wanted])
        entries = session.run(entries_of(session.on_record, [wanted.idempotency_key]))
        entry = entries.get(wanted.idempotency_key)
        is_new = entry is None or entry.state is TransferState.INTENDED
        row = Payment(transfer=wanted)
        if is_new and (entry is None or is_for(entry, wanted, session.client.realm)):
            row = _confirmed(session, row, moving)
        else:
            is_new = False  # the journal answers, or refuses it by itself
        if moving.dry_run:
            session.console.note("a dry run: nothing was sent")
            return Status.DONE
        if key is None:
            minted = wanted.idempotency_key
            again = f"if this is interrupted, run again with --key {minted}"
            session.console.warn(f"key {minted}; {again}")
        if is_new:
            _keep_balance(session, wanted)
        return _sent(session, output, row, allow_negative=allow_negative)


def _check(wanted: Transfer, moving: PaymentOptions, *, allow_negative: bool) -> None:
    fault = fault_of_currency(wanted.currency)
    if fault:
        fault = f"{fault}, not {wanted.currency!r}"
    elif not 1 <= wanted.client_user_id <= MAX_INT:
        fault = f"client_user_id must be from 1 to {MAX_INT}, not {wanted.client_user_id}"
    elif not 1 <= abs(wanted.amount) <= MAX_INT:
        fault = f"amount must be from 1 to {MAX_INT}, not {wanted.amount}"
    elif wanted.amount < 0 and not allow_negative:
        fault = "a negative amount takes credit back: add --allow-negative if you mean that"
    if fault:
        raise CommandError(Status.USAGE, f"{fault}; nothing was sent")
    most = moving.max_total
    if most is not None and abs(wanted.amount) > most:
        fault = f"{wanted.amount} is more than --max-total {most}"
        raise CommandError(Status.FAILED, f"{fault}; nothing was sent")


def _confirmed(session: Session, row: Payment, moving: PaymentOptions) -> Payment:
    wanted = row.transfer
    client = str(wanted.client_user_id)
    account = None
    if not moving.offline:
        account = session.ask(session.client.get_account(wanted.client_user_id))
        made_up = f" ({MADE_UP})" if account.user_id in session.made_up else ""
        client = f"{account.user_id}, {account.username}{made_up}"
    seen = session.run(twins(session.on_record, [wanted], session.client.realm))
    _show(session, wanted, client, account, seen)
    session.check_journal(moving)
    if not moving.yes and not moving.dry_run:
        session.console.confirm("Send it?")
    return attrs.evolve(row, username=account.username) if account else row


def _show(
    session: Session,
    wanted: Transfer,
    client: str,
    account: Account | None,
    seen: Sequence[JournalEntry],
) -> None:
    lines = [
        ("host", session.place.host),
        ("journal", session.place.journal_shown),
        ("client", client),
        ("amount", f"{wanted.amount} {wanted.currency}"),
        ("key", wanted.idempotency_key),
    ]
    own = (account and account.currency_code) or "an unknown currency"
    if account is not None:
        lines.insert(3, ("balance", f"{money(account.balance)} {own}"))
    session.console.show(lines)
    if account is not None and account.banned:
        session.console.warn("the client is banned")
    if account is not None and wanted.currency != account.currency_code:
        session.console.warn(
            f"the client's account is in {own}: the exchange rate is not known, and so neither is "
            "the amount that arrives"
        )
    for entry in seen[-1:]:
        session.console.warn(
            f"the same amount was sent to this client at {moment(entry.sent_at)} under the key "
            f"{entry.key!r} ({entry.state}): is this another payment?"
        )


def _keep_balance(session: Session, wanted: Transfer) -> None:
    """Put the client's balance of this moment beside the transfer, for `journal reconcile`.

    Not the one that was shown: another transfer may have arrived while a person was asked.
    """
    journal, client = session.journal, session.client
    entry = session.run(journal.intend(wanted, realm=client.realm))
    try:
        account = session.ask(client.get_account(wanted.client_user_id, fresh=True))
    except (AuthenticationError, PermissionDeniedError, NotFoundError):
        raise
    except ResellerError:
        if entry.balance_before is not None:
            raise  # an earlier reading stands there, and would be taken for this one
    else:
        session.run(journal.note_balance(wanted.idempotency_key, account.balance))


def _sent(session: Session, output: Output, row: Payment, *, allow_negative: bool) -> Status:
    wanted = row.transfer
    call = session.payer.transfer_credit(
        wanted.client_user_id,
        wanted.amount,
        wanted.currency,
        idempotency_key=wanted.idempotency_key,
        allow_negative=allow_negative,
    )
    try:
        receipt, status = session.write(call, hint=_look(session, wanted))
    except ResellerError as error:
        return _failed(session, output, row, error)
    account = receipt.account
    paid = attrs.evolve(
        row,
        username=account.username if account else row.username,
        status="already_paid" if receipt.replayed else "paid",
        balance=account.balance if account else None,
    )
    if receipt.replayed:
        return worst([status, _paid_before(session, output, paid)])
    output.one(paid.record)
    return worst([status, output.status])


def _paid_before(session: Session, output: Output, row: Payment) -> Status:
    output.one(row.record)
    session.console.note("it had been paid already: nothing was sent")
    return output.status


def _failed(session: Session, output: Output, row: Payment, error: ResellerError) -> Status:
    wanted = row.transfer
    status = status_of(error)
    if isinstance(error, UnsettledTransferError):
        entry = session.run(session.journal.get(wanted.idempotency_key))
        is_same = entry is not None and is_for(entry, wanted, session.client.realm)
        if entry is not None and is_same and entry.state is TransferState.CONFIRMED:
            # Another run has sent it after this one had looked: the credit has moved.
            return _paid_before(session, output, row.on_record(entry))
        if entry is not None and entry.state in OPEN:
            status = Status.UNKNOWN  # another run is sending it at this moment
    word = "unknown" if status is Status.UNKNOWN else "rejected"
    word = "not_sent" if error.outcome == "not_sent" and word == "rejected" else word
    output.one(attrs.evolve(row, status=word, reason=error.message).record)
    session.console.error(printable(str(error)))
    if status is Status.UNKNOWN and not session.place.in_process:
        session.console.note(_look(session, wanted))
    return status


def _look(session: Session, wanted: Transfer) -> str:
    return f"to look: {command(session.options, 'journal', 'reconcile', wanted.idempotency_key)}"

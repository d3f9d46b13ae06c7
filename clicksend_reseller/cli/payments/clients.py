"""The clients of a list: their names, and which of them do not exist or are banned."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import attrs

from clicksend_reseller import (
    Account,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ResellerError,
)
from clicksend_reseller.cli.payments.rows import Payment
from clicksend_reseller.cli.session.session import Session

MADE_UP = "made up for this rehearsal"
_NO_SUCH_CLIENT = "there is no such client"
_BANNED = "the client is banned"
_STATUSES = {_NO_SUCH_CLIENT: "no_such_client", _BANNED: "banned"}
_FEW = 20  # clients that are asked for one by one; more, and the list is read


def made_up(session: Session, rows: Sequence[Payment]) -> list[Payment]:
    """Let the clients of the rows into the sandbox of a rehearsal, and mark those."""
    session.make_up([row.transfer for row in rows])
    return [
        attrs.evolve(row, remark=MADE_UP) if row.transfer.client_user_id in session.made_up else row
        for row in rows
    ]


def look_up(session: Session, rows: Sequence[Payment]) -> list[Payment]:
    """Read the clients of the rows that have no name yet; nothing is changed.

    A reading that fails keeps nothing back: the names are missing then.

    Raises:
        AuthenticationError, PermissionDeniedError: the payment would be refused as well.
    """
    wanted = {row.transfer.client_user_id for row in rows if not row.username}
    try:
        found = session.ask(_found(session, wanted)) if wanted else {}
    except (AuthenticationError, PermissionDeniedError):
        raise
    except ResellerError as error:
        session.console.warn(f"the clients could not be looked up: {error.message}")
        return list(rows)
    return [_known(row, found) for row in rows]


def warn_of(session: Session, rows: Sequence[Payment]) -> None:
    """Name the clients that a person should look at before they are paid."""
    for remark in _STATUSES:
        who = [str(row.transfer.client_user_id) for row in rows if row.remark == remark]
        if who:
            more = f" and {len(who) - _FEW} more" if len(who) > _FEW else ""
            session.console.warn(f"{remark}: {', '.join(who[:_FEW])}{more}")


def _known(row: Payment, found: Mapping[int, Account | None]) -> Payment:
    client = row.transfer.client_user_id
    if client not in found:
        return row
    account = found[client]
    remark = _NO_SUCH_CLIENT if account is None else _BANNED if account.banned else ""
    return attrs.evolve(
        row,
        username=account.username if account else "",
        remark=row.remark or remark,
        status=_STATUSES.get(remark, row.status),
    )


async def _found(session: Session, wanted: Collection[int]) -> dict[int, Account | None]:
    """Give the accounts; None for one that does not exist."""
    found: dict[int, Account | None] = {}
    if len(wanted) > _FEW:
        async with session.client.iter_accounts(prefetch=4) as walk:
            async for account in walk:
                if account.user_id in wanted:
                    found[account.user_id] = account
                    if len(found) == len(wanted):
                        break
    # The list may have moved while it was read, so one that is missing is asked for by its id.
    missing = sorted(set(wanted) - set(found))[:_FEW]
    turn = asyncio.Semaphore(session.concurrency)
    accounts = await asyncio.gather(*(_one(session, client, turn) for client in missing))
    return found | dict(zip(missing, accounts, strict=True))


async def _one(session: Session, client: int, turn: asyncio.Semaphore) -> Account | None:
    async with turn:
        try:
            return await session.client.get_account(client)
        except NotFoundError:
            return None

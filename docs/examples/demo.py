"""The main calls over real HTTP: a sandbox in a process of its own, and a client that uses it.

Run it with `python3 noxfile.py -s demo`. It asks nothing and reaches nothing beyond loopback.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx

from clicksend_reseller import (
    Account,
    AccountFields,
    AlreadyExistsError,
    AsyncResellerClient,
    ResellerError,
    TransferOutcomeUnknownError,
)

SHOWN = 8  # of the list: the whole output fits on a screen of 24 lines
NEXT = {
    "python -m clicksend_reseller.sandbox --open": "the console",
    "python3 noxfile.py -s portal": "the portal",
    "clicksend-reseller --sandbox accounts list": "the command line",
}

SANDBOX = [sys.executable, "-m", "clicksend_reseller.sandbox", "--port", "0", "--accounts", "40"]

BAKERY = AccountFields(
    username="corner-bakery",
    password="a-made-up-1-for-the-demo",
    user_email="ann@bakery.example",
    user_phone="0411 111 111",
    user_first_name="Ann",
    user_last_name="Baker",
    account_name="The Corner Bakery",
    country="AU",
)


class DemoError(Exception):
    """What the demo shows is not what it promised."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the sandbox is ended too
    try:
        with sandbox() as url:
            asyncio.run(story(url))
    except KeyboardInterrupt:
        return 130
    except (DemoError, ResellerError, httpx.HTTPError, OSError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox and give its URL, the first line that it prints."""
    process = subprocess.Popen(SANDBOX, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    with process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise DemoError("the sandbox did not start; it says why above")
            yield url
        finally:
            process.terminate()


async def story(url: str) -> None:
    admin = httpx.AsyncClient(base_url=httpx.URL(url).join("/_sandbox/"), trust_env=False)
    client = AsyncResellerClient("sandbox", "sandbox", base_url=url)
    async with admin, client:
        await list_accounts(client)
        bakery = await create_and_update(client)
        await move_credit(client, bakery.user_id)
        await be_refused(client)
        await lose_answer(client, admin, bakery.user_id)
        what_next()


def heading(words: str, end: str = "\n") -> None:
    """Print a heading, in colour where a person reads it."""
    is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\x1b[1;36m{words}\x1b[0m" if is_coloured else words, end=end)


async def list_accounts(client: AsyncResellerClient) -> None:
    heading("1. The clients of a sandbox, 20 on a page")
    async with client.iter_accounts(limit=20) as walk:
        accounts = [account async for account in walk]
    for account in accounts[:SHOWN]:
        print(row(account))
    print(f"  … {len(accounts) - SHOWN} more: {len(accounts)} clients on {walk.report.pages} pages")
    if not walk.report.complete:
        raise DemoError("the list is not complete")


def row(account: Account) -> str:
    code = account.currency_code or "-"
    return f"  {account.user_id:>7}  {account.username:<14}{account.balance:>12}  {code}"


async def create_and_update(client: AsyncResellerClient) -> Account:
    heading("2. Create a client, and update it; its password is sent again, and never shown")
    account = await client.create_account(BAKERY)
    fields = AccountFields.from_account(
        account, password=BAKERY.password, account_name="The Corner Bakery & Sons"
    )
    updated = await client.update_account(account.user_id, fields)
    print(f"{row(updated)}  {updated.account_name}, {fields.password}")
    return updated


async def move_credit(client: AsyncResellerClient, user_id: int) -> None:
    heading("3. Move 25 AUD of credit to it")
    own, before = await client.get_own_account(), await client.get_account(user_id)
    await client.transfer_credit(user_id, 25, "AUD")
    own_after, after = await client.get_own_account(), await client.get_account(user_id)
    print(f"  the client {before.balance} → {after.balance}", end=", ")
    print(f"your credit {own.balance} → {own_after.balance}")
    if after.balance != before.balance + 25 or own_after.balance != own.balance - 25:
        raise DemoError("the balances do not show the transfer")


async def be_refused(client: AsyncResellerClient) -> None:
    heading("4. The same client again:", end="")
    try:
        await client.create_account(BAKERY)
    except AlreadyExistsError as error:
        show(error)
    else:
        raise DemoError("a user name was taken twice")


async def lose_answer(client: AsyncResellerClient, admin: httpx.AsyncClient, to: int) -> None:
    heading("5. A lost answer: move 30 AUD, and the connection breaks before it comes")
    fault = {"kind": "lost", "operation": "transfer_credit"}
    (await admin.post("faults", json=fault)).raise_for_status()
    try:
        await client.transfer_credit(to, 30, "AUD")
    except TransferOutcomeUnknownError as error:
        show(error)
    else:
        raise DemoError("a lost answer was taken for an answer")
    await show_ledger(admin)


def show(error: ResellerError) -> None:
    print(f"  {type(error).__name__}, outcome {error.outcome.name}, attempts {error.attempts}")


async def show_ledger(admin: httpx.AsyncClient) -> None:
    ledger = (await admin.get("ledger")).raise_for_status().json()
    entries = (f"{entry['amount']} {entry['currency']}, {delivery(entry)}" for entry in ledger)
    print(f"  {'; '.join(entries)}")
    applied = [entry for entry in ledger if Decimal(entry["amount"]) == 30]
    if len(applied) != 1:
        raise DemoError(f"30 AUD were moved {len(applied)} times")
    print("  The 30 AUD were moved exactly once. Had the client sent again: twice.")


def delivery(entry: dict[str, Any]) -> str:
    return "the answer was delivered" if entry["told"] else "the answer was lost"


def what_next() -> None:
    heading("Try next")
    for command, what in NEXT.items():
        print(f"  {command:<54}{what}")


if __name__ == "__main__":
    sys.exit(main())

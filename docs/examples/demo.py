"""The whole story over real HTTP: a sandbox in a process of its own, and a client that meets it.

Run it with `python3 noxfile.py -s demo`. It asks nothing and reaches nothing beyond loopback.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import httpx

from clicksend_reseller import (
    Account,
    AccountFields,
    AlreadyExistsError,
    AsyncResellerClient,
    ResellerError,
    TransferOutcomeUnknownError,
)

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
        print(f"A sandbox answers at {url}, and this is a client of it.")
        await list_accounts(client)
        bakery = await create_and_read(client)
        await update(client, bakery)
        await move_credit(client, bakery.user_id)
        await be_refused(client)
        await lose_answer(client, admin, bakery.user_id)
        print("\nThat is the whole story. The sandbox goes; nothing of it stays.")


async def list_accounts(client: AsyncResellerClient) -> None:
    print("\n1. The clients, 20 on a page")
    walk = client.iter_accounts(limit=20)
    async for page in walk.pages():
        where = f"page {page.current_page} of {page.last_page}"
        print(f"  {'user_id':>7}  {'name':<14}{'balance':>12}  currency   {where}")
        for account in page:
            print(row(account))
    if not walk.report.complete:
        raise DemoError("the list is not complete")
    print(f"  {walk.report.accounts} clients in all")


def row(account: Account) -> str:
    code = (account.currency and account.currency.currency_name_short) or "-"
    return f"  {account.user_id:>7}  {account.username:<14}{account.balance:>12}  {code}"


async def create_and_read(client: AsyncResellerClient) -> Account:
    print("\n2. Create a client, and read it")
    created = await client.create_account(BAKERY)
    account = await client.get_account(created.user_id)
    print(row(account))
    print(f"  {account.account_name}, {account.user_email}, {account.user_phone}")
    return account


async def update(client: AsyncResellerClient, account: Account) -> None:
    print("\n3. Update it")
    fields = AccountFields.from_account(
        account, password=BAKERY.password, account_name="The Corner Bakery & Sons"
    )
    updated = await client.update_account(account.user_id, fields)
    print(f"  it was  {account.account_name}\n  it is   {updated.account_name}")
    print(f"  Each update sets the password again; printed, it is {fields.password}.")


async def move_credit(client: AsyncResellerClient, user_id: int) -> None:
    print("\n4. Move 25 AUD of credit to it")
    own, before = await client.get_own_account(), await client.get_account(user_id)
    await client.transfer_credit(user_id, 25, "AUD")
    own_after, after = await client.get_own_account(), await client.get_account(user_id)
    print(f"  {'':<12}{'before':>13}{'after':>13}")
    print(f"  {'the client':<12}{before.balance:>13}{after.balance:>13}")
    print(f"  {'your credit':<12}{own.balance:>13}{own_after.balance:>13}")
    if after.balance != before.balance + 25 or own_after.balance != own.balance - 25:
        raise DemoError("the balances do not show the transfer")


async def be_refused(client: AsyncResellerClient) -> None:
    print("\n5. A refusal: create the same client again")
    try:
        await client.create_account(BAKERY)
    except AlreadyExistsError as error:
        show(error)
    else:
        raise DemoError("a user name was taken twice")


async def lose_answer(client: AsyncResellerClient, admin: httpx.AsyncClient, to: int) -> None:
    print("\n6. A lost answer: move 30 AUD, and the connection breaks before the answer comes")
    fault = {"kind": "lost", "operation": "transfer_credit"}
    (await admin.post("faults", json=fault)).raise_for_status()
    try:
        await client.transfer_credit(to, 30, "AUD")
    except TransferOutcomeUnknownError as error:
        show(error)
    else:
        raise DemoError("a lost answer was taken for an answer")
    after = await client.get_account(to)
    print(f"\n  So look first. The balance is {after.balance}: a good sign, but no proof,")
    print("  because clients spend meanwhile. In a sandbox one can see the server's ledger:")
    await show_ledger(admin)


def show(error: ResellerError) -> None:
    print(f"  {type(error).__name__}, outcome {error.outcome.name}, attempts {error.attempts}")
    print(textwrap.fill(str(error), 78, initial_indent="  ", subsequent_indent="  "))


async def show_ledger(admin: httpx.AsyncClient) -> None:
    ledger = (await admin.get("ledger")).raise_for_status().json()
    for entry in ledger:
        told = "the caller was told" if entry["told"] else "the caller was not told"
        print(f"  #{entry['n']}  {entry['amount']} {entry['currency']}, {told}")
    applied = [entry for entry in ledger if Decimal(entry["amount"]) == 30]
    if len(applied) != 1:
        raise DemoError(f"30 AUD were moved {len(applied)} times")
    print("  The 30 AUD were moved exactly once. Had the client sent again: twice.")


if __name__ == "__main__":
    sys.exit(main())

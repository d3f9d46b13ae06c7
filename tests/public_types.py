"""What does a type checker make of the public names? mypy, pyright and pyrefly read this file.

Nothing runs it: a wrong type here is an error of the session `types`.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, assert_type

import httpx
import httpx2

from clicksend_reseller import (
    Account,
    AccountFields,
    AccountIterator,
    AccountPage,
    APIStatusError,
    AsyncResellerClient,
    CallEvent,
    Currency,
    HTTPClient,
    JournalEntry,
    Outcome,
    RateLimit,
    ResellerError,
    RetryPolicy,
    Secret,
    Subaccount,
    Transfer,
    TransferJournal,
    TransferOutcomeUnknownError,
    TransferReceipt,
    WalkReport,
    httpx2_client,
    to_dict,
)
from clicksend_reseller.sandbox import Fault, Sandbox


async def the_client(client: AsyncResellerClient, fields: AccountFields) -> None:
    """Each method gives one model."""
    assert_type(await client.list_accounts(page=2, limit=15), AccountPage)
    assert_type(await client.get_account(1001), Account)
    assert_type(await client.create_account(fields), Account)
    assert_type(await client.update_account(1001, fields), Account)
    assert_type(await client.transfer_credit(1001, 12, "AUD"), TransferReceipt)
    assert_type(await client.get_own_account(), Account)
    assert_type(await client.get_account(1001, deadline=5), Account)
    assert_type(await client.transfer_credit(1001, 12, "AUD", deadline=0.5), TransferReceipt)
    assert_type(client.iter_accounts(deadline=5), AccountIterator)
    assert_type(client.rate_limit, RateLimit | None)
    assert_type(client.journal, TransferJournal | None)
    assert_type(client.realm, str)
    async with client as entered:
        assert_type(entered, AsyncResellerClient)


async def the_walk(client: AsyncResellerClient) -> None:
    """A walk gives accounts, or pages, and its report."""
    walk = client.iter_accounts(limit=50, start_page=2, prefetch=4)
    assert_type(walk, AccountIterator)
    async for account in walk:
        assert_type(account, Account)
    assert_type(walk.pages(), AsyncIterator[AccountPage])
    assert_type(walk.report, WalkReport)
    assert_type(walk.report.next_page, int | None)
    async with walk as entered:
        assert_type(entered, AccountIterator)


def the_models(account: Account, page: AccountPage, receipt: TransferReceipt) -> None:
    """Money is Decimal, and what may be missing says so."""
    assert_type(account.balance, Decimal)
    assert_type(account.currency, Currency | None)
    assert_type(account.subaccount, Subaccount | None)
    assert_type(account.currency_code, str | None)
    assert_type(AccountFields.from_account(account, password="x", country="AU"), AccountFields)
    assert_type(page.accounts, tuple[Account, ...])
    assert_type(list(page), list[Account])
    assert_type(receipt.account, Account | None)
    assert_type(receipt.replayed, bool)
    assert_type(to_dict(account), dict[str, Any])
    assert_type(Secret("x").get_secret_value(), str)


def the_errors(error: Exception) -> None:
    """A class that is caught narrows what can be read from it."""
    match error:
        case TransferOutcomeUnknownError():
            assert_type(error.idempotency_key, str | None)
            assert_type(error.amount, int)
        case APIStatusError():
            assert_type(error.status_code, int)
            assert_type(error.field_errors, dict[str, tuple[str, ...]])
            assert_type(error.retry_after, float | None)
        case ResellerError():
            assert_type(error.outcome, Outcome)
            assert_type(error.operation, str | None)
            assert_type(error.attempts, int)
        case _:
            pass


async def the_seams(event: CallEvent, journal: TransferJournal, transfer: Transfer) -> None:
    """Journals and observers are written against these."""
    assert_type(event.kind, Literal["started", "attempt", "waiting", "finished"])
    entry = await journal.intend(transfer, realm="r")
    assert_type(entry, JournalEntry)
    assert_type(entry.sent_at, datetime | None)
    assert_type(await journal.claim("k", 1, realm="r", attempt="a"), bool)


def the_options(client: httpx.AsyncClient, other: httpx2.AsyncClient) -> None:
    """Clients of both HTTP libraries fit."""
    first: HTTPClient = client
    second: HTTPClient = other
    AsyncResellerClient("u", "k", http_client=first, retry=RetryPolicy(max_retries=1))
    AsyncResellerClient("u", Secret("k"), http_client=second, observer=lambda _event: None)
    assert_type(httpx2_client(verify=True), httpx2.AsyncClient)


def the_sandbox(sandbox: Sandbox) -> None:
    """A sandbox is asked in tests."""
    assert_type(sandbox.client(max_concurrency=2), AsyncResellerClient)
    assert_type(sandbox.balance(1001), Decimal)
    assert_type(sandbox.transfers_to(1001), list[Decimal])
    assert_type(sandbox.fail("lost"), Fault)

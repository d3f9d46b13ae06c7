"""What the log says of calls: a line for each attempt, and transfers by name."""

import asyncio
import collections
import logging
import re

import attrs
import pytest

from clicksend_reseller import NotFoundError, TransferOutcomeUnknownError
from clicksend_reseller.sandbox import Sandbox
from support.clients import FIELDS
from support.memory_journal import MemoryJournal
from support.waiting import until

LOGGER = "clicksend_reseller"
NAMES = ("operation", "client_user_id", "amount", "currency", "idempotency_key")


@pytest.fixture(autouse=True)
def everything(caplog):
    """Hear all that is said."""
    caplog.set_level(logging.DEBUG, LOGGER)


def attempts(caplog):
    """Give the lines about attempts: operation, attempt, status, outcome."""
    return [
        (
            record.clicksend_operation,
            record.clicksend_attempt,
            record.clicksend_status_code,
            record.clicksend_outcome,
        )
        for record in caplog.records
        if re.search(r": attempt \d+ ended after \d+\.\d{3} s: status ", record.getMessage())
    ]


async def note_of(task):
    """Give the note on a task's cancellation."""
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    return cancelled.value.__notes__[0]


def named(record):
    """Give what a record says of its transfer, as fields."""
    return tuple(getattr(record, f"clicksend_{name}") for name in NAMES)


async def test_each_attempt_has_a_line_also_where_all_goes_well(caplog):
    """Operation, attempt, status, outcome and time, in the text and as fields."""
    sandbox = Sandbox()
    sandbox.fail("limit", retry_after=0)
    async with sandbox.client() as client:
        await client.get_account(1001)
        with pytest.raises(NotFoundError):
            await client.get_account(999_999)
        await client.transfer_credit(1001, 5, "AUD")
    assert [
        ("get_account", 1, 429, "rejected"),
        ("get_account", 2, 200, None),
        ("get_account", 1, 404, "rejected"),
        ("transfer_credit", 1, 200, "applied"),
    ] == attempts(caplog)
    line = caplog.records[-1]
    assert line.levelno == logging.DEBUG
    assert re.fullmatch(
        r"transfer_credit of 5 AUD to client 1001 \(call \d+\): "
        r"attempt 1 ended after \d\.\d{3} s: status 200, applied",
        line.getMessage(),
    )
    assert 0 < line.clicksend_seconds < 5


async def test_an_attempt_that_is_cut_has_a_line_too(caplog):
    """By the deadline or by a cancellation: the read, and the transfer that goes on."""
    sandbox = Sandbox()
    sandbox.fail("hang", times=None)
    async with sandbox.client(timeout=1) as client:
        task = asyncio.ensure_future(client.get_account(1001))
        await until(lambda: len(sandbox.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TransferOutcomeUnknownError):
            await client.transfer_credit(1001, 5, "AUD", deadline=0.05)
    assert [
        ("get_account", 1, None, "unknown"),
        ("transfer_credit", 1, None, "unknown"),
    ] == attempts(caplog)


async def test_what_was_cancelled_before_it_began_has_no_attempt(caplog):
    """No line for what was never tried."""
    sandbox = Sandbox()
    sandbox.fail("hang")
    async with sandbox.client(timeout=0.5, max_concurrency=1) as client:
        first = asyncio.ensure_future(client.get_account(1001))
        await until(lambda: len(sandbox.requests) == 1)
        second = asyncio.ensure_future(client.get_account(1002))
        await asyncio.sleep(0)
        for task in (second, first):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
    assert [("get_account", 1, None, "unknown")] == attempts(caplog)


@pytest.mark.parametrize("journaled", [False, True])
async def test_the_fates_of_200_cancelled_transfers_are_told_apart_by_the_log_alone(
    journaled, caplog
):
    """Which client got what, by text and by fields; the notes name the transfers too."""
    sandbox = Sandbox(accounts=220, credit=100_000)
    sandbox.fail("slow", operation="transfer_credit", seconds=0.3, times=None)
    clients = range(1013, 1213)
    journal = MemoryJournal() if journaled else None
    async with sandbox.client(max_concurrency=200, journal=journal) as client:
        tasks = [
            asyncio.ensure_future(
                client.transfer_credit(
                    each, each - 1000, "AUD", idempotency_key=f"k{each}" if journaled else None
                )
            )
            for each in clients
        ]
        await until(lambda: len(sandbox.requests) == 200)
        for task in tasks:
            task.cancel()
        notes = [await note_of(task) for task in tasks]
    words = [f"transfer_credit of {each - 1000} AUD to client {each} (" for each in clients]
    assert all(note.startswith(word) for note, word in zip(notes, words, strict=True))
    fates = [r for r in caplog.records if "whose caller had gone, ended: " in r.getMessage()]
    expected = {
        ("transfer_credit", each, each - 1000, "AUD", f"k{each}" if journaled else None)
        for each in clients
    }
    assert expected == {named(record) for record in fates}
    told = collections.Counter(record.clicksend_outcome for record in fates)
    assert {"applied": len(sandbox.ledger)} == told
    assert set(words) == {record.getMessage().split("(")[0] + "(" for record in fates}


async def test_two_transfers_of_the_same_values_are_told_apart_by_their_calls(caplog):
    """Without a journal there is no key: one was applied, and of the other nobody knows."""
    sandbox = Sandbox()
    sandbox.fail("lost", operation="transfer_credit")
    async with sandbox.client() as client:
        with pytest.raises(TransferOutcomeUnknownError):
            await client.transfer_credit(1001, 5, "AUD")
        await client.transfer_credit(1001, 5, "AUD")
    lines = [record for record in caplog.records if record.levelno == logging.DEBUG]
    assert 2 == len({record.clicksend_call_id for record in lines})
    assert 2 == len({record.getMessage().split("):")[0] for record in lines})


async def test_a_journal_that_fails_afterwards_names_the_transfer(caplog):
    """The one line that says that money moved and is not on record."""
    journal = MemoryJournal()

    async def fail():
        raise OSError("disk full")

    journal.before["settle"] = fail
    async with Sandbox().client(journal=journal) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "the transfer of 5 AUD to client 1001 with key 'k1' ended as" in record.getMessage()
    assert ("transfer_credit", 1001, 5, "AUD", "k1") == named(record)


async def test_no_line_holds_a_body_an_address_or_a_secret(caplog):
    """Also at DEBUG, and also in the fields."""
    sandbox = Sandbox(username="user-of-ours", api_key="key-of-ours-1")
    async with sandbox.client() as client:
        await client.create_account(FIELDS)
        await client.update_account(1001, attrs.evolve(FIELDS, username="other"))
        await client.transfer_credit(1001, 5, "AUD")
    text = "".join(f"{record.getMessage()}{vars(record)}" for record in caplog.records)
    assert "create_account: attempt 1 ended" in text
    for secret in (
        FIELDS.password.get_secret_value(),
        FIELDS.user_email,
        FIELDS.user_phone,
        "key-of-ours-1",
    ):
        assert secret not in text

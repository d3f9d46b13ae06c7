"""A transfer under a journal: the round on record, the payment, and what a log says of it."""

import logging

from clicksend_reseller import RetryPolicy
from clicksend_reseller._calls.journaling import JournalEntry, TransferState
from clicksend_reseller.models import TransferReceipt
from support.memory_journal import MemoryJournal

AT_ONCE = RetryPolicy(base_delay=0.0)
REALM = "http://localhost:8730/v3 as sandbox"

INTENDED, SENT, CONFIRMED = TransferState.INTENDED, TransferState.SENT, TransferState.CONFIRMED
REJECTED, UNKNOWN, REFUTED = TransferState.REJECTED, TransferState.UNKNOWN, TransferState.REFUTED

# How a log line or a note names the transfer of these tests.
PAID = "transfer_credit of 5 AUD to client 1001"


def entry(state=INTENDED, **changes):
    """Make a round that is on record: 5 AUD to client 1001 under the key k1."""
    values = {
        "key": "k1",
        "client_user_id": 1001,
        "amount": 5,
        "currency": "AUD",
        "state": state,
        "realm": REALM,
        "attempt": None if state in {INTENDED, REFUTED} else "earlier",
    }
    return JournalEntry(**{**values, **changes})


def receipt(*, replayed=False):
    """Make the receipt to expect; its account is looked at elsewhere."""
    return TransferReceipt(
        client_user_id=1001, amount=5, currency="AUD", idempotency_key="k1", replayed=replayed
    )


async def pay(client, key="k1"):
    """Make the transfer that the entries describe."""
    return await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)


def behind(gate):
    """Make a hook that waits at a gate."""

    async def hook():
        await gate.wait()

    return hook


def on_record(*entries):
    """Make a journal that has these rounds."""
    journal = MemoryJournal()
    for each in entries:
        journal.put(each)
    return journal


def not_recorded(key, state):
    """Give the log record of a settlement that failed."""
    name = f"the transfer of 5 AUD to client 1001 with key {key!r}"
    text = f"{name} ended as {state!r}, but the journal could not record it"
    return ("clicksend_reseller", logging.ERROR, text)

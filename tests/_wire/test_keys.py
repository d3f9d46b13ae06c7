"""The one rule for keys, in the client."""

import pytest

from clicksend_reseller._wire.keys import fault_of_key, key_in, normalized, spellings
from clicksend_reseller.sandbox import Sandbox
from support.memory_journal import MemoryJournal

COMPOSED, TORN = "facture-\u00e9", "facture-e\u0301"


@pytest.mark.parametrize("key", ["k", "k" * 255, "inv 7", " k ", COMPOSED, "e\u0301" * 255])
def test_what_can_be_a_key(key):
    """1 to 255 printable characters, counted in the one spelling."""
    assert "" == fault_of_key(key)


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\0", "\ud800", 7, None, "\u0958" * 128])
def test_what_cannot(key):
    """Said with what it must be."""
    assert "must be 1 to 255 printable characters" in fault_of_key(key)


def test_a_key_may_be_on_record_in_three_spellings():
    """As it was given, composed and decomposed; plain ones have one."""
    mixed = COMPOSED + TORN
    assert (mixed, COMPOSED * 2, TORN * 2) == spellings(mixed)
    assert (COMPOSED, TORN) == spellings(COMPOSED)
    assert (TORN, COMPOSED) == spellings(TORN)
    assert ("k1",) == spellings("k1")
    assert COMPOSED == normalized(TORN)


@pytest.mark.parametrize(("first", "second"), [(COMPOSED, TORN), (TORN, COMPOSED)])
async def test_two_spellings_pay_once(first, second):
    """Also in a journal that knows nothing of spellings; the receipt has the key on record."""
    sandbox = Sandbox()
    async with sandbox.client(journal=MemoryJournal()) as client:
        one = await client.transfer_credit(1001, 5, "AUD", idempotency_key=first)
        two = await client.transfer_credit(1001, 5, "AUD", idempotency_key=second)
    assert [(COMPOSED, False), (COMPOSED, True)] == [
        (receipt.idempotency_key, receipt.replayed) for receipt in (one, two)
    ]
    assert [5] == sandbox.transfers_to(1001)


class _Kept:
    """A journal that can be asked."""

    def __init__(self, *keys):
        self.keys = keys

    async def get(self, key):
        return key if key in self.keys else None


async def test_the_text_that_was_given_counts_where_it_is_on_record():
    """An earlier version kept it, and may have paid it."""
    assert TORN == await key_in(_Kept(TORN), TORN)
    assert COMPOSED == await key_in(_Kept(), TORN)
    assert COMPOSED == await key_in(_Kept(TORN), COMPOSED)
    assert COMPOSED == await key_in(object(), TORN)

"""A decision is written, whatever text comes with it and whatever the database's encoding is."""

import httpx
import pytest

from clicksend_reseller import APIStatusError, AsyncResellerClient, Transfer, TransferState
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.journal.sql.texts import escaped, is_about_text, storable

REJECTED = TransferState.REJECTED
ODD = "No credit \u2013 buy \N{MONEY BAG}\0\ud800"


@pytest.fixture(params=["asyncpg", "psycopg"])
def narrow(request, postgres):
    """Give a database of 256 characters."""
    name = f"{postgres.new_database()}_latin1"
    postgres.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    return postgres.url(name, driver=request.param)


def refused(_request):
    """Answer as a server does that writes well."""
    body = {"http_code": 400, "response_code": "NO_CREDIT", "response_msg": "No \u2013 \u00e9"}
    return httpx.Response(400, json={**body, "data": None})


async def test_a_refusal_with_a_dash_is_recorded(narrow):
    """It stayed `sent`, and its client was blocked for every other key."""
    async with SQLJournal(narrow) as journal, refusing(journal) as client:
        for key in ("k1", "k2"):
            with pytest.raises(APIStatusError):
                await client.transfer_credit(1001, 5, "AUD", idempotency_key=key)
        found = [entry async for entry in journal.entries()]
    assert [(REJECTED, r"No \u2013 \xe9")] * 2 == [(e.state, e.response_msg) for e in found]


def refusing(journal):
    """Make a client of a server that refuses every transfer."""
    return AsyncResellerClient(
        "ann",
        "key",
        base_url="http://localhost:1/v3",
        transport=httpx.MockTransport(refused),
        journal=journal,
    )


async def test_what_fits_is_kept_as_it_is(narrow):
    """An é is one of the 256."""
    assert "caf\u00e9" == await settled(narrow, "caf\u00e9")


async def test_what_a_person_writes_is_kept_too(narrow):
    """Names and notes of each decision, and of an answer that comes after it."""
    async with SQLJournal(narrow) as journal:
        await recorded(journal, "k1")
        held = await journal.hold(by="Zo\u0119", note=ODD)
        assert 1 == held
        entry = await journal.resolve("k1", applied=False, by="Zo\u0119", note=ODD)
        assert (r"Zo\u0119", escaped(ODD)) == (entry.by, entry.note)
        assert 2 == await journal.renew("k1", by="Zo\u0119", note=ODD, seen=entry)
        assert await journal.claim("k1", 2, realm="r", attempt="a")
        assert await journal.settle("k1", 2, "a", TransferState.UNKNOWN)
        await journal.resolve("k1", applied=True, by="Zo\u0119", note=ODD)
        assert not await journal.settle("k1", 2, "a", REJECTED, response_msg=ODD)
        found = await journal.get("k1")
    assert found is not None
    assert TransferState.CONFIRMED is found.state
    assert "the answer came after the decision and says 'rejected'" in (found.note or "")


async def test_nul_and_half_a_character_keep_no_decision_from_being_written(opened):
    """PostgreSQL takes no NUL; no database takes a lone surrogate."""
    async with opened() as journal:
        await recorded(journal, "k1")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        assert await journal.settle(
            "k1", 1, "a", REJECTED, response_code="A\0\ud800", response_msg=ODD
        )
        assert 2 == await journal.renew("k1", by="a\0nn", note=ODD)
        await journal.hold(by="a\ud800nn", note=ODD)
        entry = await journal.resolve("k1", applied=False, by="a\0nn", note=ODD)
    assert ("a�nn", storable(ODD)) == (entry.by, entry.note)


async def recorded(journal, key):
    """Have a transfer on record."""
    row = Transfer(idempotency_key=key, client_user_id=1, amount=5, currency="AUD")
    await journal.intend(row, realm="r")


async def settled(url, said):
    """Give what is on record of an answer."""
    async with SQLJournal(url) as journal:
        await recorded(journal, "k1")
        assert await journal.claim("k1", 1, realm="r", attempt="a")
        assert await journal.settle("k1", 1, "a", REJECTED, response_msg=said)
        entry = await journal.get("k1")
    return entry and entry.response_msg


def test_only_a_fault_of_the_text_is_one():
    """A connection that is lost is no reason to write it in another way."""
    assert is_about_text(UnicodeEncodeError("latin-1", "x", 0, 1, "no"))
    assert not is_about_text(OSError("gone"))

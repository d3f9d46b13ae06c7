import pytest

from clicksend_reseller import AsyncResellerClient
from clicksend_reseller._calls.journaling import TransferJournal
from clicksend_reseller.errors import (
    APIConnectionError,
    ConfigurationError,
    ResellerError,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.models import Outcome
from support.journaled import (
    AT_ONCE,
    INTENDED,
    REALM,
    REFUTED,
    not_recorded,
    pay,
)
from support.memory_journal import MemoryJournal, raises

# -- minted keys


async def test_a_transfer_without_a_key_is_recorded_under_a_minted_one(sandbox):
    """The receipt names it."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        given = await client.transfer_credit(1001, 5, "AUD")
        other = await client.transfer_credit(1001, 5, "AUD")
    assert [given.idempotency_key, other.idempotency_key] == list(journal.rounds)
    assert 2 == len(journal.rounds)
    assert all(key.startswith("auto-") for key in journal.rounds)
    assert [5, 5] == sandbox.transfers_to(1001)


async def test_a_minted_key_is_named_in_the_error(sandbox):
    """It is the only way to find the row."""
    sandbox.fail("lost")
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(TransferOutcomeUnknownError) as raised:
            await client.transfer_credit(1001, 5, "AUD")
    assert journal.only.key == raised.value.idempotency_key
    assert f"under the key {journal.only.key!r}" in str(raised.value)


async def test_a_key_has_one_spelling(sandbox):
    """An accent may be typed in two ways: both are one key, and pay once."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        first = await pay(client, "Jose\u0301")
        again = await pay(client, "Jos\u00e9")
    assert (["Jos\u00e9"], True) == (list(journal.rounds), again.replayed)
    assert "Jos\u00e9" == first.idempotency_key == again.idempotency_key


@pytest.mark.parametrize(("key", "state"), [(None, REFUTED), ("k1", INTENDED)])
async def test_an_end_that_sent_nothing_withdraws_a_minted_key_only(sandbox, key, state):
    """An outbox would pay what the caller pays again; under its own key the caller comes back."""
    sandbox.fail("refuse", times=None)
    journal = MemoryJournal()
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(APIConnectionError) as raised:
            await pay(client, key)
    assert (Outcome.NOT_SENT, 4) == (raised.value.outcome, raised.value.attempts)
    assert state is journal.only.state
    assert ("not sent" if key is None else None) == journal.only.response_msg
    assert "claim" not in journal.steps


async def test_a_withdrawal_that_fails_does_not_hide_why_nothing_was_sent(sandbox, caplog):
    """The row stays intended, and nobody but the caller would send it."""
    sandbox.fail("refuse", times=None)
    journal = MemoryJournal()
    journal.before["settle"] = raises(OSError("disk full"))
    async with sandbox.client(journal=journal, retry=AT_ONCE) as client:
        with pytest.raises(APIConnectionError):
            await pay(client, None)
    assert [not_recorded(journal.only.key, "refuted")] == caplog.record_tuples


# -- set-up


@pytest.mark.parametrize("timeout", [120.1, 3600.0])
def test_a_timeout_above_two_minutes_is_refused_beside_a_journal(sandbox, timeout):
    """A person may judge a row after 150 s, so no attempt may still be alive then."""
    with pytest.raises(ConfigurationError, match="with a journal timeout must be at most 120 s"):
        sandbox.client(journal=MemoryJournal(), timeout=timeout)
    sandbox.client(timeout=timeout)
    sandbox.client(journal=MemoryJournal(), timeout=120.0)


async def test_a_key_without_a_journal_is_refused_and_nothing_is_sent(sandbox):
    """The API knows no such key: whoever gives one would believe in a promise nobody makes."""
    async with sandbox.client() as client:
        with pytest.raises(ConfigurationError, match="an idempotency_key needs a journal"):
            await pay(client)
    assert () == sandbox.requests


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ("", ValueError, "idempotency_key must be 1 to 255 printable characters, not ''"),
        ("k" * 256, ValueError, "idempotency_key must be 1 to 255 printable characters, not 'kkk"),
        ("a\nb", ValueError, r"idempotency_key must be 1 to 255 printable characters, not 'a\nb'"),
        (77, TypeError, "idempotency_key must be a str, not 77"),
    ],
)
async def test_a_key_that_no_journal_could_keep_is_refused(sandbox, key, error, said):
    """Before it is recorded, and before anything is sent."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        with pytest.raises(error) as raised:
            await pay(client, key)
    assert str(raised.value).startswith(said)
    assert not isinstance(raised.value, ResellerError)
    assert ((), []) == (sandbox.requests, journal.steps)


async def test_a_key_may_be_as_long_as_a_column_and_in_any_script(sandbox):
    """Invoice numbers are the caller's."""
    journal = MemoryJournal()
    async with sandbox.client(journal=journal) as client:
        for key in ("k" * 255, "счёт 7"):
            assert key == (await pay(client, key)).idempotency_key
    assert ["k" * 255, "счёт 7"] == list(journal.rounds)


async def test_the_client_never_closes_the_journal(sandbox):
    """It belongs to whoever made it, and others may use it."""

    class Closable(MemoryJournal):
        closed = False

        async def aclose(self):
            self.closed = True

        async def __aexit__(self, *exc):
            self.closed = True

    journal = Closable()
    async with sandbox.client(journal=journal) as client:
        assert journal is client.journal
        await pay(client)
    await client.aclose()
    assert not journal.closed


def test_the_realm_is_base_url_and_user_name(sandbox):
    """A key belongs to both."""
    assert REALM == sandbox.client().realm
    live = AsyncResellerClient("ann", "key")
    assert "https://rest.clicksend.com/v3 as ann" == live.realm
    assert live.journal is None


def test_the_journal_of_the_tests_is_one():
    """So are those of others: the protocol asks for three methods."""
    assert isinstance(MemoryJournal(), TransferJournal)
    assert not isinstance(object(), TransferJournal)

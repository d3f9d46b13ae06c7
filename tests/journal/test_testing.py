import contextlib

import attrs
import pytest

from clicksend_reseller import JournalEntry, TransferState
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.journal.testing import BrokenPromiseError, JournalPromises
from support.memory_journal import MemoryJournal


class TestOurs(JournalPromises):
    """SQLite and PostgreSQL, by each driver."""

    @pytest.fixture(autouse=True)
    def _on(self, url):
        self.url = url

    def open(self):
        return SQLJournal(self.url)


class _InMemory(JournalPromises):
    """A third party's: a dict behind the three methods."""

    def __init__(self):
        self.kept = MemoryJournal()

    @contextlib.asynccontextmanager
    async def open(self):
        yield self.kept


PROMISES = [name for name in dir(JournalPromises) if name.startswith("test_")]


@pytest.mark.parametrize("name", PROMISES)
def test_a_journal_in_a_dict_keeps_them_too(name):
    """Nothing in the suite is about SQL."""
    getattr(_InMemory(), name)()


class _Twice(MemoryJournal):
    """Lets everybody claim: the UPDATE without its condition."""

    async def claim(self, key, round, *, realm, attempt):  # noqa: A002 - the protocol's
        await super().claim(key, round, realm=realm, attempt=attempt)
        return True


class _Anybody(MemoryJournal):
    """Lets any attempt settle."""

    def _may_settle(self, entry, attempt, state):
        return entry.state is not TransferState.CONFIRMED


class _Stranger(MemoryJournal):
    """Lets any attempt settle what another one has claimed, and that alone."""

    def _may_settle(self, entry, attempt, state):
        if entry.state is TransferState.SENT:
            return True
        return super()._may_settle(entry, attempt, state)


class _Realmless(MemoryJournal):
    """Claims from anywhere."""

    async def intend(self, transfer, *, realm):
        entry = await super().intend(transfer, realm=realm)
        if entry.realm is None:
            self.rounds[entry.key][-1] = type(entry)(
                key=entry.key,
                client_user_id=entry.client_user_id,
                amount=entry.amount,
                currency=entry.currency,
                state=entry.state,
                realm=realm,
            )
        return self.rounds[entry.key][-1]

    async def claim(self, key, round, *, realm, attempt):  # noqa: A002 - the protocol's
        own = self.rounds[key][-1].realm or realm
        return await super().claim(key, round, realm=own, attempt=attempt)


class _Careless(MemoryJournal):
    """Lets anybody withdraw what was sent."""

    def _may_settle(self, entry, attempt, state):
        return state is TransferState.REFUTED or super()._may_settle(entry, attempt, state)


class _Verbatim(MemoryJournal):
    """Keeps each spelling of a key by itself."""

    async def intend(self, transfer, *, realm):
        key = transfer.idempotency_key
        entry = JournalEntry(
            key=key,
            client_user_id=transfer.client_user_id,
            amount=transfer.amount,
            currency=transfer.currency,
            state=TransferState.INTENDED,
        )
        return self.rounds.setdefault(key, [entry])[-1]


class _Moving(MemoryJournal):
    """Lets another account take over what was sent."""

    async def claim(self, key, round, *, realm, attempt):  # noqa: A002 - the protocol's
        won = await super().claim(key, round, realm=realm, attempt=attempt)
        self._keep(attrs.evolve(self.rounds[key][-1], realm=realm, attempt=attempt))
        return won


class _Narrow(MemoryJournal):
    """Has an encoding of one byte for each character."""

    async def settle(self, key, round, attempt, state, *, response_msg=None, **more):  # noqa: A002 - the protocol's
        (response_msg or "").encode("latin-1")
        return await super().settle(key, round, attempt, state, response_msg=response_msg, **more)


class _Crowded(MemoryJournal):
    """Allows several open transfers to one client."""

    def _refuse_second_open(self, entry, realm):
        pass


@pytest.mark.parametrize(
    ("journal", "broken"),
    [
        (_Twice, "test_one_of_many_claims_wins"),
        (_Anybody, "test_only_the_attempt_that_claimed_settles"),
        (_Stranger, "test_only_the_attempt_that_claimed_settles"),
        (_Realmless, "test_a_claim_belongs_to_its_realm"),
        (_Anybody, "test_a_stranger_s_settlement_changes_nothing"),
        (_Careless, "test_a_stranger_s_settlement_changes_nothing"),
        (_Moving, "test_a_claimed_round_refuses_another_realm"),
        (_Verbatim, "test_the_spellings_of_one_text_are_one_key"),
        (_Narrow, "test_a_decision_is_written_whatever_its_text_is"),
        (_Crowded, "test_a_client_has_one_open_transfer"),
    ],
)
def test_the_suite_notices_a_broken_journal(journal, broken):
    """A suite that nobody can fail would promise nothing."""
    suite = _InMemory()
    suite.kept = journal()
    with pytest.raises((BrokenPromiseError, UnicodeEncodeError)):
        getattr(suite, broken)()

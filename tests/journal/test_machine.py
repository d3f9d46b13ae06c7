"""Any order of steps by anybody: the table does what the model of the states says."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from clicksend_reseller import (
    JournalError,
    KeyReusedError,
    Transfer,
    TransferState,
    UnsettledTransferError,
)
from clicksend_reseller.journal import EDGES, SQLJournal
from clicksend_reseller.journal.states import FINAL, OPEN, sources
from support.heavy import rounds

S = TransferState
REALMS = ("sandbox", "live")


class Round:
    """What the model knows of a round."""

    def __init__(self, realm, *, queued):
        self.state = S.INTENDED
        self.realm = realm
        self.queued = queued
        self.attempt = None
        self.claims = 0


class Machine(RuleBasedStateMachine):
    """A journal in memory beside its model: keys, each with rounds."""

    keys = Bundle("keys")

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.journal = SQLJournal("sqlite+aiosqlite://")
        self.model = {}
        self.attempts = 0

    def teardown(self):
        self.runner.run(self.journal.aclose())
        self.runner.close()

    def run(self, step):
        return self.runner.run(step)

    def newest(self, key):
        return self.model[key][1][-1]

    def take(self, round_, step, target):
        """Take an edge, if there is one."""
        if round_.state not in sources(step, target):
            return False
        assert any(e.step == step and (e.source, e.target) == (round_.state, target) for e in EDGES)
        round_.state = target
        return True

    @rule(
        target=keys,
        key=st.sampled_from("abcd"),
        client=st.sampled_from([1, 2]),
        realm=st.sampled_from([None, *REALMS]),
    )
    def intend(self, key, client, realm):
        transfer = Transfer(idempotency_key=key, client_user_id=client, amount=5, currency="AUD")
        if key not in self.model:
            self.model[key] = (client, [Round(realm, queued=realm is None)])
        recorded, rounds_ = self.model[key]
        try:
            entry = self.run(self.journal.intend(transfer, realm=realm))
        except KeyReusedError:
            assert realm is None
            assert recorded != client
            return key
        if realm is None and rounds_[-1].state is S.INTENDED:
            rounds_[-1].queued = True
        assert (recorded, rounds_[-1].state) == (entry.client_user_id, entry.state)
        assert len(rounds_) == entry.round
        return key

    @rule(key=keys, realm=st.sampled_from(REALMS), back=st.sampled_from([0, 0, 0, 1]))
    def claim(self, key, realm, back):
        client, rounds_ = self.model[key]
        number = len(rounds_) - back
        round_ = rounds_[number - 1] if number else None
        may = (
            round_ is not None
            and round_.state in sources("claim")
            and round_.realm in {None, realm}
        )
        way = self.in_the_way(client, realm)
        self.attempts += 1
        attempt = f"attempt {self.attempts}"
        call = self.journal.claim(key, number, realm=realm, attempt=attempt)
        if may and way:
            with pytest.raises(UnsettledTransferError, match=repr(way)):
                self.run(call)
            return
        assert may == self.run(call)
        if may and round_:
            assert self.take(round_, "claim", S.SENT)
            round_.realm, round_.attempt = realm, attempt
            round_.claims += 1

    def in_the_way(self, client, realm):
        for key, (owner, rounds_) in self.model.items():
            for round_ in rounds_:
                # What was held was never claimed, so it holds no client.
                is_mine = (owner, round_.realm) == (client, realm) and round_.attempt
                if is_mine and round_.state in OPEN:
                    return key
        return None

    @rule(key=keys, state=st.sampled_from([S.CONFIRMED, S.REJECTED, S.UNKNOWN]), own=st.booleans())
    def settle(self, key, state, own):
        _, rounds_ = self.model[key]
        round_ = rounds_[-1]
        attempt = round_.attempt if own and round_.attempt else "somebody"
        number = len(rounds_)
        expected = attempt == round_.attempt and self.take(round_, "settle", state)
        assert expected == self.run(self.journal.settle(key, number, attempt, state))

    @rule(key=keys)
    def withdraw(self, key):
        round_ = self.newest(key)
        expected = self.take(round_, "withdraw", S.REFUTED)
        number = len(self.model[key][1])
        assert expected == self.run(self.journal.settle(key, number, "nobody", S.REFUTED))

    @rule(key=keys, applied=st.booleans())
    def resolve(self, key, applied):
        round_ = self.newest(key)
        call = self.journal.resolve(key, applied, by="ann", note="")
        target = S.CONFIRMED if applied else S.REFUTED
        is_young = round_.state is S.SENT or (
            round_.state is S.UNKNOWN and round_.claims and not applied
        )
        if is_young or round_.state not in sources("resolve", target):
            with pytest.raises(JournalError):
                self.run(call)
            return
        self.run(call)
        assert self.take(round_, "resolve", target)

    @rule(key=keys)
    def renew(self, key):
        _, rounds_ = self.model[key]
        call = self.journal.renew(key, by="ann", note="")
        if rounds_[-1].state not in sources("renew"):
            with pytest.raises(JournalError):
                self.run(call)
            return
        assert len(rounds_) + 1 == self.run(call)
        rounds_.append(Round(rounds_[-1].realm, queued=rounds_[-1].queued))

    @rule()
    def hold(self):
        held = [r for _, rounds_ in self.model.values() for r in rounds_ if r.state is S.INTENDED]
        found = self.run(self.journal.hold(by="ann", note=""))
        assert (len(held), 0) == (found, found.left)
        for round_ in held:
            assert self.take(round_, "hold", S.UNKNOWN)

    @invariant()
    def the_table_is_the_model(self):
        async def read():
            entries = {(e.key, e.round): e async for e in self.journal.entries()}
            pending = {each.idempotency_key async for each in self.journal.pending()}
            listed = {(e.key, e.round) async for e in self.journal.unresolved(older_than=0)}
            return entries, pending, listed

        entries, pending, listed = self.run(read())
        model = {
            (key, n): round_
            for key, (_, rounds_) in self.model.items()
            for n, round_ in enumerate(rounds_, 1)
        }
        assert {k: r.state for k, r in model.items()} == {k: e.state for k, e in entries.items()}
        assert {k: r.realm for k, r in model.items()} == {k: e.realm for k, e in entries.items()}
        assert {k: r.attempt for k, r in model.items()} == {
            k: e.attempt for k, e in entries.items()
        }
        assert listed == {k for k, r in model.items() if r.state in OPEN}
        assert pending == {
            key for (key, _), r in model.items() if r.queued and r.state is S.INTENDED
        }

    @invariant()
    def each_round_is_claimed_at_most_once(self):
        for _, rounds_ in self.model.values():
            assert all(round_.claims <= 1 for round_ in rounds_)
            assert all(round_.state in FINAL for round_ in rounds_[:-1])


def test_any_order_of_steps_keeps_to_the_table_of_states():
    """The model walks the same edges that the docs draw."""
    limits = settings(max_examples=rounds(25, 1_000), stateful_step_count=rounds(15, 40))
    run_state_machine_as_test(Machine, settings=limits)

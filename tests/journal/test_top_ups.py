"""Whom a plan pays, how much, and whom not and why: pure, and the same in any decimal context."""

import decimal
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller import (
    Account,
    AsyncResellerClient,
    Currency,
    JournalEntry,
    JournalError,
    KeyReusedError,
    Transfer,
    TransferState,
)
from clicksend_reseller.journal import SQLJournal, TransferStatus, plan_top_ups, transfer_many
from clicksend_reseller.sandbox import Sandbox

AUD = Currency(currency_name_short="AUD")
MAX_INT = 2**31 - 1


def account(user_id=1, balance="5", **more):
    """Give a client that is low, but for what is said."""
    fields = {"username": f"c{user_id}", "active": True, "banned": False, "currency": AUD}
    return Account(user_id=user_id, balance=Decimal(balance), **{**fields, **more})


def entry(state, user_id=1, key="june/1", **more):
    """Give the newest round of a key."""
    fields = {"round": 1, "realm": "r", "queued": False, "amount": 40, "currency": "AUD"}
    return JournalEntry(
        key=key, client_user_id=user_id, state=TransferState(state), **{**fields, **more}
    )


def plan(*accounts, below=10, to=50, **more):
    """Plan for these clients."""
    return plan_top_ups(accounts, below=below, to=to, **more)


@pytest.mark.parametrize(
    ("balance", "amount"),
    [
        ("9.999999", 41),
        ("-3.25", 54),
        ("0", 50),
        ("0E+25", 50),
        ("9", 41),
        ("9.5", 41),
        ("-0.0000000000000000000000000000000000000000000000000000000000000000001", 51),
    ],
)
def test_whole_units_reach_the_mark(balance, amount):
    """Rounded up, never through a float."""
    [row] = plan(account(balance=balance)).rows
    assert (amount, "AUD") == (row.amount, row.currency)


@given(balance=st.decimals(-1000, 10, places=6), precision=st.integers(1, 40))
def test_the_caller_s_decimal_context_changes_nothing(balance, precision):
    """Neither its precision and rounding nor its traps."""
    expected = plan(account(balance=balance))
    odd = decimal.Context(prec=precision, rounding=decimal.ROUND_FLOOR, Emax=3, Emin=-3)
    odd.traps = dict.fromkeys(odd.traps, True)
    with decimal.localcontext(odd):
        assert expected == plan(account(balance=balance))
    for row in expected.rows:
        assert 50 <= row.account.balance + row.amount < 51


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"banned": True}, "banned"),
        ({"active": False}, "inactive"),
        ({"currency": None}, "its currency is unknown"),
        ({"currency": Currency(currency_name_short="$")}, "its currency is unknown"),
        ({"currency": Currency(currency_name_short="USD")}, "its currency is USD"),
        ({"auto_recharge": True}, "recharges by itself"),
        ({"balance": "-3000000000"}, f"it would take more than {MAX_INT}"),
        ({"balance": "-2147483600"}, f"it would take more than {MAX_INT}"),
        ({"balance": "-1e300"}, f"it would take more than {MAX_INT}"),
        ({"balance": "NaN"}, "its balance is no number"),
    ],
)
def test_who_is_left_out_is_named_with_the_reason(more, reason):
    """Below the line, and not paid."""
    found = plan(account(**more), currency="AUD")
    assert ((), [reason]) == (found.rows, [skip.reason for skip in found.skipped])


def test_who_is_well_off_is_not_mentioned():
    """At the line, and above."""
    found = plan(account(1, "10"), account(2, "1000", banned=True))
    assert ((), (), {}) == (found.rows, found.skipped, found.sums)


@pytest.mark.parametrize("balance", ["5", "60"])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("confirmed", "paid already: 40 AUD under 'june/1'"),
        ("sent", "a transfer is open: 'june/1'"),
        ("unknown", "a transfer is open: 'june/1'"),
    ],
)
def test_what_may_have_moved_is_not_paid_again(state, reason, balance):
    """Whatever the balance is by now."""
    on_record = entry(state)
    [skip] = plan(account(balance=balance), on_record=[on_record]).skipped
    assert (reason, on_record, False) == (skip.reason, skip.entry, skip.is_withdrawn)


@pytest.mark.parametrize(
    ("state", "withdrawn"), [("intended", True), ("rejected", False), ("refuted", False)]
)
def test_what_has_not_moved_is_not_paid_to_whom_is_no_longer_low(state, withdrawn):
    """An old row is no debt; one that waits is withdrawn."""
    [skip] = plan(account(balance="55.5"), on_record=[entry(state)]).skipped
    assert ("no longer below 10: its balance is 55.5", withdrawn) == (
        skip.reason,
        skip.is_withdrawn,
    )


def test_what_was_never_sent_is_computed_anew():
    """Under its own key, with the balance of now."""
    on_record = entry("intended", amount=47)
    found = plan(account(balance="2"), on_record=[on_record])
    [row] = found.rows
    assert (48, True, on_record) == (row.amount, row.is_revised, row.entry)
    assert [("june/1", 48)] == [
        (each.idempotency_key, each.amount) for each in found.transfers("july")
    ]
    [same] = plan(account(balance="3"), on_record=[on_record]).rows
    assert (47, False) == (same.amount, same.is_revised)


def test_what_was_refused_keeps_its_amount():
    """It has been sent under this key, so another amount would be another transfer."""
    [row] = plan(account(balance="2"), on_record=[entry("rejected", amount=47)]).rows
    assert (47, False) == (row.amount, row.is_revised)


def test_what_was_found_not_applied_waits_for_a_person():
    """Only renewing opens it again."""
    [skip] = plan(account(), on_record=[entry("refuted")]).skipped
    assert "not to be paid under 'june/1' unless that is renewed" == skip.reason


def test_the_newest_round_of_a_key_counts():
    """In any order."""
    old, new = entry("rejected"), entry("confirmed", round=2)
    for rounds in ([old, new], [new, old]):
        [skip] = plan(account(), on_record=rounds).skipped
        assert new == skip.entry


def test_an_open_transfer_under_another_key_keeps_a_row_back():
    """Its balance says nothing until somebody has looked."""
    rounds = [entry("intended"), entry("unknown", key="by-hand")]
    [skip] = plan(account(), on_record=rounds).skipped
    assert "a transfer is open: 'by-hand'" == skip.reason


def test_another_client_s_record_is_not_this_one_s():
    """Rows are by client."""
    found = plan(account(1), account(2, "0"), on_record=[entry("confirmed", 1)])
    assert [(2, 50)] == [(row.account.user_id, row.amount) for row in found.rows]
    assert {"AUD": 50} == found.sums


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"below": 50, "to": 10}, ValueError),
        ({"below": Decimal("nan"), "to": 10}, ValueError),
        ({"below": 1, "to": Decimal("inf")}, ValueError),
        ({"below": 1, "to": Decimal("1e5000000")}, ValueError),
        ({"below": 1, "to": MAX_INT + 1}, ValueError),
        ({"below": 1, "to": 10, "currency": "aud"}, ValueError),
        ({"below": 1.5, "to": 10}, TypeError),
        ({"below": True, "to": 10}, TypeError),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, error):
    """A float would be another number than the one that was written."""
    with pytest.raises(error):
        plan(account(), **limits)


async def test_a_plan_is_paid_and_the_next_one_goes_on(tmp_path):
    """With a journal: nobody twice, an old row anew, and one that is no longer due withdrawn."""
    world = Sandbox()
    async with (
        SQLJournal(f"sqlite+aiosqlite:///{tmp_path}/transfers.db") as journal,
        world.client(journal=journal) as client,
    ):
        for user_id in (1005, 1007, 1009):
            await journal.intend(_old(user_id), realm=client.realm)
        world.spend(1005, 1)
        await client.transfer_credit(1007, 100, "AUD")
        found = await _plan(client, journal)
        for skip in found.skipped:
            if skip.is_withdrawn:
                await journal.resolve(skip.entry.key, False, by="cron", note=skip.reason)  # noqa: FBT003
        for row in found.rows:
            if row.is_revised:
                await journal.revise(row.transfer("june"), by="cron", note="the balance of now")
        results = [result async for result in transfer_many(client, found.transfers("june"))]
        assert {TransferStatus.PAID} == {result.status for result in results}
        assert [Decimal(55)] == world.transfers_to(1005)
        assert [Decimal(100)] == world.transfers_to(1007)
        assert () == (await _plan(client, journal)).rows


def _old(user_id):
    return Transfer(
        idempotency_key=f"june/{user_id}", client_user_id=user_id, amount=7, currency="AUD"
    )


async def _plan(client: AsyncResellerClient, journal):
    return plan_top_ups(
        [each async for each in client.iter_accounts()],
        below=10,
        to=50,
        on_record=[each async for each in journal.entries() if each.key.startswith("june/")],
    )


# --- revising


async def test_a_worker_that_has_read_the_old_round_sends_nothing(opened):
    """It loses its claim, and the new round is claimed once."""
    async with opened() as journal:
        old = await journal.intend(_old(1001), realm="r")
        new = attrs.evolve(_old(1001), amount=9)
        assert 2 == await journal.revise(new, by="me", note="why")
        assert not await journal.claim(old.key, old.round, realm="r", attempt="a")
        assert await journal.claim(old.key, 2, realm="r", attempt="b")
        found = await journal.get(old.key)
        assert [(7, "refuted", "me", "why"), (9, "sent", "me", "why")] == [
            (each.amount, each.state, each.by, each.note) for each in found.rounds
        ]


@pytest.mark.parametrize("state", ["none", "sent", "confirmed"])
async def test_only_what_was_never_sent_is_revised(opened, state):
    """Its amount may have moved."""
    async with opened() as journal:
        if state != "none":
            await journal.intend(_old(1001), realm="r")
            await journal.claim("june/1001", 1, realm="r", attempt="a")
        if state == "confirmed":
            await journal.settle("june/1001", 1, "a", TransferState.CONFIRMED)
        with pytest.raises(JournalError, match=r"only what is intended|is on record"):
            await journal.revise(_old(1001), by="me", note="")


async def test_a_key_is_not_revised_for_another_client(opened):
    """That would be another transfer."""
    async with opened() as journal:
        await journal.intend(_old(1001), realm="r")
        with pytest.raises(KeyReusedError):
            await journal.revise(attrs.evolve(_old(1001), client_user_id=1002), by="me", note="")

"""Who is topped up with --below and --to, and by how much."""

import csv
import json
import re

import pytest

from clicksend_reseller import AsyncResellerClient, TransferOutcomeUnknownError
from clicksend_reseller.cli.payments import policy
from clicksend_reseller.cli.payments.on_record import entries_where
from support.aging import put_back_at

LOW = ("top-up", "--below", 10, "--to", 50, "--batch", "2026-11-24")
CAP = ("--yes", "--max-total", 500)


def test_the_low_ones_are_paid_and_the_others_named(live, served):
    """Banned, of unknown currency, recharging: a reason each."""
    run = live.call(*LOW, *CAP)
    assert 0 == run.status
    paid = [(1005, "54.000000"), (1007, "41.000000"), (1009, "41.000000")]
    assert paid == sorted(served.paid)
    for words in (
        "skipped 1006 banned: banned",
        "skipped 1008 no-currency: its currency is unknown",
        "skipped 1010 recharges: recharges by itself",
    ):
        assert words in run.err


def test_the_same_batch_again_pays_nobody(live, served):
    """Those that were paid are listed as such; a client that is low by now waits for its turn."""
    assert 0 == live.call(*LOW, *CAP).status
    served.spend(1005, 45)
    served.add_account(username="new", balance="1.5", currency="AUD")
    run = live.call(*LOW, *CAP, "-o", "csv", "--columns", "client_user_id,amount,status")
    assert 0 == run.status
    lines = ['1005,54,"already_paid"', '1007,41,"already_paid"', '1009,41,"already_paid"']
    assert [*lines, '1013,49,"paid"'] == sorted(run.out.splitlines()[1:])
    assert 4 == len(served.ledger)


def test_an_amount_on_record_wins(live, served):
    """Another --to is another amount only for clients without a row."""
    served.fail("limit", operation="transfer_credit", client_user_id=1005)
    assert 5 == live.call(*LOW, *CAP).status
    again = ("top-up", "--below", 10, "--to", 60, "--batch", "2026-11-24", "--renew-rejected")
    run = live.call(*again, *CAP)
    assert 0 == run.status
    assert (1005, "54.000000") in served.paid
    assert 3 == len(served.ledger)


def stopped(live, served):
    """Stop a batch at its first rows; give the clients whose rows were never sent, with amounts."""
    for n in range(6):
        served.add_account(username=f"low-{n}", balance="5", currency="AUD")
    served.fail("error", operation="transfer_credit", status=401, response_code="UNAUTHORIZED")
    assert 4 == live.call(*LOW, *CAP).status
    served.clear_faults()
    run = live.call("journal", "list", "--state", "intended", "-o", "json")
    left = {row["client_user_id"]: row["amount"] for row in json.loads(run.out)}
    assert left
    return left


def test_a_row_that_was_never_sent_is_withdrawn_where_the_client_is_no_longer_low(live, served):
    """Somebody else has paid it meanwhile: yesterday's amount is not owed any more."""
    left = stopped(live, served)
    for client in left:
        words = ("transfer", client, 100, "AUD", "--key", f"by-hand-{client}", "--yes")
        assert 0 == live.call(*words).status
    before = served.ledger
    run = live.call(*LOW, *CAP)
    assert before == served.ledger
    for client in left:
        assert re.search(rf"skipped {client} .*: no longer below 10: .*; its row is withd", run.err)
        shown = json.loads(live.call("journal", "show", f"2026-11-24/{client}", "-o", "json").out)
        assert ["refuted"] == [round_["state"] for round_ in shown]
        assert "no longer below 10: its balance is 1" in shown[-1]["note"]
    again = live.call(*LOW, *CAP)
    assert (before, run.status) == (served.ledger, again.status)


def test_a_row_that_another_run_sends_while_the_list_is_read_is_not_withdrawn(
    live, served, monkeypatch
):
    """It is paid, its answer lost: that is why the client is not low, and a person has to look."""
    left = stopped(live, served)
    served.fail("lost", operation="transfer_credit", times=None)

    async def read_and_overtaken(journal, wanted):
        found = await entries_where(journal, wanted)
        account = ("sandbox", "sandbox")
        async with AsyncResellerClient(*account, base_url=live.url, journal=journal) as other:
            for client, amount in left.items():
                with pytest.raises(TransferOutcomeUnknownError):
                    await other.transfer_credit(
                        client, amount, "AUD", idempotency_key=f"2026-11-24/{client}"
                    )
        put_back_at(live)  # a long list, at 20 calls a minute, or a question that waits
        return found

    monkeypatch.setattr(policy, "entries_where", read_and_overtaken)
    live.call(*LOW, *CAP)
    monkeypatch.undo()
    assert left == {who: int(float(amount)) for who, amount in served.paid if who in left}
    run = live.call("journal", "list", "--unresolved", "-o", "json")
    assert {(f"2026-11-24/{client}", "unknown") for client in left} <= {
        (row["key"], row["state"]) for row in json.loads(run.out)
    }


def test_a_row_that_was_never_sent_is_computed_anew(live, served):
    """The client has spent more since: it is brought to the mark, under the same key."""
    left = stopped(live, served)
    for client in left:
        served.spend(client, 3)
    assert 0 == live.call(*LOW, *CAP, "--renew-rejected").status
    paid = dict(served.paid)
    for client, amount in left.items():
        assert f"{amount + 3}.000000" == paid[client]
        shown = json.loads(live.call("journal", "show", f"2026-11-24/{client}", "-o", "json").out)
        assert [(amount, "refuted"), (amount + 3, "confirmed")] == [
            (round_["amount"], round_["state"]) for round_ in shown
        ]
    assert 9 == len(served.paid)


def test_a_plan_fits_what_is_on_record(live, served):
    """Its rows can be paid though an older run of the batch has left other amounts."""
    left = stopped(live, served)
    for client in left:
        served.spend(client, 3)
    assert 0 == live.call(*LOW, "--plan", "plan.csv").status
    assert 0 == live.call("top-up", "--from", "plan.csv", *CAP).status
    paid = dict(served.paid)
    assert {client: f"{left[client] + 3}.000000" for client in left} == {
        client: paid[client] for client in left
    }


def test_a_dry_run_withdraws_nothing(live, served):
    """It looks, and the journal stays as it is."""
    left = stopped(live, served)
    for client in left:
        assert 0 == live.call("transfer", client, 100, "AUD", "--yes").status
    assert 0 == live.call(*LOW, "--dry-run").status
    run = live.call("journal", "list", "--state", "intended", "-o", "json")
    assert set(left) == {row["client_user_id"] for row in json.loads(run.out)}


def test_a_client_with_an_open_transfer_is_left_out(live, served):
    """Its balance says nothing until somebody has looked."""
    served.fail("lost", operation="transfer_credit", client_user_id=1007, applied=False)
    assert 6 == live.call("transfer", 1007, 1, "AUD", "--key", "k", "--yes").status
    run = live.call(*LOW, *CAP)
    assert (0, {1005, 1009}) == (run.status, {who for who, _ in served.paid})
    assert "skipped 1007 no-subaccount: a transfer is open: 'k'" in run.err


def test_only_one_currency(live, served):
    """The others are named with theirs."""
    served.add_account(username="dear", balance="1", currency="USD")
    run = live.call(*LOW, *CAP, "--currency", "USD")
    assert [(1013, "49.000000")] == served.paid
    assert "skipped 1005 in-debt: its currency is AUD" in run.err


def test_a_plan_is_paid_by_the_file_that_it_wrote(live, served):
    """A second pair of eyes: nothing moves before, and the keys are those of the policy."""
    file = live.folder / "plan.csv"
    run = live.call(*LOW, "--plan", file)
    assert (0, []) == (run.status, served.ledger)
    assert f"clicksend-reseller top-up --from {file}" in run.err
    with file.open() as stream:
        keys = [row["key"] for row in csv.DictReader(stream)]
    assert ["2026-11-24/1005", "2026-11-24/1007", "2026-11-24/1009"] == keys
    assert 0 == live.call("top-up", "--from", file, *CAP).status
    assert 0 == live.call(*LOW, *CAP).status
    assert 3 == len(served.ledger)


def test_a_plan_is_not_overwritten(live):
    """Somebody may have edited it."""
    file = live.folder / "plan.csv"
    file.write_text("mine")
    assert (2, "mine") == (live.call(*LOW, "--plan", file).status, file.read_text())


@pytest.mark.parametrize(
    "words",
    [
        ("--below", 10, "--to", 50),
        ("--below", 10, "--batch", "b"),
        ("--below", 50, "--to", 10, "--batch", "b"),
        ("--below", "nan", "--to", 10, "--batch", "b"),
        ("--below", 1, "--to", 10, "--batch", " "),
        ("--from", "x.csv", "--below", 1),
        (),
    ],
)
def test_half_a_policy_is_2(live, served, words):
    """Nothing is read or sent."""
    assert (2, []) == (live.call("top-up", *words, *CAP).status, served.requests)

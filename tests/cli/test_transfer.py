"""One transfer: sent once under its key, and each end with its own status."""

import contextlib
import json
import re
import sqlite3

import pytest

from clicksend_reseller import AsyncResellerClient
from clicksend_reseller.journal import SQLJournal
from support.command_line import Home


def rows(run):
    """What stands on stdout, as JSON lines."""
    return [json.loads(line) for line in run.out.splitlines()]


def pay(home, *words, **more):
    """Make a transfer without a question."""
    return home.call("transfer", *words, "--yes", "-o", "jsonl", **more)


def test_a_key_that_another_run_pays_at_the_last_moment_is_already_paid(live, served, monkeypatch):
    """Whoever read "not sent" would pay it again under a new key."""
    claim = SQLJournal.claim
    overtaken: list[SQLJournal] = []

    async def claim_too_late(journal, *args, **more):
        if not overtaken:
            overtaken.append(journal)
            account = ("sandbox", "sandbox")
            async with AsyncResellerClient(*account, base_url=live.url, journal=journal) as other:
                await other.transfer_credit(1001, 12, "AUD", idempotency_key="invoice-7")
        return await claim(journal, *args, **more)

    monkeypatch.setattr(SQLJournal, "claim", claim_too_late)
    run = pay(live, 1001, 12, "AUD", "--key", "invoice-7")
    assert [(1001, "12.000000")] == served.paid
    assert (0, "already_paid") == (run.status, rows(run)[0]["status"])


def test_a_key_pays_once(live, served):
    """The second time the journal answers, with 0."""
    first, second = (pay(live, 1001, 12, "AUD", "--key", "invoice-7") for _ in range(2))
    assert [(0, "paid"), (0, "already_paid")] == [
        (run.status, rows(run)[0]["status"]) for run in (first, second)
    ]
    assert [(1001, "12.000000")] == served.paid
    assert "it had been paid already: nothing was sent" in second.err


def test_a_minted_key_is_said_and_is_not_used_twice(live, served):
    """It stands on stderr before, and in the row afterwards."""
    run = pay(live, 1001, 3, "AUD")
    (key,) = re.findall(r"run again with --key (cli-[0-9a-f]{12})", run.err)
    assert key == rows(run)[0]["key"]
    assert 0 == pay(live, 1001, 3, "AUD", "--key", key).status
    assert 1 == len(served.ledger)


def test_a_lost_answer_is_6_and_again_6(live, served):
    """It is never sent again; the command that looks is said."""
    for _ in range(2):
        run = pay(live, 1011, 5, "AUD", "--key", "k")
        assert (6, "unknown") == (run.status, rows(run)[0]["status"])
        assert "clicksend-reseller journal reconcile k" in run.err
    assert 1 == len(served.ledger)


def test_another_transfer_to_a_client_with_an_open_one_is_refused(live, served):
    """The key that stands in the way is named."""
    assert 6 == pay(live, 1011, 5, "AUD", "--key", "k").status
    run = pay(live, 1011, 5, "AUD", "--key", "other")
    assert (1, 1) == (run.status, len(served.ledger))
    assert "'k'" in run.err


def test_a_key_for_other_values_is_refused(live, served):
    """Both are named, and nobody is asked."""
    assert 0 == pay(live, 1001, 5, "AUD", "--key", "k").status
    run = pay(live, 1001, 6, "AUD", "--key", "k")
    assert (1, 1) == (run.status, len(served.ledger))
    assert "5 AUD to client 1001" in run.err


def test_a_refusal_is_1_and_can_be_renewed(live, served):
    """Renewing keeps the key, and then the same command pays."""
    served.fail("limit", operation="transfer_credit")
    assert 1 == pay(live, 1001, 5, "AUD", "--key", "k").status
    run = pay(live, 1001, 5, "AUD", "--key", "k")
    assert (1, 0) == (run.status, len(served.ledger))
    renewed = live.call("journal", "renew", "k")
    assert 0 == renewed.status
    assert "transfer 1001 5 AUD --key k" in renewed.err
    assert (0, 1) == (pay(live, 1001, 5, "AUD", "--key", "k").status, len(served.ledger))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((1001, 0, "AUD"), "amount must be from 1"),
        ((1001, -5, "AUD"), "--allow-negative"),
        ((1001, 5, "aud"), "three capital letters, not 'aud'"),
        ((0, 5, "AUD"), "client_user_id must be from 1"),
        ((1001, 5, "AUD", "--key", " "), "--key must be"),
        ((1001, 5, "AUD", "--key", ""), "--key must be"),
        ((1001, 5, "AUD", "--key="), "--key must be"),
        ((1001, "5.5", "AUD"), "a whole number, not '5.5'"),
        ((1001, "5.0", "AUD"), "a whole number, not '5.0'"),
        ((1001, "1_000", "AUD"), "a whole number, not '1_000'"),
        ((1001, "0x10", "AUD"), "a whole number, not '0x10'"),
        ((1001, "1e3", "AUD"), "a whole number, not '1e3'"),
        (("1001.4", 5, "AUD"), "a whole number, not '1001.4'"),
        ((1001, 5, "AUD", "--max-total", "5.5"), "a whole number, not '5.5'"),
        ((1001, 5), "requires"),
        ((1001, 5, "AUD", "--sandbox", "http://127.0.0.1:1"), "http://127.0.0.1:1"),
        ((1001, 5, "AUD", "--sandbox=http://example.test"), "not on this machine"),
        ((1001, 5, "AUD", "--limit-per-minute", 0), "--limit-per-minute must be"),
    ],
)
def test_misuse_is_2_and_sends_nothing(live, served, words, reason):
    """Before the API is asked anything."""
    run = pay(live, *words)
    assert (2, [], []) == (run.status, served.ledger, served.requests)
    assert reason in " ".join(run.err.split())


def test_a_negative_amount_goes_where_it_is_meant(live, served):
    """Said explicitly, it takes credit back."""
    run = pay(live, 1001, -5, "AUD", "--allow-negative")
    assert (0, [(1001, "-5.000000")]) == (run.status, served.paid)


def test_more_than_the_cap_is_refused(live, served):
    """--max-total holds for one transfer as well."""
    assert (1, []) == (pay(live, 1001, 5, "AUD", "--max-total", 4).status, served.ledger)
    assert 0 == pay(live, 1001, 5, "AUD", "--max-total", 5).status


@pytest.mark.parametrize("words", [(), ("--yes",)])
def test_a_cap_holds_whoever_confirms_and_whichever_way_the_credit_goes(live, served, words):
    """It is looked at before the question, and taking 5 back moves as much as giving 5."""
    for amount in (5, -5):
        transfer = ("transfer", 1001, amount, "AUD", "--allow-negative", *words)
        run = live.call(*transfer, "--max-total", 4)
        assert (1, []) == (run.status, served.requests)
        assert "is more than --max-total 4; nothing was sent" in run.err


def test_no_terminal_and_no_yes_is_3(live, served):
    """An answer on a pipe is no person's."""
    run = live.call("transfer", 1001, 5, "AUD", given="y\n")
    assert (3, []) == (run.status, served.ledger)
    assert "no --yes was given" in run.err


def test_missing_credentials_are_4(home):
    """The two variables are named, and the rehearsal."""
    run = home.call("transfer", 1001, 5, "AUD", "--yes")
    assert 4 == run.status
    assert "set CLICKSEND_USERNAME and CLICKSEND_API_KEY, or rehearse with --sandbox" in run.err


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "FORBIDDEN")])
def test_refused_credentials_are_4(live, served, status, code):
    """Whatever the operation."""
    served.fail("error", operation="get_account", status=status, response_code=code)
    assert (4, []) == (pay(live, 1001, 5, "AUD").status, served.ledger)


def test_an_unknown_client_is_1(live, served):
    """A read failed, and nothing was sent."""
    assert (1, []) == (pay(live, 999, 5, "AUD").status, served.ledger)


def test_a_dry_run_shows_and_sends_nothing(live, served):
    """Nor is a key recorded."""
    run = live.call("transfer", 1001, 5, "AUD", "--dry-run", "--key", "k")
    assert (0, []) == (run.status, served.ledger)
    assert "1001, plain" in run.err
    assert 1 == live.call("journal", "show", "k").status


def balance_on_record(live):
    """What `journal reconcile` would compare with."""
    (row,) = rows(live.call("journal", "show", "k", "-o", "jsonl"))
    return row["state"], row["balance_before"]


def test_the_balance_on_record_is_read_on_a_connection_of_its_own(live, served, monkeypatch):
    """No late answer to an earlier request may pass for it; what is only shown needs none."""
    asked, get_account = [], AsyncResellerClient.get_account

    async def note(self, client_user_id, **options):
        asked.append(options.get("fresh", False))
        return await get_account(self, client_user_id, **options)

    monkeypatch.setattr(AsyncResellerClient, "get_account", note)
    assert 0 == pay(live, 1001, 5, "AUD", "--key", "k").status
    assert [False, True] == asked


def test_a_balance_that_cannot_be_read_keeps_nothing_back(live, served):
    """It is for a later verdict only: the transfer goes on without one."""
    served.fail("error", operation="get_account", after=1, status=400)
    assert (0, 1) == (pay(live, 1001, 5, "AUD", "--key", "k").status, len(served.ledger))
    assert ("confirmed", None) == balance_on_record(live)


@pytest.mark.parametrize(("answer", "status"), [(401, 4), (403, 4), (404, 1)])
def test_a_reading_that_shows_that_nothing_works_ends_it(live, served, answer, status):
    """The transfer would be refused as well, and its key with it."""
    served.fail("error", operation="get_account", after=1, status=answer)
    assert (status, []) == (pay(live, 1001, 5, "AUD", "--key", "k").status, served.ledger)
    assert ("intended", None) == balance_on_record(live)


def test_an_old_reading_never_passes_for_a_new_one(live, served):
    """A run that ended before it sent left its own: it is replaced, or nothing is sent."""
    for answer in (401, 400):
        served.fail("error", operation="get_account", after=1, status=answer)
        assert pay(live, 1001, 5, "AUD", "--key", "k").status in {1, 4}
        (file,) = (live.folder / "state" / "clicksend-reseller").glob("*.db")
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE clicksend_transfer SET balance_before = '45'")
    assert [] == served.ledger
    assert 0 == pay(live, 1001, 5, "AUD", "--key", "k").status
    assert ("confirmed", "50.000000") == balance_on_record(live)


def test_the_same_again_within_a_day_is_noticed(live, served):
    """Another key is another transfer: who confirms is told of the first."""
    assert 0 == pay(live, 1001, 5, "AUD", "--key", "a").status
    run = live.call("transfer", 1001, 5, "AUD", "--key", "b", "--dry-run")
    assert "the same amount was sent to this client" in run.err
    assert "'a' (confirmed)" in run.err


def test_the_same_for_another_account_is_another_payment(live, served):
    """What was sent as somebody else, or to a sandbox, warns nobody here."""
    journal = ("--journal", live.folder / "shared.db")
    assert 0 == pay(live, 1001, 5, "AUD", "--key", "a", *journal, "--new-journal").status
    other = Home(live.folder, served.url.replace("127.0.0.1", "localhost"))
    words = ("transfer", 1001, 5, "AUD", "--key", "b", "--dry-run", *journal)
    run = other.call(*words)
    assert 0 == run.status
    assert "the same amount was sent" not in run.err
    assert "the same amount was sent" in live.call(*words).err


def test_a_rehearsal_needs_nothing_and_touches_nothing(tmp_path):
    """No credentials, no state, and the live ones are not used."""
    home = Home(tmp_path)
    run = pay(home, 1001, 12, "AUD", "--sandbox", CLICKSEND_BASE_URL="https://example.test/v3")
    assert (0, "62.000000") == (run.status, rows(run)[0]["balance"])
    assert [] == list(tmp_path.iterdir())


def test_a_sandbox_leaves_the_live_journal_alone(tmp_path, served):
    """A rehearsed key that stood in it would be refused when it is meant."""
    live = tmp_path / "live.db"
    home = Home(tmp_path, more={"CLICKSEND_JOURNAL": str(live)})
    run = pay(home, 1001, 12, "AUD", "--key", "k", f"--sandbox={served.url}")
    assert (0, False) == (run.status, live.exists())
    assert 1 == len(list((tmp_path / "state" / "clicksend-reseller").glob("*.db")))


def test_a_served_sandbox_has_a_journal_of_its_own(tmp_path, served):
    """A file for each URL, for its owner alone, and no live credential goes there."""
    home = Home(tmp_path)
    live = {"CLICKSEND_USERNAME": "somebody", "CLICKSEND_API_KEY": "live-key-0123456789"}
    run = pay(home, 1001, 12, "AUD", f"--sandbox={served.url.removesuffix('/v3')}", **live)
    assert (0, 1) == (run.status, len(served.ledger))
    (file,) = (tmp_path / "state" / "clicksend-reseller").glob("*.db")
    assert 0o600 == file.stat().st_mode & 0o777
    assert 0o700 == file.parent.stat().st_mode & 0o777
    assert served.url.split(":")[2].split("/")[0] in file.name

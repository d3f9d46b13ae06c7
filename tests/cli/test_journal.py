"""What is on record, and what a person decides about it."""

import getpass
import json

import pytest

from clicksend_reseller import JournalError
from clicksend_reseller.journal import SQLJournal
from support.aging import put_back_at


@pytest.fixture
def doubtful(live, served):
    """Leave one transfer unknown, under the key k: it was applied."""
    run = live.call("transfer", 1011, 12, "AUD", "--key", "k", "--yes")
    assert 6 == run.status
    return live


def test_a_list_shows_what_is_unresolved(doubtful):
    """One row, with what is known of it."""
    run = doubtful.call("journal", "list", "--unresolved", "-o", "json")
    (row,) = json.loads(run.out)
    assert ("k", "unknown", 1011, 12, "AUD") == tuple(
        row[name] for name in ("key", "state", "client_user_id", "amount", "currency")
    )


def test_a_list_can_be_narrowed(doubtful):
    """By state and by client."""
    assert 0 == doubtful.call("transfer", 1001, 1, "AUD", "--key", "j", "--yes").status

    def keys(*words):
        run = doubtful.call("journal", "list", *words, "-o", "csv", "--columns", "key")
        return run.out.splitlines()[1:]

    assert ['"k"', '"j"'] == keys()
    assert ['"j"'] == keys("--state", "confirmed")
    assert ['"k"'] == keys("--client", 1011)
    assert [] == keys("--unresolved", "--client", 1001)


def test_the_verdict_rests_on_assumptions(doubtful):
    """Without any it is inconclusive, and that is 6; with them the next command is said."""
    run = doubtful.call("journal", "reconcile", "k")
    assert 6 == run.status
    assert "inconclusive" in run.out
    words = ("--exclusive", "--same-currency", "--max-spend", 5)  # the balance before is on record
    run = doubtful.call("journal", "reconcile", "k", *words)
    assert 0 == run.status
    assert "12 AUD to client 1011 under the key 'k': applied" in run.out
    assert "clicksend-reseller journal resolve k --applied --note" in run.err


def test_all_unresolved_are_reconciled(doubtful, served):
    """As rows where a format is asked for; nothing is sent."""
    run = doubtful.call("journal", "reconcile", "--all", "-o", "jsonl")
    assert (6, "inconclusive") == (run.status, json.loads(run.out)["verdict"])
    assert 1 == len(served.ledger)


def test_resolving_ends_the_doubt(doubtful, served):
    """Signed and with a note; then the same command says that it is paid."""
    run = doubtful.call("journal", "resolve", "k", "--applied", "--note", "seen", "--by", "Ann")
    assert 0 == run.status
    (row,) = json.loads(doubtful.call("journal", "show", "k", "-o", "json").out)
    assert ("confirmed", "Ann", "seen") == (row["state"], row["by"], row["note"])
    again = doubtful.call("transfer", 1011, 12, "AUD", "--key", "k", "--yes")
    assert (0, 1) == (again.status, len(served.ledger))


@pytest.mark.parametrize("words", [(), ("--applied", "--not-applied")])
def test_resolving_needs_one_word(doubtful, words):
    """Neither and both are 2."""
    assert 2 == doubtful.call("journal", "resolve", "k", "--note", "x", *words).status


def test_only_what_is_final_is_renewed(doubtful):
    """An unknown one is not: it would be paid twice."""
    run = doubtful.call("journal", "renew", "k")
    assert 1 == run.status
    put_back_at(doubtful)
    assert 0 == doubtful.call("journal", "resolve", "k", "--not-applied", "--note", "x").status
    assert 0 == doubtful.call("journal", "renew", "k", "--note", "again").status
    run = doubtful.call("journal", "show", "k", "-o", "csv", "--columns", "round,state")
    assert ['1,"refuted"', '2,"intended"'] == run.out.splitlines()[1:]


@pytest.mark.parametrize("words", [(), ("--before", "now")])
def test_holding_stops_what_is_intended(doubtful, served, words):
    """After a restore: what was intended becomes unknown, and is not paid."""
    put_back_at(doubtful)
    assert 0 == doubtful.call("journal", "resolve", "k", "--not-applied", "--note", "x").status
    assert 0 == doubtful.call("journal", "renew", "k").status
    run = doubtful.call("journal", "hold", *words, "--note", "restored")
    assert 0 == run.status
    assert "1 blocked, 0 left" in run.err
    assert "Compare with the ClickSend dashboard first" in run.err
    assert "until then, pay no list and renew nothing" in run.err
    again = doubtful.call("transfer", 1011, 12, "AUD", "--key", "k", "--yes")
    assert (6, 1) == (again.status, len(served.ledger))


@pytest.mark.parametrize("time", ["yesterday", "2026-11-24T10:00"])
def test_a_time_without_a_zone_is_refused(doubtful, time):
    """It could be any of 24."""
    assert 2 == doubtful.call("journal", "hold", "--before", time).status


def test_a_key_that_is_not_on_record_is_named(fresh):
    """With the journal that was asked; none is made by asking."""
    for words in (("show", "x"), ("renew", "x"), ("resolve", "x", "--applied", "--note", "n")):
        run = fresh.call("journal", *words)
        assert 1 == run.status
        assert f"the key 'x' is not on record in {fresh.folder}/state" in run.err
    assert "[]\n" == fresh.call("journal", "list", "-o", "json").out
    assert not (fresh.folder / "state").exists()


def test_an_export_has_all_columns(doubtful):
    """As CSV, or as the file's ending says."""
    file = doubtful.folder / "journal.jsonl"
    assert 0 == doubtful.call("journal", "export", "--to", file).status
    (row,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert {"key", "realm", "attempt", "response_msg"} <= set(row)


@pytest.mark.parametrize("by", [None, "Ann"])
def test_each_decision_is_signed_by_who_makes_it(doubtful, by):
    """By the name that was given, else by the login name."""
    signed, words = by or getpass.getuser(), ("--by", by) if by else ()

    def signatures():
        rows = json.loads(doubtful.call("journal", "show", "k", "-o", "json").out)
        return [row["by"] for row in (rows if isinstance(rows, list) else [rows])]

    put_back_at(doubtful)
    note = ("--note", "x")
    assert 0 == doubtful.call("journal", "resolve", "k", "--not-applied", *note, *words).status
    assert [signed] == signatures()
    assert 0 == doubtful.call("journal", "renew", "k", *note, *words).status
    assert [signed, signed] == signatures()
    assert 0 == doubtful.call("journal", "resolve", "k", "--not-applied", "--note", "y").status
    assert [signed, getpass.getuser()] == signatures()
    assert 0 == doubtful.call("journal", "renew", "k", *note, "--by", "Bea").status
    assert 0 == doubtful.call("journal", "hold", "--before", "now", *note, *words).status
    assert [signed, getpass.getuser(), signed] == signatures()


def test_an_export_that_fails_in_the_middle_leaves_the_old_file(doubtful, monkeypatch):
    """A report that reads half a journal would miss what was paid."""
    assert 0 == doubtful.call("transfer", 1001, 1, "AUD", "--key", "j", "--yes").status
    file = doubtful.folder / "journal.jsonl"
    assert 0 == doubtful.call("journal", "export", "--to", file).status
    before, entries = file.read_text("utf-8"), SQLJournal.entries
    assert 2 == len(before.splitlines())

    async def broken(self, **where):
        async for entry in entries(self, **where):
            yield entry
            raise JournalError("the disk is gone")

    monkeypatch.setattr(SQLJournal, "entries", broken)
    run = doubtful.call("journal", "export", "--to", file)
    assert (1, before) == (run.status, file.read_text("utf-8"))
    assert [] == [path.name for path in doubtful.folder.glob("*jsonl*") if path != file]

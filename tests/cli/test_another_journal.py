"""A list that is paid again under another journal: with --yes, only where a new one is meant."""

import pytest

from support.command_line import Home, default_journal, make_journal

BATCH = ("--batch", "june", "--yes", "--max-total", 5)


@pytest.fixture
def top_up(tmp_path):
    """Give the command that pays one client from a file."""
    file = tmp_path / "list.csv"
    file.write_text("client_user_id,amount,currency\n1001,5,AUD\n")
    return ("top-up", "--from", file, *BATCH)


def test_another_home_does_not_pay_again_unasked(fresh, served, top_up):
    """As sudo and cron have it: the journal there is a new one."""
    make_journal(default_journal(fresh))
    root = Home(fresh.folder / "root", fresh.url)
    root.folder.mkdir()
    assert (0, 2) == (fresh.call(*top_up).status, (run := root.call(*top_up)).status)
    assert [(1001, "5.000000")] == served.paid
    assert f"the journal {default_journal(root)} (new) does not exist yet" in run.err
    assert "say --new-journal if a new one is meant; nothing was sent" in run.err
    assert not default_journal(root).exists()


def test_another_folder_does_not_pay_again_unasked(fresh, served, top_up, monkeypatch):
    """A relative CLICKSEND_JOURNAL is another file in each folder, and the refusal shows it."""
    make_journal(fresh.folder / "a" / "pay.db")
    make_journal(fresh.folder / "b" / "other.db")
    folders = [Home(fresh.folder / name, fresh.url) for name in ("a", "b")]
    first, second = (home.call(*top_up, CLICKSEND_JOURNAL="pay.db") for home in folders)
    assert (0, 2) == (first.status, second.status)
    assert [(1001, "5.000000")] == served.paid
    assert f"  journal     {fresh.folder}/a/pay.db\n" in first.err
    assert f"the journal {fresh.folder}/b/pay.db (new) does not exist yet" in second.err


@pytest.mark.parametrize("words", [("--journal", "x/pay.db"), ("--journal", "./x/../x/pay.db")])
def test_one_transfer_needs_the_word_too(fresh, served, words):
    """Under a key of its own as well."""
    transfer = ("transfer", 1001, 5, "AUD", "--key", "k", "--yes", *words)
    assert (2, []) == (fresh.call(*transfer).status, served.paid)
    assert 0 == fresh.call(*transfer, "--new-journal").status
    assert 0 == fresh.call(*transfer).status
    assert [(1001, "5.000000")] == served.paid


def test_the_word_makes_the_journal_where_nothing_is_to_be_paid(fresh, served):
    """Or tomorrow's run would be refused."""
    words = ("top-up", "--below", -100, "--to", 0, *BATCH)
    assert 2 == fresh.call(*words).status
    assert 0 == fresh.call(*words, "--new-journal").status
    assert 0 == fresh.call(*words).status


@pytest.mark.parametrize("look", [("--dry-run",), ("--plan", "plan.csv"), ()])
def test_a_look_makes_no_journal(fresh, served, look):
    """A rehearsal, a plan, or a run that found nobody to ask, and then --yes: still refused."""
    policy = ("top-up", "--below", 10, "--to", 50, "--batch", "b")
    assert {"--dry-run": 0, "--plan": 0}.get(look[0] if look else "", 3) == (
        fresh.call(*policy, *look).status
    )
    assert not default_journal(fresh).exists()
    assert (2, []) == (fresh.call(*policy, "--yes", "--max-total", 500).status, served.paid)


def test_an_empty_file_is_no_journal(fresh, served, top_up):
    """As `touch`, or a crash before the first commit, leaves it."""
    file = fresh.folder / "empty.db"
    file.touch()
    assert (2, []) == (fresh.call(*top_up, "--journal", file).status, served.paid)
    assert 0 == fresh.call(*top_up, "--journal", file, "--new-journal").status


def test_a_rehearsal_needs_no_word(fresh, top_up):
    """Its journal is always a new one."""
    assert 0 == fresh.call(*top_up, "--sandbox").status


def test_a_person_who_is_asked_needs_no_word(fresh, served, top_up):
    """The question shows that it is new; the word belongs to --yes."""
    run = fresh.call(*top_up[:-3])
    assert (3, []) == (run.status, served.paid)
    assert f"  journal     {default_journal(fresh)} (new)\n" in run.err

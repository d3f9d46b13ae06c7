"""The journal's file is the one that is shown, wherever the command runs, and its owner's alone."""

import pwd
from pathlib import Path

import pytest
from sqlalchemy import make_url

from clicksend_reseller.cli.session.target import journal_folder
from support.command_line import default_journal

ESCAPED = "sqlite+aiosqlite:///a%20b.db"
ODD = ("a%20b", "st%41te", "q?x=y", "h#x", "a b", "ü", "memory", "file:x")


def pay(live, *words, **more):
    """Make one transfer, and give the journals that are there."""
    run = live.call(
        "transfer", 1001, 5, "AUD", "--key", "k", "--yes", "--new-journal", *words, **more
    )
    assert 0 == run.status, run.err
    files = {path for path in live.folder.rglob("*.db") if path != default_journal(live)}
    return run, {str(path.relative_to(live.folder)) for path in files}


@pytest.mark.parametrize("name", ODD)
def test_a_path_means_itself(live, served, name):
    """SQLAlchemy would read % and ? in a URL; the file is the one that was named, for one alone."""
    file = live.folder / f"{name}.db"
    run, journals = pay(live, "--journal", file)
    assert ({file.name}, 0o600) == (journals, file.stat().st_mode & 0o777)
    assert f"journal  {file} (new)" in run.err
    assert 0 == live.call("journal", "show", "k", "--journal", file).status


@pytest.mark.parametrize("name", ODD)
def test_the_folder_of_journals_means_itself(live, name):
    """XDG_STATE_HOME may have any name."""
    state = live.folder / name
    (only,) = pay(live, XDG_STATE_HOME=str(state))[1]
    assert live.folder / only in (state / "clicksend-reseller").iterdir()
    assert 0o600 == (live.folder / only).stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("~/x.db", "x.db"),
        ("sqlite+aiosqlite:///~/x.db", "x.db"),
        ("sqlite+aiosqlite:///x.db?timeout=5", "x.db"),
        ("sqlite+aiosqlite:///in-memory.db", "in-memory.db"),
        (ESCAPED, make_url(ESCAPED).database),  # SQLAlchemy 2.1 reads a blank, 2.0 does not
    ],
)
def test_a_url_names_the_file_that_is_made(live, given, name):
    """With ~ for the home; as the database library reads it."""
    run, journals = pay(live, "--journal", given)
    assert ({name}, 0o600) == (journals, (live.folder / name).stat().st_mode & 0o777)
    assert f"journal  {live.folder}/{name} (new)" in run.err


@pytest.mark.parametrize(
    "given", ["sqlite+aiosqlite:///file:/tmp/x.db?uri=true", "file:x.db", "sqlite:///x.db?uri=1"]
)
def test_a_uri_of_sqlite_s_own_is_refused(live, served, given):
    """Its file could be neither shown nor protected."""
    for run in (
        live.call("transfer", 1001, 5, "AUD", "--yes", "--journal", given),
        live.call("transfer", 1001, 5, "AUD", "--yes", CLICKSEND_JOURNAL=given),
    ):
        assert (2, []) == (run.status, served.ledger)
        assert "leave out file: and uri" in run.err


def test_a_relative_home_is_not_another_journal_in_each_folder(monkeypatch, tmp_path):
    """The home of the user's entry counts, since two journals would pay a key twice."""
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    entry = pwd.struct_passwd(("me", "x", 1, 1, "", "/home/me", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    assert Path("/home/me/.local/state/clicksend-reseller") == journal_folder()

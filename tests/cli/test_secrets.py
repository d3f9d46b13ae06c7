"""Where does a password or key show? Nowhere."""

import time
from pathlib import Path

import pytest

from support.command_line import Home, new_account

KEY = "live-key-0123456789abcdef"
PASSWORD = "correct-horse-battery"

FIELDS = new_account()


def everything(folder):
    """All bytes that were left behind."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("noise", [(), ("-v", "-v"), ("-q",)])
def test_no_output_and_no_file_has_the_key(live, noise):
    """Refused credentials, a doctor, a transfer: with every option of talking."""
    for words in (("doctor",), ("balance",), ("transfer", 1001, 5, "AUD", "--yes")):
        run = live.call(*words, *noise, CLICKSEND_API_KEY=KEY)
        assert run.status in {0, 1, 4}
        assert KEY not in run.out + run.err
    assert KEY.encode() not in everything(live.folder)


def test_no_output_and_no_file_has_the_password(live, served):
    """Created, refused as a duplicate, and with a lost answer; the results file neither."""
    for fault in (None, None, "lost"):
        if fault:
            served.fail(fault, operation="create_account")
        run = live.call(
            "accounts", "create", *FIELDS, "--password-stdin", "-v", "-v", given=f"{PASSWORD}\n"
        )
        assert PASSWORD not in run.out + run.err
    assert PASSWORD.encode() not in everything(live.folder)


def test_an_answer_s_own_keys_are_in_no_column(live):
    """Each account comes with its client's credentials: they are not shown."""
    run = live.call("accounts", "export", "-o", "jsonl")
    assert "api_key" not in run.out
    assert '"subaccount"' not in run.out


def test_the_list_of_processes_shows_no_secret(live, served):
    """There is no option for one: it comes from the environment or stdin."""
    served.fail("slow", operation="get_own_account", seconds=3)
    process = live.start("balance", CLICKSEND_API_KEY=KEY)
    try:
        time.sleep(0.2)  # its arguments are those of its start
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.kill()
        process.communicate()
    assert KEY.encode() not in shown
    for words in (["--api-key", KEY], ["--password", PASSWORD]):
        assert 2 == live.call("balance", *words).status


def test_a_journal_with_a_password_does_not_stand_in_a_command(tmp_path):
    """`ps` would show it; the variable is named, and the password is not repeated."""
    url = f"postgresql+asyncpg://me:{PASSWORD}@127.0.0.1:1/db"
    home = Home(tmp_path)
    run = home.call("journal", "list", "--journal", url)
    assert 2 == run.status
    assert "CLICKSEND_JOURNAL" in run.err
    assert PASSWORD not in run.err
    run = home.call("journal", "list", "-v", "-v", CLICKSEND_JOURNAL=url)
    assert 1 == run.status
    assert PASSWORD not in run.err
    assert PASSWORD not in home.call("doctor", CLICKSEND_JOURNAL=url).out


@pytest.mark.parametrize(
    "text",
    [
        f"new,{PASSWORD},a@b.test,+61400000000,A,B,C,AU\n",
        f"username;password;user_email\nnew;{PASSWORD};a@b.test\n",
        f"new;{PASSWORD};a@b.test;+61400000000;A;B;C;AU\n",
        f"username,password,{PASSWORD}\n",
    ],
)
def test_a_file_without_a_header_shows_no_password(live, served, text):
    """Its first line is a client's: what is missing is named, and nothing of the text."""
    file = live.folder / "new.csv"
    file.write_text(text)
    run = live.call("accounts", "create", "--from", file)
    assert (2, []) == (run.status, served.requests)
    assert PASSWORD not in run.out + run.err
    assert "the header lacks " in run.err
    assert "user_phone" in run.err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://me:se/cret99@127.0.0.1:1/db",
        "postgresql+asyncpg://127.0.0.1:1/db?user=me&password=secret99",
        "postgresql+asyncpg://me:se@cret99@127.0.0.1:1/db",
        "postgresql+asyncpg://me:se@cr:et99@127.0.0.1:1/db",
        "postgresql+asyncpg://me:se@cr/et99@127.0.0.1:1/db",
        "postgresql+asyncpg://me:se?cret99@127.0.0.1:1/db",
        "postgresql+asyncpg//me:secret99@127.0.0.1",
    ],
)
def test_no_spelling_of_a_url_shows_its_password(live, served, url):
    """With any sign in it, as a part of the query, or where the URL makes no sense."""
    shown = [
        live.call(*words, *noise, CLICKSEND_JOURNAL=url)
        for words in (("doctor",), ("journal", "show", "x"), ("transfer", 1, 5, "AUD", "--yes"))
        for noise in ((), ("-v", "-v"))
    ]
    given = live.call("journal", "list", "--journal", url)
    assert 2 == given.status
    assert "CLICKSEND_JOURNAL" in given.err
    shown.append(given)
    for run in shown:
        assert "et99" not in run.out + run.err
        assert "Traceback" not in run.err
    assert [] == served.ledger


def test_live_credentials_never_go_to_a_sandbox(tmp_path, served):
    """--sandbox=URL brings its own, also where the environment names the live API."""
    live = {"CLICKSEND_USERNAME": "somebody", "CLICKSEND_API_KEY": KEY}
    for base_url in ({}, {"CLICKSEND_BASE_URL": "https://rest.clicksend.com/v3"}):
        run = Home(tmp_path).call("balance", f"--sandbox={served.url}", **live, **base_url)
        assert (0, "sandbox") == (run.status, run.out.splitlines()[1].split("\t")[0])

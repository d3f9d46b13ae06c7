"""What is typed: bytes that are no text, numbers in disguise, and accents in two spellings."""

import os
import socket
import subprocess
import sys
import time
import unicodedata

import pytest

from clicksend_reseller.cli.session.sandbox_check import Identity, identity_of
from support.command_line import COMMAND, new_account


@pytest.mark.parametrize("command", ["create", "update"])
def test_a_password_that_nobody_could_type_again_is_2(live, served, command):
    """Through a real pipe: Latin-1 in a UTF-8 terminal."""
    words = ["create", *new_account()] if command == "create" else ["update", "1001"]
    done = subprocess.run(
        [*COMMAND, "accounts", *words, "--password-stdin"],
        input=b"p\344ssw\366rd\n",
        capture_output=True,
        check=False,
        cwd=live.folder,
        env=live.env,
    )
    assert 2 == done.returncode
    assert b"the password holds bytes that are not UTF-8" in done.stderr
    assert not any(word in done.stderr for word in (b"\344", b"\366", b"udce4", b"xe4"))
    assert not {"POST", "PUT"} & {request["method"] for request in served.requests}


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["accounts", "update", "1001", "--password-stdin"], "--user-first-name"),
        (["journal", "resolve", "k", "--applied", "--note", "x"], "--by"),
        (["journal", "resolve", "k", "--applied"], "--note"),
        (["journal", "renew", "k"], "--note"),
    ],
)
def test_an_option_that_is_no_text_is_2(live, served, words, option):
    """Named, and nothing is sent or recorded."""
    assert 0 == live.call("transfer", 1001, 1, "AUD", "--key", "k", "--yes").status
    done = subprocess.run(
        [*(os.fsencode(word) for word in [*COMMAND, *words, option]), b"J\366rg"],
        input=b"secret-4711\n",
        capture_output=True,
        check=False,
        cwd=live.folder,
        env=live.env,
    )
    assert 2 == done.returncode
    assert f"{option} holds bytes that are not UTF-8".encode() in done.stderr
    assert ["PUT"] == [each["method"] for each in served.requests if each["method"] != "GET"]


@pytest.mark.parametrize("typed", ["1_0", "１２", "1e5000000", "NaN", "Infinity", "+5", " 5", "5."])
@pytest.mark.parametrize(
    "words",
    [
        ("accounts", "list", "--low"),
        ("top-up", "--to", "50", "--batch", "b", "--below"),
        ("top-up", "--below", "-5", "--batch", "b", "--to"),
        ("journal", "reconcile", "k", "--before"),
        ("journal", "reconcile", "k", "--max-spend"),
    ],
)
def test_an_amount_is_written_as_amounts_are(live, served, words, typed):
    """Refused as a transfer's amount is, before anything is read."""
    run = live.call(*words, typed)
    assert (2, []) == (run.status, served.requests)
    assert "an amount such as 12.50" in run.err


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_an_accent_is_found_in_either_spelling(live, served, form, stored):
    """macOS types the one, Windows the other."""
    served.add_account(username=unicodedata.normalize(stored, "José.Ángel"))
    run = live.call("accounts", "find", unicodedata.normalize(form, "josé.á"), "-o", "jsonl")
    assert 1 == len(run.out.splitlines())


def test_a_name_with_a_line_break_is_created_once(live, served):
    """The file of results can be read back by the next run."""
    fields = "username,password,user_email,user_phone,user_first_name,user_last_name"
    rest = "secret-4711,a@b.test,+61400000000,A,B,C,AU"
    names = ["two\nlines", "a\\nb", "back\\slash", "carriage\rreturn"]
    file = live.folder / "new.csv"
    rows = [f'"{name}",{rest}' for name in names]
    text = "\n".join([f"{fields},account_name,country", *rows, ""])
    file.write_bytes(text.encode())
    words = ("accounts", "create", "--from", file, "--results", "results.csv")
    first, second = live.call(*words), live.call(*words)
    assert (0, 0) == (first.status, second.status), (first.err, second.err)
    assert "4 had been created already" in second.err
    assert 4 == len([each for each in served.requests if each["method"] == "POST"])


# --- what this machine refuses


def test_completion_in_a_home_that_cannot_be_written_is_a_word(live):
    """No traceback."""
    run = live.run("--install-completion", "--shell", "bash", HOME="/proc/nowhere")
    assert 1 == run.status, run.err
    assert "Traceback" not in run.err
    assert "the system refused it: " in run.err


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", ">&- 2>&-"])
def test_a_sandbox_without_a_stdout_serves(closed):
    """As a service starts it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    script = f'exec "{sys.executable}" -m clicksend_reseller.sandbox --port {port} {closed}'
    child = subprocess.Popen(["/bin/sh", "-c", script], stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}/v3"
    for _ in range(300):
        if identity_of(url, "sandbox", "sandbox") is Identity.SANDBOX or child.poll() is not None:
            break
        time.sleep(0.1)
    child.terminate()
    _, said = child.communicate(timeout=10)
    assert (0, "") == (child.returncode, said)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_journal_on_a_read_only_volume_is_listed(live, served):
    """With what stands in its write-ahead log; deciding there is refused in words."""
    folder = live.folder / "volume"
    journal = folder / "pay.db"
    pay = ("transfer", 1001, 5, "AUD", "--key", "k", "--yes", "--new-journal")
    assert 0 == live.call(*pay, "--journal", journal).status
    look = f'{COMMAND[0]} -m clicksend_reseller.cli journal list -o jsonl --journal "{journal}"'
    decide = f'{COMMAND[0]} -m clicksend_reseller.cli journal renew k --journal "{journal}"'
    mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}"'
    script = f"{mount} || exit 77; {look}; echo $?; {decide}; echo $?"
    done = subprocess.run(
        ["/usr/bin/unshare", "-m", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=live.env,
        cwd=live.folder,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine forbids mounts")
    row, status, *decided = done.stdout.splitlines()
    assert '"key": "k"' in row
    assert ("0", ["1"]) == (status, decided), done.stderr
    assert "Traceback" not in done.stderr

"""How accounts are created and changed, one at a time and from a file."""

import csv
import itertools
import json
import os
import subprocess

import pytest

from clicksend_reseller import AsyncResellerClient
from clicksend_reseller._secret import MASK
from clicksend_reseller.cli.exit_status import Status
from support.command_line import COMMAND, new_account

HEADER = (
    "username,password,user_email,user_phone,user_first_name,user_last_name,account_name,country"
)
FIELDS = new_account()
CREATE = ("accounts", "create", *FIELDS, "--password-stdin", "-o", "json")


def test_an_account_is_created(live, served):
    """Its password comes on stdin."""
    run = live.call(*CREATE, given="pass word\n")
    assert (0, 1013) == (run.status, json.loads(run.out)["user_id"])


def test_a_taken_name_is_1_and_a_lost_answer_6(live, served):
    """The one is refused, the other may exist."""
    assert 0 == live.call(*CREATE, given="pw\n").status
    assert 1 == live.call(*CREATE, given="pw\n").status
    served.fail("lost", operation="create_account")
    assert (
        6
        == live.call(*CREATE[:2], "--username", "b", *FIELDS[2:], *CREATE[-3:], given="pw\n").status
    )


PASSWORDS = ["  pass word  ", "\tpass\t", "passwörd "]


@pytest.fixture
def sent(monkeypatch):
    """Give the passwords that are sent."""
    passwords = []
    create = AsyncResellerClient.create_account

    async def note(self, fields):
        passwords.append(fields.password.get_secret_value())
        return await create(self, fields)

    monkeypatch.setattr(AsyncResellerClient, "create_account", note)
    return passwords


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_password_on_stdin_is_the_whole_line(live, served, sent, password, end):
    """Its blanks belong to it, or the client cannot log in; the end of the line does not."""
    assert (0, [password]) == (live.call(*CREATE, given=password + end).status, sent)


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_in_a_file_keeps_its_blanks(create, sent, password):
    """All other fields are without them."""
    run, words = create(" a ", password=password)
    assert (0, ("a", "created", "1013"), [password]) == (run.status, words[-1], sent)


@pytest.mark.parametrize("given", ["", "\n", "   \n"])
def test_a_blank_password_is_refused(live, served, given):
    """Nothing is sent."""
    assert (3, []) == (live.call(*CREATE, given=given).status, served.requests)


def test_missing_fields_are_named(live):
    """As the options that bring them."""
    run = live.call("accounts", "create", "--username", "x", "--password-stdin", given="pw\n")
    assert 2 == run.status
    assert "--user-email --user-phone" in run.err


def test_an_update_changes_one_field_and_says_that_it_sets_the_password(live, served):
    """The others stay as they were read."""
    run = live.call(
        *("accounts", "update", 1001, "--account-name", "New", "--password-stdin", "-o", "json"),
        given="pw\n",
    )
    row = json.loads(run.out)
    assert (0, "New", "plain") == (run.status, row["account_name"], row["username"])
    assert "sets the client's password again" in run.err


# --- from a file


@pytest.fixture
def create(live):
    """Create from a file with these user names; give the run and the words of the results."""

    def creating(*names, password="pw", more=()):
        file, results = live.folder / "new.csv", live.folder / "results.csv"
        rows = [f"{name},{password},e@x.test,+61400,F,L,N,AU" for name in names]
        file.write_text("\n".join([HEADER, *rows]) + "\n")
        run = live.call("accounts", "create", "--from", file, "--results", results, *more)
        with results.open() as stream:
            words = [
                (row["username"], row["result"], row["user_id"]) for row in csv.DictReader(stream)
            ]
        return run, words

    return creating


def test_each_row_is_written_down_before_and_after(create):
    """`trying`, then what became of it."""
    run, words = create("a", "plain")
    assert Status.PARTLY == run.status
    assert [
        ("a", "trying", ""),
        ("a", "created", "1013"),
        ("plain", "trying", ""),
        ("plain", "exists", ""),
    ] == words
    assert "1 created, 1 exists" in run.err


def test_rows_that_cannot_be_written_are_created_and_the_end_says_so(live, served):
    """/dev/full: the accounts are there, the rows are lost, and stderr says why it is status 1."""
    file = live.folder / "new.csv"
    file.write_text(f"{HEADER}\na,pw,e@x.test,+61400,F,L,N,AU\n")
    run = live.run_onto_full_disk("accounts", "create", "--from", file)
    assert (1, 1) == (run.status, len(posts(served)))
    assert "could not be written" in run.err


def test_each_line_is_on_the_disk_before_the_next_step(create, live, served, monkeypatch):
    """A power cut after the request must find its `trying` written down."""
    synced, fsync = [], os.fsync

    def note(descriptor):
        fsync(descriptor)
        synced.append((os.fstat(descriptor).st_size, len(posts(served))))

    monkeypatch.setattr(os, "fsync", note)
    assert 0 == create("a")[0].status
    lines = (live.folder / "results.csv").read_bytes().splitlines(keepends=True)
    ends = list(itertools.accumulate(map(len, lines)))
    assert [(ends[0], 0), (ends[1], 0), (ends[2], 1)] == synced


def posts(served):
    """Give the requests that create."""
    return [each for each in served.requests if each["method"] == "POST"]


def test_a_rerun_skips_what_was_created(create, served):
    """Only new rows are tried."""
    assert 0 == create("a")[0].status
    run, words = create("a", "b")
    assert (0, [("b", "trying", ""), ("b", "created", "1014")]) == (run.status, words[2:])
    assert "1 had been created already" in run.err


def test_a_rerun_looks_up_what_is_unknown(create, served):
    """It was created though its answer was lost: found by its name, and not tried again."""
    served.fail("lost", operation="create_account")
    run, words = create("a", "b")
    assert (6, ("a", "unknown", "")) == (run.status, words[1])
    run, words = create("a", "b")
    assert (0, [("a", "created", "1013")]) == (run.status, words[4:])


def test_a_row_that_a_crash_cut_off_is_looked_up(create, live, served):
    """A last line without its end is one of a row that was being tried."""
    assert 0 == create("a")[0].status
    results = live.folder / "results.csv"
    results.write_text(results.read_text()[: -len("13,,http://...") - 20])
    run, words = create("a")
    assert (0, ("a", "created", "1013")) == (run.status, words[-1])


def test_faults_are_all_named_and_show_no_password(create, live, served):
    """Blank fields, a blank password, a name twice, commas and quotes that nobody escaped."""
    file = live.folder / "bad.csv"
    good = "e@x.test,+61400,F,L,N,AU"
    file.write_text(
        f"{HEADER}\na,hunter2-secret,{good}\nA,hunter2-secret,{good}\nb,,{good}\n,x,{good}\n"
        f"c,hunter2,secret,{good}\nd,hunter2-secret\ne,{MASK},{good}\n"
        f'f,"hunter2"-secret,{good}\n'
    )
    run = live.call("accounts", "create", "--from", file)
    assert (2, []) == (run.status, served.requests)
    for words in (
        "line 3: the user name is in line 2 too",
        "line 4: password must not be blank",
        "line 5: username must not be blank",
        "line 6: a row has 8 fields",
        "line 9: no CSV",
    ):
        assert words in run.err
    assert "hunter2" not in run.err


def test_results_of_another_api_are_refused(create, live, served):
    """What was created in one place has not been created in another."""
    assert 0 == create("a")[0].status
    other = live.url.replace("127.0.0.1", "localhost")
    run = live.call(
        *("accounts", "create", "--from", "new.csv", "--results", "results.csv"),
        CLICKSEND_BASE_URL=other,
    )
    assert 2 == run.status
    assert "is about" in run.err


def test_results_are_kept_in_a_plain_file(create, live, served):
    """What a device takes is gone, and reading one may never end."""
    create("ada")
    before = len(served.requests)
    words = ("accounts", "create", "--from", "new.csv", "--results", "/dev/null")
    run = live.call(*words)
    assert (2, "no plain file" in run.err) == (run.status, True)
    assert before == len(served.requests)


def test_a_rehearsal_writes_no_results(live):
    """They would keep the real run from creating anything."""
    (live.folder / "new.csv").write_text(f"{HEADER}\na,pw,e@x.test,+61400,F,L,N,AU\n")
    words = ("accounts", "create", "--from", "new.csv", "--results", "results.csv", "--sandbox")
    assert 0 == live.call(*words).status
    assert not (live.folder / "results.csv").exists()


def test_refused_credentials_end_it(create, served):
    """4, and the rows after the first are not tried."""
    served.fail("error", operation="create_account", status=401, times=None)
    run, words = create("a", "b", "c")
    assert (4, 2) == (run.status, len(words))
    assert "2 not tried" in run.err


SMALL_DISK = """
import resource, signal, sys
from clicksend_reseller.cli.app import run

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize("size", [20, 60, 80, 130, 190, 260])
def test_a_full_disk_for_the_results_hides_no_unknown_row(live, served, size):
    """Wherever the file ends: 6 if a row is unknown, and never a traceback."""
    file, results = live.folder / "new.csv", live.folder / "results.csv"
    rows = [f"{name},pw,e@x.test,+61400,F,L,N,AU" for name in ("a", "b", "c")]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    served.fail("lost", operation="create_account")
    words = ("accounts", "create", "--from", str(file), "--results", str(results))
    done = subprocess.run(
        [COMMAND[0], "-B", "-c", SMALL_DISK, str(size), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=live.folder,
        env=live.env,
    )
    tried = [each for each in served.requests if each["method"] == "POST"]
    usage = 2 if size < 35 else 5
    assert (6 if tried else usage) == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    if tried:
        assert "may have been created" in done.stderr


@pytest.mark.parametrize("more", ["\n", "\n\n", "\nb,trying"])
def test_results_that_a_crash_cut_anywhere_are_read(create, live, more):
    """A blank line is none, and a last line without its end is of a row that was being tried."""
    assert 0 == create("a")[0].status
    results = live.folder / "results.csv"
    whole = results.read_text()
    tried = whole.index("\na,created") + 1
    for end in range(tried, len(whole), 3):
        results.write_text(whole[:end])
        run, words = create("a")
        assert (0, ("a", "created", "1013")) == (run.status, words[-1]), whole[:end]
    results.write_text(whole + more)
    assert 0 == create("a")[0].status


def test_a_last_line_without_its_end_is_not_believed(create, live, served):
    """What it says may not be all of it: the row is looked up."""
    assert 0 == create("a")[0].status
    results = live.folder / "results.csv"
    results.write_text(results.read_text().removesuffix("\n"))
    before = len(served.requests)
    run, words = create("a")
    assert (0, ("a", "created", "1013")) == (run.status, words[-1])
    assert ["list_accounts"] == [each["operation"] for each in served.requests[before:]]

"""The frame: the tree of commands, its statuses, its start, and what it says without its extra."""

import json
import os
import re
import resource
import subprocess
import sys

import pytest

from clicksend_reseller import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    JournalError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.cli.app import arranged, make_app, run
from clicksend_reseller.cli.exit_status import MEANINGS, Status, status_of, worst
from support.command_line import COMMAND, Home

COMMANDS = {
    "": ["accounts", "balance", "doctor", "journal", "sandbox", "top-up", "transfer"],
    "accounts": ["create", "export", "find", "get", "list", "update"],
    "journal": ["export", "hold", "list", "reconcile", "renew", "resolve", "show"],
}


@pytest.mark.parametrize("group", COMMANDS)
def test_the_tree_has_every_command(group):
    """No more and no less than the reference says."""
    app = make_app()
    names = list(app[group] if group else app)
    assert COMMANDS[group] == sorted(name for name in names if not name.startswith("-"))


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        *([group, "--help"] for group in COMMANDS if group),
        *(
            [*filter(None, [group]), name, "--help"]
            for group in COMMANDS
            for name in COMMANDS[group]
            if name != "sandbox"  # it has a door of its own
        ),
    ],
    ids=" ".join,
)
def test_help_is_there(tmp_path, words):
    """For each command, on stdout, with status 0."""
    run = Home(tmp_path).call(*words)
    assert (0, "") == (run.status, run.err)
    assert "Usage: clicksend-reseller" in run.out


@pytest.mark.parametrize(
    "words",
    [["--help"], ["transfer", "--help"], ["top-up", "--help"], ["journal", "reconcile", "--help"]],
    ids=" ".join,
)
def test_help_costs_little(tmp_path, words):
    """No HTTP library and no database is loaded to say what there is."""
    script = (
        f"import sys; from clicksend_reseller.cli.app import run; run({words});"
        "print([name for name in ('httpx', 'sqlalchemy', 'starlette') if name in sys.modules])"
    )
    env = Home(tmp_path).env
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "[]" == done.stdout.splitlines()[-1]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert cpu < 1.2  # 0.25 where nothing else runs; the promise is 0.4


def test_the_version_is_the_package_s(tmp_path):
    """One line."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", Home(tmp_path).call("--version").out)


@pytest.mark.parametrize("words", [["frobnicate"], ["accounts", "lst"], ["transfer", "--nope"]])
def test_what_is_no_command_is_2(tmp_path, words):
    """With a way on, on stderr."""
    run = Home(tmp_path).call(*words)
    assert (2, "") == (run.status, run.out)
    assert "--help" in run.err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["balance", "--sandbox"], ["balance", "--sandbox="]),
        (["--sandbox", "balance"], ["--sandbox=", "balance"]),
        (["find", "--sandbox", "--", "--sandbox"], ["find", "--sandbox=", "--", "--sandbox"]),
        ([], []),
    ],
)
def test_a_bare_sandbox_has_a_value(given, expected):
    """It is empty, and what follows a double dash is text."""
    assert expected == arranged(given)


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "json", "--sandbox", "accounts", "find", "plain"],
        ["accounts", "find", "plain", "-o", "json", "--sandbox"],
        ["accounts", "--sandbox", "find", "-o=json", "plain"],
        ["--output=json", "--sandbox", "accounts", "find", "--", "plain"],
    ],
)
def test_options_of_every_command_may_stand_anywhere(tmp_path, words):
    """In front of the command, behind it, and in front of a double dash."""
    run = Home(tmp_path).call(*words)
    assert (0, [1001]) == (run.status, [row["user_id"] for row in json.loads(run.out)])


def test_what_follows_a_double_dash_is_no_option(tmp_path):
    """A text may look like one."""
    run = Home(tmp_path).call("accounts", "find", "--sandbox", "--", "-q")
    assert (0, True) == (run.status, "No client has '-q'" in run.err)


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"]])
def test_the_table_of_statuses_is_in_the_help_of_root_and_doctor(tmp_path, words):
    """A line for each status."""
    said = Home(tmp_path).call(*words).out.splitlines()
    assert [f"{status.value:>5}  {MEANINGS[status]}" for status in Status] == [
        line for line in said if re.match(r" +\d+  ", line)
    ]


@pytest.mark.parametrize("words", [["transfer"], ["accounts"], ["journal", "list"], ["top-up"]])
def test_no_other_help_repeats_the_statuses(tmp_path, words):
    """One look at the root's help is enough."""
    assert "Ctrl-C, nothing unknown" not in Home(tmp_path).call(*words, "--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("transfer", "abc", "5", "AUD"), "CLIENT_USER_ID must be a whole number, not 'abc'"),
        (("transfer", "1", "5.5", "AUD"), "AMOUNT must be a whole number, not '5.5'"),
        (("accounts", "list", "--limit", "x"), "--limit must be a whole number, not 'x'"),
        (("accounts", "list", "--low", "x"), "--low must be an amount such as 12.50, not 'x'"),
        (("-q", "--limit-per-minute", "x", "balance"), "--limit-per-minute must be a whole"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_argument(tmp_path, words, said):
    """On stderr, with status 2."""
    run = Home(tmp_path).call(*words)
    assert (2, True) == (run.status, said in run.err)


# --- statuses

UNKNOWN = TransferOutcomeUnknownError("lost", client_user_id=1, amount=1, currency="AUD")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UNKNOWN, 6),
        (OutcomeUnknownError("lost"), 6),
        (AuthenticationError("no", status_code=401), 4),
        (PermissionDeniedError("no", status_code=403), 4),
        (NotFoundError("no", status_code=404, operation="list_accounts"), 4),
        (NotFoundError("no", status_code=404, operation="get_own_account"), 4),
        (NotFoundError("no", status_code=404, operation="get_account"), 1),
        (NotFoundError("no", status_code=404, operation="transfer_credit"), 1),
        (RateLimitError("no", status_code=429), 1),
        (JournalError("no"), 1),
        (ConfigurationError("no"), 2),
        (APIConnectionError("lost", outcome=Outcome.UNKNOWN, operation="get_account"), 1),
    ],
)
def test_an_error_has_a_status(error, status):
    """A read whose answer is lost has merely failed."""
    assert status == status_of(error)


def test_unknown_wins_over_all_others():
    """Then Ctrl-C, credentials, and the rest."""
    assert Status.UNKNOWN is worst(Status)
    assert [6, 130, 4, 5, 1, 2, 3, 0] == [
        worst([s for s in Status if s not in left])
        for left in (
            [],
            [6],
            [6, 130],
            [6, 130, 4],
            [6, 130, 4, 5],
            [6, 130, 4, 5, 1],
            [6, 130, 4, 5, 1, 2],
            [6, 130, 4, 5, 1, 2, 3],
        )
    ]
    assert Status.DONE is worst([])


def test_the_table_of_statuses_is_whole():
    """Each has its line, which help and the reference print."""
    assert set(Status) == set(MEANINGS)


# --- its start


@pytest.mark.parametrize("missing", ["cyclopts", "rich", "sqlalchemy", "aiosqlite"])
def test_without_its_extra_it_names_the_pip_line(tmp_path, missing):
    """One line, status 1."""
    script = (
        "import importlib.util as u; find = u.find_spec;"
        f"u.find_spec = lambda name, *a: None if name == {missing!r} else find(name, *a);"
        "from clicksend_reseller.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=Home(tmp_path).env,
    )
    line = f'the command line needs {missing}: pip install "clicksend-reseller[cli]"\n'
    assert (1, "", line) == (done.returncode, done.stdout, done.stderr)


def test_the_sandbox_is_served_by_its_own_door(tmp_path):
    """`sandbox --help` has its options, and a wrong one is 2."""
    for words, status in ((["--help"], 0), (["--nope"], 2)):
        run = Home(tmp_path).run("sandbox", *words)
        assert status == run.status
        assert "--accounts" in run.out + run.err


@pytest.mark.skipif(os.name != "posix", reason="bash")
def test_completion_is_installed_for_a_shell(tmp_path):
    """It knows the commands."""
    done = subprocess.run(
        [*COMMAND, "--install-completion", "--shell", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env={**Home(tmp_path).env, "SHELL": "/bin/bash"},
    )
    assert 0 == done.returncode, done.stderr
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "top-up" in written


def test_the_sandbox_s_help_names_the_command_that_was_typed(capsys):
    """What its usage line says can be copied."""
    with pytest.raises(SystemExit):
        run(["sandbox", "--help"])
    assert capsys.readouterr().out.startswith("usage: clicksend-reseller sandbox ")

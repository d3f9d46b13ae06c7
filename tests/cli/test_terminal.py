"""What does a person at a terminal meet? Through a real pseudo-terminal."""

import json
import re
import signal
import subprocess
import time

import pexpect
import pyte
import pytest

from support.command_line import COMMAND
from support.programs import program
from support.terminal import Terminal

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def terminal(live, forks):
    """Start commands at a terminal, and end what is left of them."""
    opened = []

    def start(*words, columns=80, typed="", **more):
        env = {**live.env, "TERM": "xterm-256color", "COLUMNS": str(columns), **more}
        child = Terminal(
            forks,
            words,
            typed=typed,
            env=env,
            cwd=str(live.folder),
            dimensions=(24, columns),
            encoding="utf-8",
            timeout=20,
        )
        opened.append(child)
        return child

    yield start
    for child in opened:
        child.close(force=True)


def ended(child):
    """Wait for the end; give the status and all that was said since the last match."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, ESCAPE.sub("", child.before)


TRANSFER = ("transfer", 1001, 12, "AUD", "--key", "invoice-7")


@pytest.mark.parametrize("answer", ["y\r", "yes\r", "Y\r"])
def test_yes_sends_it_once(terminal, served, answer):
    """The question shows host, client, name, balance, amount and key."""
    child = terminal(*TRANSFER)
    child.expect(r"Send it\? \[y/N\] ")
    shown = ESCAPE.sub("", child.before)
    for value in ("127.0.0.1", "1001, plain", "50.000000 AUD", "12 AUD", "invoice-7"):
        assert value in shown
    child.send(answer)
    status, said = ended(child)
    assert (0, [(1001, "12.000000")]) == (status, served.paid)
    assert "62.000000" in said


@pytest.mark.parametrize("answer", ["n\r", "\r", "\x04", "nonsense\r"])
def test_anything_else_declines(terminal, served, answer):
    """No, Enter, Ctrl-D: 3, and nothing was sent."""
    child = terminal(*TRANSFER)
    child.expect(r"Send it\? \[y/N\] ")
    child.send(answer)
    status, said = ended(child)
    assert (3, []) == (status, served.paid)
    assert "declined: nothing was sent" in said


def test_ctrl_c_at_the_question_is_130_at_once(terminal, served):
    """Nothing is under way, so nothing is waited for."""
    child = terminal(*TRANSFER)
    child.expect(r"Send it\? \[y/N\] ")
    child.sendintr()
    child.timeout = 15  # to end a process takes a busy machine seconds; an answer would take 20
    status, said = ended(child)
    assert (130, []) == (status, served.paid)
    assert "nothing was sent" in said


def test_the_rate_is_unknown_where_currencies_differ(terminal, served):
    """What arrives cannot be said before."""
    child = terminal("transfer", 1002, 12, "AUD")
    child.expect(r"Send it\? \[y/N\] ")
    assert "the exchange rate is not known" in ESCAPE.sub("", child.before)
    child.send("n\r")
    assert 3 == ended(child)[0]


def test_a_minted_key_is_said_before_anything_is_sent(terminal, served):
    """With it the same command pays, once.

    The command stops between the key and the transfer: at the last look at the balance.
    """
    served.fail("hang", operation="get_account", after=1)
    child = terminal("transfer", 1001, 3, "AUD", "--yes")
    child.expect(r"key (cli-[0-9a-f]+); if this is interrupted, run again with --key")
    key = child.match[1]
    assert "transfer_credit" not in {each["operation"] for each in served.requests}
    child.kill(signal.SIGKILL)
    child.close()
    served.clear_faults()  # it may not have come so far
    again = terminal("transfer", 1001, 3, "AUD", "--yes", "--key", key)
    assert 0 == ended(again)[0]
    assert [(1001, "3.000000")] == served.paid


def test_nobody_is_asked_where_the_question_is_not_seen(terminal, live, served):
    """stderr goes to a file: who types y has read nothing of it."""
    command = " ".join(map(str, (*COMMAND, *TRANSFER)))
    child = pexpect.spawn(
        *(program("bash"), ["-c", f"{command} 2>{live.folder}/said"]),
        env={**live.env, "TERM": "xterm-256color"},
        cwd=str(live.folder),
        encoding="utf-8",
        timeout=20,
    )
    child.send("y\r")
    assert 3 == ended(child)[0]
    assert [] == served.paid
    said = (live.folder / "said").read_text()
    assert "there is no terminal to ask on" in said
    assert "Send it?" not in said


def test_the_balance_on_record_is_the_one_right_before_sending(terminal, live, served):
    """Another transfer came while the person read: it must not pass for this one's arrival."""
    child = terminal(*TRANSFER)
    child.expect(r"Send it\? \[y/N\] ")
    assert 0 == live.call("transfer", 1001, 12, "AUD", "--key", "other", "--yes").status
    served.fail("lost", operation="transfer_credit", applied=False)
    child.send("y\r")
    assert 6 == ended(child)[0]
    words = ("--exclusive", "--same-currency", "--max-spend", 0, "-o", "jsonl")
    run = live.call("journal", "reconcile", "invoice-7", *words)
    assert [(1001, "12.000000")] == served.paid
    assert ("62.000000", "inconclusive") == tuple(
        json.loads(run.out)[name] for name in ("before", "verdict")
    )


# --- a batch


def slow_batch(live, served, rows, seconds):
    """Write a file of rows whose transfers take their time."""
    ids = [served.add_account(username=f"client-{n}")["user_id"] for n in range(rows)]
    file = live.folder / "list.csv"
    lines = ["client_user_id,amount,currency", *(f"{user_id},5,AUD" for user_id in ids)]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    served.fail("slow", operation="transfer_credit", times=None, seconds=seconds)
    return file


def test_a_batch_shows_its_sums_and_asks(terminal, live, served):
    """Rows, already paid, sums, the largest, own credit."""
    file = slow_batch(live, served, 7, 0)
    child = terminal("top-up", "--from", file, "--batch", "june")
    child.expect(r"Send 35 AUD in 7 transfers\? \[y/N\] ")
    shown = " ".join(ESCAPE.sub("", child.before).split())
    for value in ("7, 0 of them already paid", "5 AUD to 1013", "1000.000000 AUD"):
        assert value in shown
    assert 5 == shown.count("5 AUD to ")
    child.send("y\r")
    status, said = ended(child)
    assert (0, 7) == (status, len(served.paid))
    assert "7 rows: 7 paid (35 AUD)" in said


def test_ctrl_c_awaits_what_is_in_flight_and_counts_it(terminal, live, served):
    """No new sends; the four under way are awaited; the next command is said."""
    file = slow_batch(live, served, 30, 2)
    words = ("top-up", "--from", file, "--batch", "june", "--yes", "--max-total", 200)
    child = terminal(*words)
    child.expect("transfers")
    wait_for_requests(served, 4)
    child.sendintr()
    child.expect(r"waiting for \d answers?, at most 20 s")
    status, said = ended(child)
    paid = len(served.paid)
    assert 130 == status
    assert 4 <= paid < 30
    assert f"30 rows: {paid} paid ({5 * paid} AUD), {30 - paid} not tried" in said
    assert "to go on: clicksend-reseller top-up --from" in said
    served.clear_faults()
    status, said = ended(terminal(*words))
    assert (0, 30, 30) == (status, len(served.paid), len({who for who, _ in served.paid}))
    assert f"{paid} already paid" in said


def test_ctrl_c_twice_stops_at_once_and_says_unknown(terminal, live, served):
    """6, not 130: those rows may have been paid, and they are named."""
    file = slow_batch(live, served, 10, 60)
    child = terminal("top-up", "--from", file, "--batch", "june", "--yes", "--max-total", 200)
    child.expect("transfers")
    wait_for_requests(served, 4)
    child.sendintr()
    child.expect("waiting for 4 answers")
    child.sendintr()
    child.timeout = 15  # to end a process takes a busy machine seconds; an answer would take 20
    status, said = ended(child)
    assert 6 == status
    assert "10 rows: 4 unknown (20 AUD), 6 not tried" in said
    assert "clicksend-reseller journal list --unresolved" in said
    run = live.run("journal", "list", "--unresolved", "-o", "csv", "--columns", "key,state")
    keys = [f'"june/{user_id}","sent"' for user_id, _ in served.paid]
    assert sorted(keys) == sorted(run.out.splitlines()[1:])


def test_a_terminal_that_is_closed_settles_what_is_in_flight(terminal, live, served):
    """Closing the window is Ctrl-C: nothing new is sent, and no row is left open."""
    file = slow_batch(live, served, 20, 1)
    child = terminal("top-up", "--from", file, "--batch", "june", "--yes", "--max-total", 200)
    child.expect("transfers")
    wait_for_requests(served, 4)
    child.kill(signal.SIGHUP)
    child.expect(pexpect.EOF)
    child.close()
    assert 130 == child.exitstatus
    run = live.run("journal", "list", "--unresolved", "-o", "json")
    assert "[]\n" == run.out
    assert len(served.paid) < 20


def wait_for_requests(served, number):
    """Wait until so many transfers have reached the sandbox."""
    for _ in range(400):
        if len([r for r in served.requests if r["path"].endswith("transfer-credit")]) >= number:
            return
        time.sleep(0.05)
    pytest.fail(f"no {number} transfers within 20 s")


# --- how it looks


@pytest.mark.parametrize("columns", [80, 40])
def test_a_table_never_cuts_a_value_off(terminal, columns):
    """Where it does not fit, the rows stand below each other."""
    status, said = ended(terminal("accounts", "list", "--low", 10, columns=columns))
    assert 0 == status
    for value in ("1005", "-3.250000", "no-subaccount", "Client 1009"):
        assert value in said
    assert "…" not in said
    assert all(len(line) <= columns for line in said.splitlines())


@pytest.mark.parametrize("columns", [80, 40])
def test_a_question_fits_the_terminal(terminal, columns):
    """At 40 columns too, nothing is lost."""
    child = terminal(*TRANSFER, columns=columns)
    child.expect(r"\[y/N\] ")
    shown = ESCAPE.sub("", child.before)
    assert "50.000000 AUD" in shown
    assert "invoice-7" in shown
    child.send("n\r")
    assert 3 == ended(child)[0]


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(terminal, more):
    """NO_COLOR and a dumb terminal get letters only."""
    child = terminal("accounts", "get", 999, **more)
    child.expect(pexpect.EOF)
    child.close()
    assert 1 == child.exitstatus
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", child.before)
    if more.get("TERM"):
        assert "\x1b" not in child.before


def test_a_name_cannot_drive_the_terminal(terminal, served):
    """Names come from other people: an escape sequence is shown, not obeyed."""
    served.add_account(username="evil\x1b]0;owned\x07\x1b[2J", account_name="[red]x[/red]")
    child = terminal("accounts", "find", "evil", columns=200)
    child.expect(pexpect.EOF)
    assert "\x1b]0" not in child.before
    assert "\x1b[2J" not in child.before
    assert "[red]x[/red]" in child.before


def test_what_was_typed_before_the_question_is_no_answer(terminal, served):
    """A pasted "y" that waited in the terminal sends nothing."""
    child = terminal(*TRANSFER, typed="y\r")
    child.expect(r"Send it\? \[y/N\] ")
    child.timeout = 1
    with pytest.raises(pexpect.TIMEOUT):
        child.expect(pexpect.EOF)
    child.timeout = 20
    child.send("\r")
    assert (3, []) == (ended(child)[0], served.paid)


def test_one_transfer_is_awaited_through_a_ctrl_c(terminal, served):
    """130, paid and said so; a second Ctrl-C leaves it unknown and says how to look."""
    served.fail("slow", operation="transfer_credit", seconds=2, times=None)
    child = terminal(*TRANSFER, "--yes")
    wait_for_requests(served, 1)
    child.sendintr()
    child.expect("waiting for 1 answer, at most 20 s")
    status, said = ended(child)
    assert (130, [(1001, "12.000000")]) == (status, served.paid)
    assert "62.000000" in said
    child = terminal("transfer", 1002, 5, "USD", "--key", "invoice-8", "--yes")
    wait_for_requests(served, 2)
    child.sendintr()
    child.expect("waiting for 1 answer")
    child.sendintr()
    status, said = ended(child)
    assert 6 == status
    assert "clicksend-reseller journal reconcile invoice-8" in said


def test_a_password_is_asked_for_twice_and_not_shown(terminal):
    """At a prompt without echo; two that differ send nothing."""
    for second, expected in (("hunter2", 0), ("other", 3)):
        child = terminal("accounts", "update", 1001, "--account-name", "New")
        child.expect("password of plain: ")
        child.send("hunter2\r")
        child.expect("the same again: ")
        child.send(f"{second}\r")
        status, said = ended(child)
        assert expected == status
        assert "hunter2" not in said


# --- nothing to show, and rows in a pipe


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("journal", "list", "--unresolved"), "Nothing to show in "),
        (("accounts", "find", "zzzz"), "No client has 'zzzz' in its name or addresses."),
        (("accounts", "list", "--low", -100), "No client is below -100."),
        (
            ("top-up", "--below", -1000, "--to", 0, "--batch", "b"),
            "No client is below -1000 and to be paid.",
        ),
    ],
)
def test_nothing_to_show_is_a_sentence(terminal, words, sentence):
    """No empty table, no traceback, and status 0."""
    status, said = ended(terminal(*words, columns=200))
    assert 0 == status
    assert sentence in said
    assert "Traceback" not in said


def test_a_bar_is_cleared_before_rows_that_a_pipe_brings_to_the_terminal(live, served):
    """`| cat` ends on the same screen: each row stands on a line of its own."""
    for n in range(150):
        served.add_account(username=f"client-{n:03}", balance="1", currency="AUD")
    served.fail("slow", operation="list_accounts", seconds=0.3, times=None)
    command = " ".join([*COMMAND, "accounts list -o jsonl --columns user_id | cat"])
    child = pexpect.spawn(
        "sh",
        ["-c", command],
        env={**live.env, "TERM": "xterm-256color"},
        dimensions=(400, 80),
        encoding="utf-8",
        timeout=30,
    )
    child.expect(pexpect.EOF)
    screen = pyte.Screen(80, 400)
    said = str(child.before)
    pyte.Stream(screen).feed(said)
    shown = [line.rstrip() for line in screen.display if line.strip()]
    assert "accounts read" in said
    assert [f'{{"user_id": {1001 + n}}}' for n in range(162)] == shown


def test_no_progress_stands_among_rows_of_one_pipe(live, served):
    """`2>&1 | …`: what reads it gets rows alone."""
    for n in range(300):
        served.add_account(username=f"client-{n:03}", balance="1", currency="AUD")
    done = subprocess.run(
        [*COMMAND, "accounts", "list", "-o", "jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=live.env,
        cwd=live.folder,
        text=True,
        check=True,
    )
    assert 312 == len([json.loads(line) for line in done.stdout.splitlines()])

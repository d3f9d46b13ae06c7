"""Lists that are paid once, through crashes, edits and two at a time. The ledger decides."""

import contextlib
import signal
import sqlite3
import subprocess
import time

import pytest

from clicksend_reseller import AsyncResellerClient, Transfer
from clicksend_reseller.cli.payments import run as payments_run
from clicksend_reseller.cli.session.limiting import PerMinute
from clicksend_reseller.journal import Batch, SQLJournal
from support.command_line import COMMAND
from support.heavy import rounds
from support.programs import program

HEADER = "client_user_id,amount,currency"
CAP = ("--yes", "--max-total", "100000")


def clients(served, number):
    """Let so many clients in; give their ids."""
    return [served.add_account(username=f"client-{n}")["user_id"] for n in range(number)]


def written(live, ids, *more, name="list.csv", amount=1):
    """Write a list that pays each client."""
    file = live.folder / name
    lines = [HEADER, *(f"{user_id},{amount},AUD" for user_id in ids), *more]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def last_line(run):
    """What is said last, on stderr."""
    return run.err.strip().splitlines()[-1]


@pytest.mark.heavy
def test_a_kill_in_the_middle_of_a_list_and_the_same_command_again(live, served):
    """Each is paid once, and the last line says how many had been paid already."""
    number = rounds(50, 200)
    ids = clients(served, number)
    words = ("top-up", "--from", written(live, ids), "--batch", "june", *CAP)
    # No answer comes after a third, so that the command cannot be done before it is killed.
    served.fail("slow", operation="transfer_credit", after=number // 3, times=None, seconds=60)
    process = live.start(*words)
    while len(served.ledger) < number * 0.3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    served.clear_faults()
    killed_at = len(served.ledger)
    assert number * 0.3 <= killed_at < number
    age(live)
    first = live.run(*words)
    doubtful = {row.split("\t")[0] for row in first.out.splitlines() if "\tunknown\t" in row}
    assert (6 if doubtful else 0) == first.status
    assert len(doubtful) <= 4
    for user_id in doubtful:
        key = f"june/{user_id}"
        age(live)
        told = "--applied" if int(user_id) in {who for who, _ in served.paid} else "--not-applied"
        assert 0 == live.call("journal", "resolve", key, told, "--note", "ledger").status
        if told == "--not-applied":
            assert 0 == live.call("journal", "renew", key).status
    last = live.run(*words)
    assert 0 == last.status
    assert sorted(ids) == sorted(who for who, _ in served.paid)
    assert "already paid" in last_line(last)
    assert last_line(last).startswith(f"{number} rows: ")


def age(home):
    """Let time pass: nobody waits for these rows any more, and a person may judge them."""
    (file,) = (home.folder / "state" / "clicksend-reseller").glob("*.db")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE clicksend_transfer SET sent_at = '2026-01-01 00:00:00'")
    database.close()


def test_an_edited_list_pays_only_the_new_rows(live, served):
    """Order, file name and line number mean nothing."""
    ids = clients(served, 5)
    assert (
        0 == live.call("top-up", "--from", written(live, ids[:3]), "--batch", "june", *CAP).status
    )
    edited = written(live, [*reversed(ids)], name="other.csv")
    run = live.call("top-up", "--from", edited, "--batch", "june", *CAP)
    assert (0, sorted(ids)) == (run.status, sorted(who for who, _ in served.paid))
    assert "5 rows: 2 paid (2 AUD), 3 already paid (3 AUD)" == last_line(run)


def test_an_edited_amount_of_a_paid_row_is_refused(live, served):
    """A key is for one transfer; the line, both amounts and the state are named."""
    ids = clients(served, 2)
    assert 0 == live.call("top-up", "--from", written(live, ids), "--batch", "june", *CAP).status
    changed = written(live, ids, amount=2)
    run = live.call("top-up", "--from", changed, "--batch", "june", *CAP)
    assert (2, 2) == (run.status, len(served.ledger))
    assert f"line 2: 'june/{ids[0]}' is on record for 1 AUD to {ids[0]} (confirmed)" in run.err


def test_another_name_for_the_same_list_is_noticed(live, served):
    """It would pay again: who confirms is told so."""
    file = written(live, clients(served, 2))
    assert 0 == live.call("top-up", "--from", file, "--batch", "june", *CAP).status
    run = live.call("top-up", "--from", file, "--batch", "jnue", "--dry-run")
    assert "2 transfers like these were sent in the last 24 hours under other keys" in run.err
    assert 2 == len(served.ledger)


@pytest.mark.heavy
def test_two_at_once_on_one_journal_pay_each_once(live, served):
    """Both end well, and together they have paid the list."""
    ids = clients(served, rounds(20, 100))
    words = ("top-up", "--from", written(live, ids), "--batch", "june", *CAP)
    both = [live.start(*words) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [0, 0] == [process.returncode for process in both], said
    assert sorted(ids) == sorted(who for who, _ in served.paid)


def test_yes_alone_is_refused_on_a_batch(live, served):
    """A cron job has a cap, or it does not run."""
    file = written(live, clients(served, 2))
    run = live.call("top-up", "--from", file, "--batch", "june", "--yes")
    assert (2, []) == (run.status, served.ledger)
    assert "--max-total" in run.err


def test_a_cap_counts_each_currency_and_what_is_due_now(live, served):
    """4 AUD are more than 3; after two rows are paid, the rest is not."""
    ids = clients(served, 4)
    words = ("top-up", "--from", written(live, ids), "--batch", "june", "--yes", "--max-total")
    run = live.call(*words, 3)
    assert (1, []) == (run.status, served.ledger)
    assert "4 AUD is more than --max-total 3" in run.err
    first = written(live, ids[:2], name="first.csv")
    assert 0 == live.call("top-up", "--from", first, "--batch", "june", *CAP).status
    assert (0, 4) == (live.call(*words, 3).status, len(served.ledger))


def test_a_cap_holds_before_anybody_is_asked(live, served):
    """Not only with --yes: who confirms may have misread a number."""
    file = written(live, [1001, 1002], amount=3)
    run = live.call("top-up", "--from", file, "--batch", "june", "--max-total", 5)
    assert (1, []) == (run.status, served.ledger)
    assert "6 AUD is more than --max-total 5" in run.err


def test_no_terminal_and_no_yes_is_refused(live, served):
    """Nobody is there to answer."""
    file = written(live, clients(served, 2))
    run = live.call("top-up", "--from", file, "--batch", "june", given="y\n")
    assert (3, []) == (run.status, served.ledger)


def test_a_dry_run_sends_and_records_nothing(live, served):
    """It shows the rows, and the next run finds a journal that knows nothing."""
    file = written(live, clients(served, 2))
    run = live.call("top-up", "--from", file, "--batch", "june", "--dry-run", "--yes")
    assert (0, [], 2) == (run.status, served.ledger, run.out.count("to_pay"))
    assert "[]\n" == live.call("journal", "list", "-o", "json").out


def test_a_rehearsal_leaves_nothing_behind(fresh, served):
    """--sandbox alone: another world, another journal, both gone; the folder of journals too."""
    file = written(fresh, [1001, 1002])
    run = fresh.call("top-up", "--from", file, "--batch", "june", *CAP, "--sandbox")
    assert (0, []) == (run.status, served.ledger)
    assert not (fresh.folder / "state").exists()


def test_a_lost_answer_is_6_above_all_others(live, served):
    """One row unknown, one refused, one paid: 6; the same again sends nothing."""
    file = written(live, [1011, 1001, 999])
    words = ("top-up", "--from", file, "--batch", "june", *CAP)
    run = live.call(*words)
    assert (6, 2) == (run.status, len(served.ledger))
    counts = "3 rows: 1 paid (1 AUD), 1 rejected (1 AUD), 1 unknown (1 AUD)"
    assert counts in run.err
    assert "journal list --unresolved" in run.err
    again = live.call(*words)
    assert (6, 2) == (again.status, len(served.ledger))
    assert "1 already paid" in again.err


def test_refused_rows_are_5_and_paid_when_that_is_asked_for(live, served):
    """The same command with --renew-rejected pays the rest, and pays no row twice."""
    ids = clients(served, 3)
    words = ("top-up", "--from", written(live, ids), "--batch", "june", *CAP)
    served.fail("limit", operation="transfer_credit", retry_after=0)
    run = live.call(*words)
    assert (5, 2) == (run.status, len(served.ledger))
    assert "--renew-rejected" in last_line(run)
    assert (5, 2) == (live.call(*words).status, len(served.ledger))
    assert 0 == live.call(*words, "--renew-rejected").status
    assert sorted(ids) == sorted(who for who, _ in served.paid)


def test_credit_that_runs_out_ends_it_early(live, served):
    """What was not tried stays, and the same command goes on."""
    ids = clients(served, 6)
    run = live.call("top-up", "--from", written(live, ids, amount=400), "--batch", "x", *CAP)
    assert 5 == run.status
    assert 2 == len(served.ledger)
    assert "your own credit does not cover it" in run.err
    assert "ended early" in run.err


def test_refused_credentials_are_4(live, served):
    """Before anything is asked."""
    file = written(live, [1001])
    words = ("top-up", "--from", file, "--batch", "june", *CAP)
    run = live.call(*words, CLICKSEND_API_KEY="wrong-key-that-nobody-may-see")
    assert (4, []) == (run.status, served.ledger)
    assert "wrong-key-that-nobody-may-see" not in run.out + run.err


def test_a_closed_stdout_stops_the_rows_and_not_the_money(live, served):
    """`| head -1`: all are paid, and an unknown one still makes it 6."""
    ids = [*clients(served, 10), 1011]
    words = ["top-up", "--from", written(live, ids), "--batch", "june", *CAP]
    process = subprocess.Popen(
        [*COMMAND, *map(str, words), "-o", "jsonl"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=live.folder,
        env=live.env,
    )
    assert process.stdout
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (6, 11) == (process.returncode, len(served.ledger))
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_a_full_disk_for_the_rows_pays_and_says_so(live, served):
    """/dev/full: the money is settled, the rows are lost, and the status is not 0."""
    ids = clients(served, 3)
    words = ["top-up", "--from", written(live, ids), "--batch", "june", *CAP]
    run = live.run_onto_full_disk(*words)
    assert (1, 3) == (run.status, len(served.ledger))
    assert "could not be written" in run.err
    assert "Traceback" not in run.err


def test_a_reader_who_leaves_a_list_is_no_failure(live, served):
    """`accounts export | head -1` is quiet."""
    clients(served, 300)
    script = f"set -o pipefail; {' '.join(COMMAND)} accounts export -q | head -1"
    process = subprocess.run(
        [program("bash"), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=live.folder,
        env=live.env,
    )
    assert (0, "") == (process.returncode, process.stderr)
    assert process.stdout.startswith("user_id,")


def test_a_journal_of_another_realm_answers_for_nothing(live, served):
    """A key of the sandbox's is refused elsewhere, with both named."""
    file = written(live, [1001])
    words = ("top-up", "--from", file, "--batch", "june", *CAP)
    assert 0 == live.call(*words).status
    (journal,) = (live.folder / "state" / "clicksend-reseller").glob("*.db")
    other = live.url.replace("127.0.0.1", "localhost")
    run = live.call(*words, "--journal", f"sqlite+aiosqlite:///{journal}", CLICKSEND_BASE_URL=other)
    assert (2, 1) == (run.status, len(served.ledger))
    assert "127.0.0.1" in run.err
    assert "localhost" in run.err


def test_a_list_rehearsed_as_somebody_else_does_not_read_as_paid(live, served):
    """The same URL and journal, another user name: another account, so nothing of it is paid."""
    words = ("top-up", "--from", written(live, [1001, 1002]), "--batch", "june", *CAP)
    assert 0 == live.call(*words).status
    (journal,) = (live.folder / "state" / "clicksend-reseller").glob("*.db")
    run = live.call(*words, "--journal", journal, CLICKSEND_USERNAME="somebody-else")
    assert (2, 2) == (run.status, len(served.ledger))
    assert "as somebody-else" in run.err
    assert "already paid" not in run.err


def test_a_batch_keeps_to_the_limit_of_a_minute(live, served, monkeypatch):
    """Each request waits for its turn, those of the rows too."""
    limits, entered = [], []

    class Counting(PerMinute):
        def __init__(self, limit):
            limits.append(limit)
            super().__init__(limit)

        async def __aenter__(self):
            entered.append(self)

    monkeypatch.setattr("clicksend_reseller.cli.session.session.PerMinute", Counting)
    ids = clients(served, 3)
    run = live.call(
        *("top-up", "--from", written(live, ids), "--batch", "june", *CAP),
        *("--limit-per-minute", 3),
    )
    assert (0, [3], 3) == (run.status, limits, len(served.ledger))
    assert len(served.requests) == len(entered)


def test_a_fault_after_the_last_row_reaches_the_status(live, served, monkeypatch):
    """All are paid, and something broke all the same: that is no 0."""
    close = Batch.aclose

    async def broken(self):
        await close(self)
        raise RuntimeError("something broke")

    monkeypatch.setattr(Batch, "aclose", broken)
    run = live.call("top-up", "--from", written(live, clients(served, 2)), "--batch", "june", *CAP)
    assert (1, 2) == (run.status, len(served.ledger))
    assert "RuntimeError: something broke" in run.err
    assert "2 rows: 2 paid (2 AUD)" in run.err


def test_a_journal_in_memory_is_refused(live, served):
    """It would forget, and the next run would pay again."""
    file = written(live, [1001])
    for url in ("sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"):
        run = live.call("top-up", "--from", file, "--batch", "june", *CAP, "--journal", url)
        assert (2, []) == (run.status, served.ledger)


def test_a_journal_that_cannot_be_written_sends_nothing(live, served):
    """A full disk or a broken file: no guard, no transfer."""
    broken = live.folder / "journal.db"
    broken.write_text("this is no database, and long enough to be sure of it" * 100)
    run = live.call("transfer", 1001, 5, "AUD", "--yes", "--journal", broken)
    assert (1, []) == (run.status, served.ledger)
    assert "Traceback" not in run.err


def test_one_key_has_one_spelling(live, served):
    """An accent that is typed in two ways, as two editors do, pays once."""
    ids = clients(served, 1)
    composed, apart = "\u00dcberweisung", "U\u0308berweisung"
    for name in (composed, apart):
        run = live.call("top-up", "--from", written(live, ids), "--batch", name, *CAP)
        assert 0 == run.status
    for n, name in enumerate((composed, apart)):
        file = live.folder / f"keys-{n}.csv"
        file.write_text(f"{HEADER},key\n{ids[0]},1,AUD,{name}/{ids[0]}\n", "utf-8")
        assert 0 == live.call("top-up", "--from", file, *CAP).status
    assert 1 == len(served.ledger)


def test_a_plan_edited_by_hand_pays_what_it_says_or_nothing(live, served):
    """A paid row with another amount or another client is refused; a row taken out is not paid."""
    plan = live.folder / "plan.csv"
    assert (
        0 == live.call("top-up", "--below", 10, "--to", 50, "--batch", "b", "--plan", plan).status
    )
    header, *rows = plan.read_text().splitlines()
    plan.write_text("\n".join([header, rows[0]]))
    assert 0 == live.call("top-up", "--from", plan, *CAP).status
    assert 1 == len(served.ledger)
    for edited in (rows[0].replace(",54,", ",55,"), rows[0].replace("1005,54", "1001,54")):
        plan.write_text("\n".join([header, edited, *rows[1:]]))
        assert 2 == live.call("top-up", "--from", plan, *CAP).status
    assert 1 == len(served.ledger)
    plan.write_text("\n".join([header, *rows]))
    assert 0 == live.call("top-up", "--from", plan, *CAP).status
    assert 3 == len(served.ledger)


def test_a_rehearsal_of_a_list_knows_its_clients(live, served):
    """All rows are paid in a world of their own, whoever they are and however much."""
    file = written(live, [1001, 555_000, 555_001], amount=700)
    run = live.call("top-up", "--from", file, "--batch", "june", *CAP, "--sandbox")
    assert (0, []) == (run.status, served.ledger)
    assert "3 rows: 3 paid (2100 AUD)" == last_line(run)


def test_a_refuted_row_is_renewed_by_a_person_only(live, served):
    """--renew-rejected is about what the API refused; the hint says how."""
    words = ("top-up", "--from", written(live, [1011]), "--batch", "june", *CAP)
    assert 6 == live.call(*words).status
    age(live)
    assert 0 == live.call("journal", "resolve", "june/1011", "--not-applied", "--note", "x").status
    run = live.call(*words, "--renew-rejected")
    assert (5, 1) == (run.status, len(served.ledger))
    assert "clicksend-reseller journal renew june/1011" in last_line(run)


def test_an_unknown_row_is_told_though_nothing_else_works(live, served):
    """The API refuses, nobody answers, the cap is too low: a row was unknown, so it is 6."""
    words = ("top-up", "--from", written(live, [1011]), "--batch", "june", *CAP)
    assert 6 == live.call(*words).status
    file = written(live, [1011, 1001])
    served.fail("error", operation="get_own_account", status=401)
    assert 6 == live.call("top-up", "--from", file, "--batch", "june", *CAP).status
    assert 6 == live.call("top-up", "--from", file, "--batch", "june").status
    assert 6 == live.call("top-up", "--from", file, "--batch", "june", "--dry-run").status
    assert (
        6
        == live.call("top-up", "--from", file, "--batch", "june", "--yes", "--max-total", 0).status
    )
    served.fail("error", operation="transfer_credit", status=401, response_code="UNAUTHORIZED")
    assert 6 == live.call("top-up", "--from", file, "--batch", "june", *CAP).status


def test_closed_streams_do_not_reach_the_journal(live, served):
    """`>&- 2>&- <&-`: the money is settled, and the journal's file is a database."""
    file = written(live, clients(served, 2))
    command = f"{' '.join(COMMAND)} top-up --from {file} --batch june {' '.join(CAP)}"
    done = subprocess.run(
        [program("bash"), "-c", f"{command} >&- 2>&- <&-"],
        check=False,
        cwd=live.folder,
        env=live.env,
    )
    assert (0, 2) == (done.returncode, len(served.ledger))
    assert "[]\n" == live.call("journal", "list", "--unresolved", "-o", "json").out


def test_a_closed_stderr_stops_nothing(live, served):
    """Whoever read the notes has gone: all are paid, and the status is the same."""
    file = written(live, [*clients(served, 5), 1011])
    process = subprocess.Popen(
        [*COMMAND, "top-up", "--from", str(file), "--batch", "june", *CAP],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=live.folder,
        env=live.env,
    )
    assert process.stderr
    process.stderr.close()
    assert process.stdout
    with process.stdout:
        rows = process.stdout.read()
    assert (6, 6, 5) == (process.wait(60), len(served.ledger), rows.count("\tpaid\t"))


def run_changed(live, script, *words):
    """Run a command in a process of its own, in which a script changes the journal first."""
    return subprocess.run(
        [COMMAND[0], "-c", script, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=live.folder,
        env=live.env,
    )


CUT_WHILE_CLAIMING = """
import asyncio, os, signal, sys
from clicksend_reseller.cli.app import run
from clicksend_reseller.journal import SQLJournal

claim, get = SQLJournal.claim, SQLJournal.get
looked = asyncio.Event()
claims, looks = [], []


async def claim_late(self, *arguments, **named):
    claims.append(arguments)
    if len(claims) == 1:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
    try:
        async with asyncio.timeout(0.2):
            await looked.wait()
    except TimeoutError:
        pass
    return await claim(self, *arguments, **named)


async def get_and_be_late(self, key):
    entry = await get(self, key)
    looks.append(key)
    if claims and len(looks) == 12:
        looked.set()
        await asyncio.sleep(0.3)  # the claims that were let go are made meanwhile
    return entry


SQLJournal.claim, SQLJournal.get = claim_late, get_and_be_late
sys.exit(run(sys.argv[1:]))
"""


def test_what_is_counted_as_not_tried_is_never_sent_afterwards(live, served):
    """Ctrl-C comes twice while rows claim their keys: they are stopped, then counted."""
    file = written(live, clients(served, 6))
    words = ["top-up", "--from", str(file), "--batch", "june", *CAP]
    done = run_changed(live, CUT_WHILE_CLAIMING, *words)
    assert (130, []) == (done.returncode, served.ledger), done.stderr
    assert "unknown" not in done.stdout + done.stderr
    assert 0 == live.call(*words, "--renew-rejected").status
    assert 6 == len(served.ledger)


CUT_WHILE_THE_JOURNAL_IS_SILENT = """
import asyncio, os, signal, sys
from clicksend_reseller import JournalError
from clicksend_reseller.cli.app import run
from clicksend_reseller.journal import SQLJournal

claim, get = SQLJournal.claim, SQLJournal.get
claims = []


async def claim_and_be_cut(self, *arguments, **named):
    won = await claim(self, *arguments, **named)
    claims.append(won)
    if len(claims) == 2:
        loop = asyncio.get_running_loop()
        for seconds in (0.5, 0.6):
            loop.call_later(seconds, os.kill, os.getpid(), signal.SIGINT)
    return won


async def be_silent(self, key):
    if claims:
        raise JournalError("nobody answers")
    return await get(self, key)


SQLJournal.claim, SQLJournal.get = claim_and_be_cut, be_silent
sys.exit(run(sys.argv[1:]))
"""


def test_a_row_that_another_run_revises_and_pays_is_shown_with_what_was_paid(
    live, served, monkeypatch
):
    """`top-up --below` computes anew what a run under way has not sent yet."""
    claim = SQLJournal.claim
    overtaken: list[SQLJournal] = []
    wanted = Transfer(idempotency_key="june/1001", client_user_id=1001, amount=7, currency="AUD")

    async def claim_too_late(journal, *args, **more):
        if not overtaken:
            overtaken.append(journal)
            await journal.revise(wanted, by="ann", note="the balance of now")
            account = ("sandbox", "sandbox")
            async with AsyncResellerClient(*account, base_url=live.url, journal=journal) as other:
                await other.transfer_credit(1001, 7, "AUD", idempotency_key="june/1001")
        return await claim(journal, *args, **more)

    monkeypatch.setattr(SQLJournal, "claim", claim_too_late)
    file = written(live, [1001], amount=5)
    run = live.call("top-up", "--from", file, "--batch", "june", *CAP, "-o", "csv")
    assert [(1001, "7.000000")] == served.paid
    assert '1001,7,"AUD","already_paid"' in run.out
    assert "1 already paid (7 AUD)" in last_line(run)


def test_rows_that_a_silent_journal_leaves_over_are_unknown(live, served):
    """Ctrl-C came twice and nobody can look them up: they may have left, and that is 6."""
    served.fail("hang", operation="transfer_credit", times=None)
    file = written(live, clients(served, 2))
    words = ["top-up", "--from", str(file), "--batch", "june", *CAP]
    done = run_changed(live, CUT_WHILE_THE_JOURNAL_IS_SILENT, *words)
    assert (6, 2) == (done.returncode, len(served.ledger)), done.stderr
    assert 2 == done.stdout.count("\tunknown\t")
    assert "the journal does not answer" in done.stderr


def test_a_clock_that_runs_ahead_elsewhere_does_not_prolong_the_wait(live, served, monkeypatch):
    """A row that was sent "tomorrow" is waited for no longer than was said, by our own clock."""
    words = ("top-up", "--from", written(live, [1011]), "--batch", "june", *CAP)
    assert 6 == live.call(*words).status
    (file,) = (live.folder / "state" / "clicksend-reseller").glob("*.db")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE clicksend_transfer SET state = 'sent', settled_at = NULL, "
            "sent_at = '2999-01-01 00:00:00.000000'"
        )
    monkeypatch.setattr(payments_run, "TIMEOUT", 0.5)
    monkeypatch.setattr(payments_run, "GRACE", 0.5)
    waited = []

    async def note(seconds):
        waited.append(seconds)
        assert len(waited) < 100
        clock.append(clock[-1] + seconds)

    clock = [0.0]
    monkeypatch.setattr(payments_run, "monotonic", lambda: clock[-1])
    monkeypatch.setattr(payments_run, "_rest", note)
    run = live.call(*words)
    assert (6, 1) == (run.status, len(served.ledger))
    assert [0.5, 0.5] == waited

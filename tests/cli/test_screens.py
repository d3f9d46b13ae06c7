"""What a person sees on a screen of 80 columns, through a real pseudo-terminal."""

import re

import pexpect
import pyte
import pytest

from support.terminal import Terminal

CAP = ("--yes", "--max-total", 1000)
RED, GREEN, YELLOW = "red", "green", "brown"  # as pyte calls them


class Screen:
    """A command at a terminal, and what stands on its screen."""

    def __init__(self, forks, home, words, columns):
        self.columns = columns
        self.child = Terminal(
            forks,
            words,
            env={**home.env, "TERM": "xterm-256color", "COLUMNS": str(columns)},
            cwd=str(home.folder),
            dimensions=(200, columns),
            encoding="utf-8",
            timeout=30,
        )
        self.heard = ""

    def until(self, *patterns):
        """Wait for words."""
        self.child.expect(*patterns)
        self.heard += str(self.child.before)
        if isinstance(self.child.after, str):
            self.heard += self.child.after
        return self

    def end(self):
        """Wait for the end; give the status."""
        self.until(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus

    @property
    def _screen(self):
        screen = pyte.Screen(self.columns, 200)
        pyte.Stream(screen).feed(self.heard)
        return screen

    @property
    def lines(self):
        """Give the lines that stand there."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def colours(self, word):
        """Give the colours in which a word stands on the screen."""
        screen, found = self._screen, set()
        for y, line in enumerate(screen.display):
            for at in re.finditer(rf"\b{re.escape(word)}\b", line):
                found.add(screen.buffer[y][at.start()].fg)
        return found


@pytest.fixture
def screen(live, forks):
    """Start commands at a terminal of so many columns."""
    opened = []

    def start(*words, columns=80):
        opened.append(Screen(forks, live, words, columns))
        return opened[-1]

    yield start
    for each in opened:
        each.child.close(force=True)


def listed(live, *lines):
    """Write a list of transfers."""
    file = live.folder / "list.csv"
    file.write_text("\n".join(["client_user_id,amount,currency", *lines, ""]), "utf-8")
    return file


# --- while an answer is awaited


@pytest.mark.parametrize("asked", [True, False])
def test_a_transfer_that_hangs_says_at_once_how_long_it_may_take(screen, served, asked):
    """Right after the confirmation, not after 20 seconds; it is gone with the answer."""
    served.fail("slow", operation="transfer_credit", seconds=2)
    shown = screen("transfer", 1001, 12, "AUD", "--key", "k", *(() if asked else ("--yes",)))
    shown.until(r"\[y/N\] " if asked else r"key +k")
    if asked:
        shown.child.send("y\r")
    shown.child.timeout = 1.5
    shown.until("waiting for the answer, at most 20 s")
    shown.child.timeout = 30
    assert 0 == shown.end()
    assert not [line for line in shown.lines if "waiting" in line]
    assert "paid" in shown.lines[-1]


@pytest.mark.parametrize(
    "words", [("balance",), ("accounts", "get", 1001), ("transfer", 1001, 12, "AUD", "--dry-run")]
)
def test_a_read_that_hangs_says_so_too(screen, served, words):
    """Whatever is awaited before anything is shown."""
    for operation in ("get_account", "get_own_account"):
        served.fail("slow", operation=operation, seconds=1)
    shown = screen(*words).until("waiting for the answer")
    assert 0 == shown.end()
    assert not [line for line in shown.lines if "waiting" in line]


def test_the_bar_is_not_red_while_all_is_well(screen, live, served):
    """Green, as what is paid."""
    served.fail("slow", operation="transfer_credit", seconds=0.5, times=None)
    file = listed(live, *(f"{client},1,AUD" for client in (1001, 1002, 1003, 1004, 1005)))
    shown = screen("top-up", "--from", file, "--batch", "b", *CAP)
    assert 0 == shown.end()
    bars = re.findall(r"\x1b\[([0-9;]*)m[━╸]", shown.heard)
    assert "32" in bars
    assert not [bar for bar in bars if bar.startswith(("31", "38;5;197", "38;2;249"))]


# --- tables


def test_a_long_name_is_shortened_in_the_middle_and_the_table_keeps_its_shape(screen, served):
    """One client with a long name does not flip the list; at 160 columns nothing is cut."""
    name = "a-client-whose-name-is-much-longer-than-any-column-could-be-zz9"
    served.add_account(username=name, balance="1", currency="AUD", account_name="Long & Sons")
    shown = screen("accounts", "list", "--low", 10)
    assert 0 == shown.end()
    (line,) = [line for line in shown.lines if line.startswith("1013")]
    assert re.search(r"^1013 +a-client\S*…\S*zz9 +1.000000 +AUD +yes +no +Long & Sons$", line)
    assert shown.lines[0].split() == (
        ["user_id", "username", "balance", "active", "banned", "account_name"]
    )
    assert all(len(line) <= 80 for line in shown.lines)
    wide = screen("accounts", "list", "--low", 10, columns=160)
    assert 0 == wide.end()
    assert [line for line in wide.lines if name in line]


def test_money_stands_with_its_points_below_each_other(screen, served):
    """Whatever the number of digits on either side."""
    served.add_account(username="rich", balance="12345.5", currency="AUD")
    shown = screen("accounts", "list")
    assert 0 == shown.end()
    points = {line.index(".") for line in shown.lines[1:]}
    assert 1 == len(points)


def test_empty_columns_are_left_out(screen):
    """A list of results without a reason has no column for it."""
    shown = screen("transfer", 1001, 5, "AUD", "--key", "k", "--yes")
    assert 0 == shown.end()
    listing = screen("journal", "list", columns=200)
    assert 0 == listing.end()
    assert ["key", "round", "state", "client", "amount", "sent_at"] == (listing.lines[0].split())


@pytest.mark.parametrize("columns", [80, 120])
def test_rows_with_a_problem_stand_apart_and_below(screen, live, served, columns):
    """Three refusals and an unknown one: what was paid is a table without their reasons."""
    for client in (1003, 1004, 1005):
        served.fail(
            "error",
            operation="transfer_credit",
            client_user_id=client,
            status=400,
            response_code="BAD_REQUEST",
        )
    file = listed(live, *(f"{client},12,AUD" for client in (1001, 1003, 1004, 1005, 1007, 1011)))
    shown = screen("top-up", "--from", file, "--batch", "june", columns=columns)
    shown.until(r"\[y/N\] ").child.send("y\r")
    assert 6 == shown.end()
    heads = [n for n, line in enumerate(shown.lines) if line.startswith("client ")]
    assert 2 == len(heads)
    sound = shown.lines[heads[0] + 1 : heads[1]]
    assert [("1001", "paid"), ("1007", "paid")] == sorted(
        (line.split()[0], line.split()[4]) for line in sound
    )
    assert "balance" not in shown.lines[heads[1]]
    below = [line for line in shown.lines[heads[1] + 1 :] if re.match(r"1\d{3} ", line)]
    assert [
        ("1003", "rejected"),
        ("1004", "rejected"),
        ("1005", "rejected"),
        ("1011", "unknown"),
    ] == sorted((line.split()[0], line.split()[4]) for line in below)
    assert 4 == len([line for line in shown.lines[heads[1] + 1 :] if "reason: " in line])
    assert all(len(line) <= columns for line in shown.lines)
    assert GREEN in shown.colours("paid")
    assert RED in shown.colours("unknown")


def test_a_colour_says_nothing_alone(screen, live, served):
    """The word is there with NO_COLOR too."""
    live.more["NO_COLOR"] = "1"
    file = listed(live, "1001,12,AUD", "1011,12,AUD")
    shown = screen("top-up", "--from", file, "--batch", "june", *CAP)
    assert 6 == shown.end()
    assert {"default"} == shown.colours("paid") | shown.colours("unknown")


# --- who the clients are


def test_names_stand_beside_ids(screen, live):
    """In the confirmation and in the result, of a list and of one transfer."""
    file = listed(live, "1001,12,AUD", "1002,7,AUD")
    shown = screen("top-up", "--from", file, "--batch", "june").until(r"\[y/N\] ")
    assert "12 AUD to 1001 plain, 7 AUD to 1002 dollars" in " ".join(shown.lines)
    shown.child.send("y\r")
    assert 0 == shown.end()
    assert [line for line in shown.lines if re.match(r"1002 +dollars +7 +AUD +paid ", line)]
    one = screen("transfer", 1001, 3, "AUD", "--yes")
    assert 0 == one.end()
    assert re.match(r"1001 +plain +3 +AUD +paid ", one.lines[-1])


def test_a_rehearsal_says_of_each_row_that_its_client_is_made_up(screen, live):
    """A mistyped id is paid there, and seen to be nobody's."""
    file = listed(live, "1001,12,AUD", "9999,12,AUD")
    shown = screen("top-up", "--from", file, "--batch", "june", *CAP, "--sandbox")
    assert 0 == shown.end()
    said = [n for n, line in enumerate(shown.lines) if "made up for this rehearsal" in line]
    assert ["9999"] == [shown.lines[n - 1].split()[0] for n in said]
    one = screen("transfer", 9999, 3, "AUD", "--sandbox").until(r"\[y/N\] ")
    assert [line for line in one.lines if "9999, client-9999 (made up for this rehearsal)" in line]


def test_a_dry_run_marks_clients_that_are_not_to_be_paid(screen, live, served):
    """It looks them up, reads only, and says so per row."""
    file = listed(live, "1001,12,AUD", "1006,12,AUD", "9999,12,AUD")
    words = ("top-up", "--from", file, "--batch", "june", "--dry-run")
    shown = screen(*words)
    assert 0 == shown.end()
    found = {line.split()[0]: line for line in shown.lines if re.match(r"(1001|1006|9999) ", line)}
    assert "plain" in found["1001"]
    assert "to_pay" in found["1001"]
    assert "banned" in found["1006"]
    assert "no_such_client" in found["9999"]
    assert "to_pay" not in found["1006"] + found["9999"]
    assert {"GET"} == {request["method"] for request in served.requests}


def test_a_dry_run_offline_asks_nobody(live, served):
    """No request at all, for a list and for one transfer; without --dry-run it makes no sense."""
    file = listed(live, "1001,12,AUD", "9999,12,AUD")
    run = live.call("top-up", "--from", file, "--batch", "june", "--dry-run", "--offline")
    assert (0, 2, []) == (run.status, run.out.count("to_pay"), served.requests)
    assert 0 == live.call("transfer", 9999, 1, "AUD", "--dry-run", "--offline").status
    assert [] == served.requests
    for words in (("--from", file, "--batch", "june"), ("--below", 1, "--to", 2, "--batch", "b")):
        more = ("--dry-run",) if "--below" in words else ()
        run = live.call("top-up", *words, *more, "--offline")
        assert (2, []) == (run.status, served.requests)
        assert "--offline" in run.err


def test_a_long_list_is_looked_up_by_the_list_of_accounts(live, served):
    """One page of accounts for many clients, and what is missing there by its id."""
    ids = [served.add_account(username=f"client-{n}")["user_id"] for n in range(30)]
    file = listed(live, *(f"{client},1,AUD" for client in (*ids, 9999)))
    words = ("top-up", "--from", file, "--batch", "june", "--dry-run", "-o", "jsonl")
    before = len(served.requests)
    run = live.call(*words, "--columns", "client_user_id,username,status")
    assert (0, 31) == (run.status, len(run.out.splitlines()))
    assert '{"client_user_id": 9999, "username": null, "status": "no_such_client"}' in run.out
    assert f'{{"client_user_id": {ids[7]}, "username": "client-7", "status": "to_pay"}}' in run.out
    operations = [each["operation"] for each in served.requests[before:]]
    assert 1 == operations.count("get_account")


def test_clients_that_cannot_be_looked_up_keep_nothing_back(live, served):
    """The names are missing, and that is said."""
    served.fail("error", operation="get_account", status=400, times=None)
    file = listed(live, "1001,12,AUD")
    run = live.call("top-up", "--from", file, "--batch", "june", "--dry-run")
    assert (0, 1) == (run.status, run.out.count("to_pay"))
    assert "the clients could not be looked up" in run.err


# --- the doctor


def test_the_doctor_breaks_no_word_and_has_a_closing_line(screen):
    """At 80 columns each line ends between two words."""
    shown = screen("doctor")
    assert 0 == shown.end()
    assert re.search(r"^(All good\.|\d+ to (fix|look at)\.)", shown.lines[-1])
    wide = screen("doctor", columns=400)
    assert 0 == wide.end()
    narrow, whole = ([*" ".join(each.lines).split()] for each in (shown, wide))
    is_path = re.compile(r"/").search  # one that is longer than a line has to be broken
    assert {w for w in whole if not is_path(w)} == {w for w in narrow if not is_path(w)} & {*whole}


def test_a_confirmation_breaks_no_word(screen, live):
    """What goes on in the next line stands below its value."""
    file = listed(live, *(f"{client},12,AUD" for client in (1001, 1002, 1003, 1004, 1007)))
    shown = screen("top-up", "--from", file, "--batch", "june").until(r"\[y/N\] ")
    (at,) = [n for n, line in enumerate(shown.lines) if line.startswith("  largest ")]
    assert re.match(r" {14}\S", shown.lines[at + 1])
    assert "1007 no-subaccount" in " ".join(" ".join(shown.lines).split())


def test_the_doctor_counts_what_is_to_be_fixed(screen, live):
    """A closing line for a failure, and one for a warning."""
    live.more["CLICKSEND_API_KEY"] = "wrong"
    shown = screen("doctor")
    assert 4 == shown.end()
    assert "2 to fix" in shown.lines[-1]
    live.more.update(CLICKSEND_API_KEY="sandbox", HTTPS_PROXY="http://proxy.test:1")
    shown = screen("doctor")
    assert (0, "1 to look at.") == (shown.end(), shown.lines[-1])


def test_the_next_command_can_be_copied_in_one_piece(screen, live, served):
    """A line break inside it would run the half that moves money, without its last options."""
    served.fail("error", operation="transfer_credit", status=400, response_code="BAD_REQUEST")
    batch = "a-batch-with-a-name-that-fills-its-line-of-the-screen"
    shown = screen("top-up", "--from", listed(live, "1001,12,AUD"), "--batch", batch, *CAP)
    assert 5 == shown.end()
    assert f"--batch {batch} --yes --max-total 1000 --renew-rejected" in shown.heard

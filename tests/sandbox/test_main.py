import json
import os
import pty
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.__main__ import main
from clicksend_reseller.sandbox.files import read_accounts

COMMAND = [sys.executable, "-m", "clicksend_reseller.sandbox"]


@contextmanager
def started(*arguments):
    """Run the command until the block ends."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        process.wait()


def finished(*arguments):
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def admin(url, path):
    """Ask the sandbox itself."""
    target = f"{url.removesuffix('/v3')}/_sandbox/{path}"
    with urllib.request.urlopen(target, timeout=5) as response:  # noqa: S310 - loopback
        return json.load(response)


def test_it_prints_the_address_the_console_and_a_line_to_export():
    """A program reads the first, a person opens the second and copies the third."""
    with started("--port", "0") as process:
        url, console, export = (process.stdout.readline().strip() for _ in range(3))
        assert {"status": "ok"} == admin(url, "health")
        assert url.removesuffix("/v3") + "/_sandbox/" == console
    values = f"CLICKSEND_BASE_URL={url} CLICKSEND_USERNAME=sandbox CLICKSEND_API_KEY=sandbox"
    assert f"export {values}" == export


@pytest.mark.skipif(os.name != "posix", reason="a terminal of POSIX")
def test_a_terminal_shows_three_labelled_lines():
    """A person knows what each is for; the bare lines are for programs."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, "--port", "0"]
    with subprocess.Popen(command, stdout=theirs) as process, open(ours) as terminal:  # noqa: PTH123 - a descriptor
        os.close(theirs)
        lines = [terminal.readline().strip() for _ in range(3)]
        process.terminate()
    assert ["API", "Console", "Paste into another shell"] == [
        line.partition(": ")[0] for line in lines
    ]
    assert lines[0].endswith("/v3")
    assert lines[1].endswith("/_sandbox/")
    assert lines[2].split(": ")[1].startswith("export CLICKSEND_BASE_URL=")


def test_a_rate_lets_a_currency_in(tmp_path):
    """The message about a currency without one names the option that adds it."""
    path = tmp_path / "accounts.json"
    path.write_text('[{"currency": "JPY"}]')
    refused = finished("--port", "0", "--accounts", str(path))
    assert (2, "") == (refused.returncode, refused.stdout)
    assert "no rate for currency 'JPY'" in refused.stderr
    assert "--rate JPY=0.0102" in refused.stderr
    rate = ("--rate", "JPY=0.0102")
    with started("--port", "0", "--accounts", str(path), *rate) as process:
        state = admin(process.stdout.readline().strip(), "state")
    assert ["JPY"] == [account["currency"] for account in state["accounts"]]


def test_a_large_accounts_file_is_read_in_seconds(tmp_path):
    """100,000 rows, without an id and with one; the line of a bad one is still named."""
    path, count = tmp_path / "accounts.json", 100_000
    rows = [f'{{"username": "u{n}"}}' for n in range(count)]
    path.write_text("[" + ",\n".join([*rows, '{"user_id": 0}']) + "]")
    begun = time.process_time()
    with pytest.raises(ValueError, match=f"line {count + 1}: user_id must be an int"):
        read_accounts(path)
    assert time.process_time() - begun < 20


def test_the_clients_of_a_file_are_read_once(tmp_path):
    """What takes time is done a single time: a sandbox takes the clients as they were read."""
    path, count = tmp_path / "accounts.json", 20_000
    path.write_text(json.dumps([{"username": f"u{n}"} for n in range(count)]))
    begun = time.process_time()
    clients = read_accounts(path)
    read = time.process_time()
    sandbox = Sandbox(accounts=clients)
    assert time.process_time() - read < (read - begun) / 2
    assert all(sandbox.state.clients[client.user_id] is client for client in clients)
    assert count == len(sandbox.state.clients)


def test_a_served_sandbox_of_a_large_file_answers_in_seconds(tmp_path):
    """100,000 clients, from the start of the process to the first answer."""
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps([{"username": f"u{n}"} for n in range(100_000)]))
    with started("--port", "0", "--accounts", str(path)) as process:
        url = process.stdout.readline().strip()
        assert {"status": "ok"} == admin(url, "health")
        process.terminate()
        _, _, used = os.wait4(process.pid, 0)
    assert used.ru_utime + used.ru_stime < 15  # of its own processor time: others may be busy


def test_the_options_make_the_state():
    """Accounts, credit, currency, seed, quirks and faults arrive where they belong."""
    words = "--port 0 --accounts 3 --credit 7.5 --currency EUR --seed 9 --quirk rate_limit=20"
    more = "--quirk int_phones --quirk rows=old --fault lost:transfer_credit:2 --fault page"
    with started(*words.split(), *more.split()) as process:
        url = process.stdout.readline().strip()
        state, faults = admin(url, "state"), admin(url, "faults")
    assert (3, "7.500000", "EUR", 9) == (
        len(state["accounts"]),
        state["credit"],
        state["currency"],
        state["seed"],
    )
    quirks = state["quirks"]
    assert (20, True, "old") == (quirks["rate_limit"], quirks["int_phones"], quirks["rows"])
    assert [("lost", "transfer_credit", 2), ("page", None, 1)] == [
        (fault["kind"], fault["operation"], fault["times"]) for fault in faults
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second(number):
    """Even while a call hangs, and without a word on stderr.

    What holds it back does so each time; a busy machine does so now and then.
    """
    assert any(seconds_to_leave(number) < 1 for _ in range(5))


def seconds_to_leave(number):
    """Measure how long a sandbox takes to end on a signal, while a call hangs."""
    with started("--port", "0", "--fault", "hang") as process:
        url = process.stdout.readline().strip()
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(f"{url}/account", timeout=0.05)  # noqa: S310 - loopback
        begun = time.monotonic()
        process.send_signal(number)
        assert 0 == process.wait(5)
        seconds = time.monotonic() - begun
        assert "" == process.stderr.read()
    return seconds


@pytest.mark.skipif(os.name != "posix", reason="a shell's own business")
def test_env_is_for_eval_in_a_shell():
    """The export line alone, and the pipe is let go, so that the shell goes on."""
    command = f"{sys.executable} -m clicksend_reseller.sandbox --port 0 --env"
    script = f'eval "$({command} &)"; echo "$CLICKSEND_BASE_URL $CLICKSEND_API_KEY"'
    with subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            url, key = shell.communicate(timeout=20)[0].split()
            assert ({"status": "ok"}, "sandbox") == (admin(url, "health"), key)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


@pytest.mark.skipif(os.name != "posix", reason="the browser is a shell script")
def test_open_opens_the_console(tmp_path, monkeypatch):
    """In the browser that the machine is set to."""
    pipe, script = tmp_path / "opened", tmp_path / "browser"
    os.mkfifo(pipe)
    script.write_text(f'#!/bin/sh\necho "$1" > {pipe}\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    with started("--port", "0", "--open") as process:
        console = [process.stdout.readline().strip() for _ in range(3)][1]
        assert console == pipe.read_text().strip()


def test_the_help_calls_the_command_by_its_name(capsys):
    """Another door to it has another name."""
    with pytest.raises(SystemExit):
        main(["--help"], program="clicksend-reseller sandbox")
    assert "usage: clicksend-reseller sandbox" in capsys.readouterr().out


def test_a_taken_port_is_named_with_the_way_out():
    """One line, exit code 1."""
    with started("--port", "0") as process:
        port = process.stdout.readline().split(":")[2].split("/")[0]
        run = finished("--port", port)
    message = f"port {port} is taken: `--port 0` picks a free one\n"
    assert (1, "", message) == (run.returncode, run.stdout, run.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quirk", "speed=1"], "unknown quirk 'speed': the quirks are max_limit, min_limit"),
        (["--quirk", "rows=newest"], "rows is one of 'new', 'old', 'mixed', not 'newest'"),
        (["--fault", "explode"], "unknown fault 'explode': the faults are refuse, reset"),
        (["--fault", "lost:pay"], "unknown operation 'pay': the operations are list_accounts"),
        (["--fault", "lost:transfer_credit:x"], "a fault is kind, kind:operation or"),
        (["--fault", "refuse"], "cannot refuse connections: it does reset, lost"),
        (["--accounts", "nowhere.json"], "nowhere.json cannot be read"),
        (["--credit", "much"], "money has at most 12 digits"),
        (["--currency", "XTS"], "no rate for currency 'XTS'"),
        (["--rate", "JPY"], "a rate is what one unit is worth in AUD, such as JPY=0.0102"),
        (["--rate", "JPY=0"], "such as JPY=0.0102, not 'JPY=0'"),
        (["--port", "x"], "a port is a number from 0 to 65535, not 'x'"),
        (["--accounts", "12,5"], "12,5 cannot be read"),
        (["--port", "65536"], "a port is a number from 0 to 65535, not '65536'"),
    ],
)
def test_impossible_options_exit_with_2_and_name_the_possible(arguments, message, capsys):
    """Nothing is started."""
    with pytest.raises(SystemExit) as ended:
        main(["--port", "0", *arguments])
    said = capsys.readouterr()
    assert (2, "") == (ended.value.code, said.out)
    assert message in said.err


WITHOUT = """
import sys
sys.modules[{module!r}] = None
from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.__main__ import main
sys.exit(main(["--port", "0"]))
"""


@pytest.mark.parametrize("module", ["jinja2", "starlette", "uvicorn"])
def test_a_missing_extra_is_named_with_the_command_that_adds_it(module):
    """One line, exit code 1."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "") == (run.returncode, run.stdout)
    assert 'pip install "clicksend-reseller[sandbox]"' in run.stderr
    assert 1 == run.stderr.count("\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[\n {"user_id": 5},\n {"user_id": 6},\n {"user_id": 5}]',
            "line 4: user_id 5 comes twice",
        ),
        ('[\n {},\n {"user_id": 1001}\n]', "line 3: user_id 1001 comes twice"),
        ('{"note": [],\n "accounts":\n [{},\n\n {"balance": "x"}]}', "line 5: account 1002: money"),
        ('[\n {"user_id": 0}]', "line 2: user_id must be an int from 1"),
        ('[\n\n {"currency": "XTS"}]', "line 3: no rate for currency 'XTS'"),
        ('[\n {"currency": {"a": 1}}]', "line 2: account 1001: a currency is a string"),
        ("[NaN]", "cannot be read: NaN is no JSON"),
        ("[" * 100_000, "cannot be read: "),
        ("1" * 5000, "cannot be read: "),
        ('[\n {"user_id": 5},\n {"user_id"\n]', "line 4: Expecting ':'"),
        ('{"accounts": 5}', "holds neither a list nor"),
        ("5", "holds neither a list nor"),
        ("[{},\n 5]", "line 2: an account is a JSON object"),
    ],
)
def test_a_bad_accounts_file_is_named_with_its_line(tmp_path, text, message):
    """So that a file of a thousand can be corrected."""
    path = tmp_path / "accounts.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_accounts(path)
    assert str(path) in str(caught.value)


def test_an_accounts_file_makes_the_state(tmp_path):
    """Its money is read as it is written."""
    path = tmp_path / "accounts.json"
    path.write_text('[{"username": "ada", "balance": 0.300001, "balance_commission": 2.33013}]')
    with started("--port", "0", "--accounts", str(path)) as process:
        accounts = admin(process.stdout.readline().strip(), "state")["accounts"]
    shown = [(row["username"], row["balance"], row["balance_commission"]) for row in accounts]
    assert [("ada", "0.300001", 2.33013)] == shown

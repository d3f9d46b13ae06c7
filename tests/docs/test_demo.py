"""The demo is the first thing that a stranger runs: it ends well, and shows what it promises."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "docs" / "examples" / "demo.py"


@pytest.fixture(scope="module")
def shown():
    """Run the demo once and give what it prints."""
    command = [sys.executable, str(DEMO)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (run.returncode, run.stderr)
    return run.stdout


def test_the_demo_lists_eight_clients_and_counts_the_others(shown):
    """Each with user_id, name, balance and currency; then the client that it makes."""
    rows = re.findall(r"^ +(\d{4})  \S+ +(-?\d+\.\d{6})  ([A-Z]{3}|-)", shown, re.MULTILINE)
    expected = [str(1001 + n) for n in (*range(8), 40)]
    assert expected == [user_id for user_id, _, _ in rows]
    assert "… 32 more: 40 clients on 2 pages" in shown


def test_the_whole_story_fits_on_one_screen(shown):
    """24 lines of 80 signs, the prompt that follows included."""
    lines = shown.splitlines()
    assert len(lines) < 24
    assert [] == [line for line in lines if len(line) > 80]


def test_the_demo_ends_with_what_to_try_next(shown):
    """The console, the portal and the command line, each by a command that is there."""
    *_, console, portal, command_line = shown.splitlines()
    assert "python -m clicksend_reseller.sandbox --open" in console
    assert "python3 noxfile.py -s portal" in portal
    assert "clicksend-reseller --sandbox accounts list" in command_line
    assert "def portal(" in (DEMO.parents[2] / "noxfile.py").read_text("utf-8")


@pytest.mark.skipif(os.name != "posix", reason="a terminal of POSIX")
def test_headings_are_coloured_on_a_terminal_alone(shown):
    """And not where NO_COLOR is set."""
    assert "\x1b" not in shown
    headings = f"import runpy; runpy.run_path({str(DEMO)!r})['heading']('Hi')"
    said = []
    for env in ({}, {"NO_COLOR": "1"}):
        ours, theirs = pty.openpty()
        plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        command = [sys.executable, "-c", headings]
        subprocess.run(command, stdout=theirs, env=plain | env, timeout=60, check=True)
        said.append(os.read(ours, 100).decode().strip())
        os.close(ours)
        os.close(theirs)
    assert ["\x1b[1;36mHi\x1b[0m", "Hi"] == said


def test_the_demo_shows_the_balances_before_and_after(shown):
    """What the client gains is what the reseller's own credit loses."""
    assert "the client 0.000000 → 25.000000, your credit 1000.000000 → 975.000000" in shown


def test_the_demo_shows_the_password_masked(shown):
    """The password is made up, and is not printed all the same."""
    assert "*****" in shown
    assert "made-up" not in shown


def test_the_demo_meets_a_refusal_and_a_lost_answer(shown):
    """The two ends are named, and told apart."""
    assert "AlreadyExistsError, outcome REJECTED, attempts 1\n" in shown
    assert "TransferOutcomeUnknownError, outcome UNKNOWN, attempts 1\n" in shown


def test_the_demo_shows_one_application_of_the_transfer_in_doubt(shown):
    """The oracle is the sandbox's ledger: two transfers, one of them the one in doubt."""
    ledger = re.findall(r"(\S+ AUD), the answer was (delivered|lost)", shown)
    assert [("25.000000 AUD", "delivered"), ("30.000000 AUD", "lost")] == ledger


def test_a_demo_whose_sandbox_does_not_start_says_so():
    """A fault ends with a clear line and not with exit status 0."""
    starts_nothing = f"""
import runpy
demo = runpy.run_path({str(DEMO)!r})
demo["SANDBOX"].append("--no-such-option")
raise SystemExit(demo["main"]())
"""
    command = [sys.executable, "-c", starts_nothing]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 1 == run.returncode
    assert "The demo failed: the sandbox did not start; it says why above" in run.stderr

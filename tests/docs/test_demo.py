"""The demo is the first thing that a stranger runs: it ends well, and shows what it promises."""

from __future__ import annotations

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


def test_the_demo_lists_every_client_with_a_balance(shown):
    """Forty rows on two pages, each with user_id, name, balance and currency."""
    rows = re.findall(r"^ +(\d{4})  \S+ +(-?\d+\.\d{6})  ([A-Z]{3}|-)$", shown, re.MULTILINE)
    assert [str(1001 + n) for n in range(41)] == [user_id for user_id, _, _ in rows]
    assert "40 clients in all" in shown


def test_the_demo_shows_the_balances_before_and_after(shown):
    """What the client gains is what the reseller's own credit loses."""
    assert re.search(r"the client +0\.000000 +25\.000000\n", shown)
    assert re.search(r"your credit +1000\.000000 +975\.000000\n", shown)


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
    ledger = re.findall(r"^ +#\d+  (\S+ AUD), the caller was (.+)$", shown, re.MULTILINE)
    assert [("25.000000 AUD", "told"), ("30.000000 AUD", "not told")] == ledger


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

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from clicksend_reseller.sandbox.service.faults import OPERATIONS

CONFIG = Path(__file__).with_name("schemathesis.toml")

# Where an answer of this status says nothing, or cannot come.
NEVER = {
    400: {"list_accounts", "get_account", "get_own_account"},
    404: {"list_accounts", "create_account", "get_own_account"},
}


@pytest.fixture
def explore(served_reseller_sandbox, tmp_path):
    """Let schemathesis try what the sandbox's own description allows and forbids."""
    served = served_reseller_sandbox

    def explore(*options):
        program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
        place = [f"{served.console_url}openapi.json", "--auth", "sandbox:sandbox"]
        run = subprocess.run(
            [*program, *place, *options], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert 0 == run.returncode, run.stdout + run.stderr
        return Counter((request.operation, request.status) for request in served.requests)

    return explore


# Ten of the cast: the two others lose and withhold their answers, which no description can hold.
@pytest.mark.reseller_sandbox(accounts=10)
def test_no_answer_is_outside_the_description(explore):
    """No 500, no status, header or body that the document does not tell of, for any request."""
    seen = explore("--max-examples", "30")
    for status in (200, 400, 401, 404):
        for operation in OPERATIONS:
            if operation not in NEVER.get(status, ()):
                assert seen[operation, status], (operation, status)
    assert {200, 400, 401, 404} == {status for _, status in seen}


@pytest.mark.reseller_sandbox(
    accounts=10, rate_limit=3, rows="mixed", int_phones=True, create_status=201
)
def test_the_habits_of_the_api_stay_inside_the_description(explore):
    """Limited, with old rows and numbers for phones: the answers are told of too."""
    # A refusal for being too frequent comes before one for credentials that are wrong.
    options = ("--phases", "examples,fuzzing", "--exclude-checks", "ignored_auth")
    seen = explore("--max-examples", "10", *options)
    for operation in OPERATIONS:
        assert seen[operation, 429], operation
    assert seen["create_account", 201]

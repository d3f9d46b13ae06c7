import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import clicksend_reseller

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]

# What a stranger's tests do, whatever runs them; served and in process.
STORIES = """
import asyncio
import gc
import pytest
from clicksend_reseller import AsyncResellerClient, TransferOutcomeUnknownError

async def in_process(sandbox, client):
    await client.transfer_credit(1001, 20, "AUD")
    with pytest.raises(TransferOutcomeUnknownError):
        await client.transfer_credit(1011, 5, "AUD")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.transfer_credit(1012, 7, "AUD")
    paid = [(entry.client_user_id, entry.amount, entry.told) for entry in sandbox.ledger]
    assert paid == [(1001, 20, True), (1011, 5, False), (1012, 7, False)]

async def on_a_socket(sandbox, served):
    assert {**served.env, "CLICKSEND_BASE_URL": served.url} == served.env
    served.fail("lost", operation="transfer_credit")
    name, key = served.env["CLICKSEND_USERNAME"], served.env["CLICKSEND_API_KEY"]
    async with AsyncResellerClient(name, key, base_url=served.url) as client:
        with pytest.raises(TransferOutcomeUnknownError):
            await client.transfer_credit(1001, 20, "AUD")
        assert sandbox.transfers_to(1001) == served.transfers_to(1001) == [20]
        await client.transfer_credit(1002, 1, "AUD")
        assert [entry.told for entry in sandbox.ledger] == [False, True]

@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    gc.collect()  # a warning of something left open would come now
"""

AWAITED = """
{mark}
async def test_in_process(reseller_sandbox, reseller_client):
    await in_process(reseller_sandbox, reseller_client)

{mark}
async def test_on_a_socket(reseller_sandbox, served_reseller_sandbox):
    await on_a_socket(reseller_sandbox, served_reseller_sandbox)
"""

RUN = """
def test_in_process(reseller_sandbox, reseller_client):
    asyncio.run(in_process(reseller_sandbox, reseller_client))

def test_on_a_socket(reseller_sandbox, served_reseller_sandbox):
    asyncio.run(on_a_socket(reseller_sandbox, served_reseller_sandbox))
"""

ON_ASYNCIO = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""

# The scope has to be named, or pytest-asyncio warns.
ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function")

MODES = {
    "strict": (AWAITED.format(mark="@pytest.mark.asyncio"), *ASYNCIO),
    "auto": (AWAITED.format(mark=""), *ASYNCIO, "-o", "asyncio_mode=auto"),
    "anyio": (ON_ASYNCIO + AWAITED.format(mark="@pytest.mark.anyio"), "-p", "anyio"),
    "none": (RUN, "-p", "no:asyncio"),
}

WITHOUT_EXTRAS = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"starlette", "uvicorn", "jinja2", "httpx2", "sqlalchemy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


@pytest.fixture
def stranger(pytester, monkeypatch):
    """Make a project of somebody who has this package installed and nothing configured."""
    pytester.makeini("[pytest]")  # or a configuration further up would be taken for its own
    paths = [str(Path(clicksend_reseller.__file__).parents[1])]
    if not entry_points(group="pytest11", name="clicksend_reseller"):
        paths.append(str(_as_installed(pytester.mkdir("installed"))))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def _as_installed(folder):
    """Write what an installer would, for a checkout that is not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = folder / "clicksend_reseller-0.dist-info"
    told.mkdir()
    told.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: clicksend-reseller\n")
    lines = [f"{name} = {where}" for name, where in project["entry-points"]["pytest11"].items()]
    told.joinpath("entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    return folder


@pytest.fixture
def run(stranger, monkeypatch):
    """Run the stranger's tests with warnings as errors and no plugin but those that are named."""

    def run(source, *options):
        stranger.makepyfile(source)
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        ours = ("-p", "clicksend_reseller")
        return stranger.runpytest_subprocess(*ours, "-W", "error", "--strict-markers", *options)

    return run


@pytest.mark.parametrize("mode", MODES)
def test_the_fixtures_serve_every_way_to_run_async_tests(run, mode):
    """Strict, auto, anyio's and none at all: the same tests pass and leave nothing open."""
    tests, *options = MODES[mode]
    run(STORIES + tests, *options).assert_outcomes(passed=2)


def test_no_extra_is_needed_but_to_serve(run, stranger):
    """In process it works with the core alone; serving says what to install, and never skips."""
    stranger.makeconftest(WITHOUT_EXTRAS)
    result = run(STORIES + RUN, "-p", "no:asyncio")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['serving needs *: pip install "clicksend-reseller?sandbox]"'])
    result.stdout.no_fnmatch_line("*During handling*")


def test_it_is_there_without_a_word_and_can_be_switched_off(stranger):
    """Installing is enough; `-p no:clicksend_reseller` takes the fixtures away again."""
    stranger.makepyfile("def test_it(reseller_sandbox): assert reseller_sandbox.credit == 1000")
    installed = {each.name for each in entry_points(group="pytest11")} - {"clicksend_reseller"}
    alone = [f"-pno:{name}" for name in sorted(installed)]  # a dozen others, which take seconds
    stranger.runpytest_subprocess(*alone).assert_outcomes(passed=1)
    switched_off = stranger.runpytest_subprocess(*alone, "-p", "no:clicksend_reseller")
    switched_off.assert_outcomes(errors=1)
    switched_off.stdout.fnmatch_lines(["*fixture 'reseller_sandbox' not found"])


def test_the_marker_says_what_the_sandbox_is_like(run):
    """Arguments of Sandbox and of Quirks; what stands closer to the test wins, name by name."""
    result = run(
        """
        import pytest
        from clicksend_reseller.sandbox import Quirks

        pytestmark = pytest.mark.reseller_sandbox(accounts=3, rate_limit=20)

        def test_module(reseller_sandbox):
            setup = reseller_sandbox.state.setup
            assert ([1001, 1002, 1003], Quirks(rate_limit=20)) == (
                [client.user_id for client in setup.clients], setup.quirks
            )

        @pytest.mark.reseller_sandbox(credit="5", rate_limit=7)
        def test_closer(reseller_sandbox):
            setup = reseller_sandbox.state.setup
            assert (3, 5, 7) == (len(setup.clients), setup.credit, setup.quirks.rate_limit)

        @pytest.mark.reseller_sandbox(rate_limit=None)
        class TestEach:
            def test_one(self, reseller_sandbox):
                reseller_sandbox.spend(1001, 1)

            def test_another(self, reseller_sandbox):
                assert 50 == reseller_sandbox.balance(1001)
                assert reseller_sandbox.state.setup.quirks == Quirks()
        """
    )
    result.assert_outcomes(passed=4)


IMPOSSIBLE = {
    "acounts=3": "reseller_sandbox: unknown name 'acounts': a sandbox takes accounts, *",
    "3": "reseller_sandbox takes named arguments only: accounts=3",
    "rows='odd'": "reseller_sandbox: rows is one of 'new', 'old', 'mixed', not 'odd'",
    "currency='XXX'": "reseller_sandbox: no rate for currency 'XXX'*",
    "quirks=None, rows='old'": "reseller_sandbox: name the quirks one by one, *",
}


def test_an_impossible_mark_is_told_in_a_line(run):
    """The test is not run, and no traceback of ours stands round the message."""
    tests = [
        f"@pytest.mark.reseller_sandbox({mark})\ndef test_{n}(reseller_sandbox): pass"
        for n, mark in enumerate(IMPOSSIBLE)
    ]
    result = run("\n".join(["import pytest", *tests]))
    result.assert_outcomes(errors=len(IMPOSSIBLE))
    result.stdout.fnmatch_lines(list(IMPOSSIBLE.values()))
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


FAILING = """
    import pytest

    @pytest.mark.asyncio
    async def test_that_fails(reseller_sandbox, reseller_client):
        reseller_sandbox.add_account(user_id=60)
        reseller_sandbox.fail("lost", operation="transfer_credit")
        reseller_sandbox.fail("limit", operation="update_account", times=None)
        await reseller_client.transfer_credit(60, 12, "USD")

    def test_that_passes(reseller_sandbox): pass

    def test_that_asks_nothing(reseller_sandbox): assert 0

    def test_without(): assert 0

    @pytest.fixture
    def broken(reseller_sandbox): raise ValueError

    def test_that_cannot_begin(broken): pass
    """


def test_a_failure_tells_what_happened_in_the_sandbox(run):
    """The report has one line a request; tests that pass or use no sandbox are left alone."""
    result = run(FAILING, *ASYNCIO)
    result.assert_outcomes(failed=3, passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_that_cannot_begin*",
            "*- reseller sandbox -*",
            "no request arrived",
            "*_ test_that_fails _*",
            "*- reseller sandbox -*",
            "PUT transfer-credit 60 12 USD → applied, answer lost",
            "still armed: limit on update_account, used 0 of any number of times",
            "*_ test_that_asks_nothing _*",
            "*- reseller sandbox -*",
            "no request arrived",
            "*_ test_without _*",
        ]
    )
    assert 3 == result.stdout.str().count("- reseller sandbox -")


def test_the_story_travels_from_a_worker_of_xdist(run):
    """The report is written in one process and printed by another."""
    result = run(FAILING, *ASYNCIO, "-p", "xdist", "-n", "1", "-k", "that_fails")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["PUT transfer-credit 60 12 USD → applied, answer lost"])


def test_the_plugin_imports_pytest_only():
    """Every run of pytest pays for it: no part of the SDK, no HTTP, no attrs before a fixture."""
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import clicksend_reseller.sandbox.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(clicksend_reseller.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    expected = ["clicksend_reseller", "clicksend_reseller.sandbox"]
    assert [*expected, "clicksend_reseller.sandbox.pytest_plugin"] == done.stdout.split()

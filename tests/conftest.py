"""What holds for every test? Hypothesis repeats itself exactly and is never in a hurry.

The package's own pytest plugin is there, also in a checkout that no one has installed.
"""

import logging
import os
import signal
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, settings

import clicksend_reseller
from clicksend_reseller.sandbox import pytest_plugin
from support.heavy import IS_HEAVY
from support.package_under_test import GATE, fault_of_package
from support.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures, shared by all folders

settings.register_profile(
    "ci",
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # the first example waits for a busy machine
)
settings.register_profile("deep", settings.get_profile("ci"), max_examples=20_000)
settings.load_profile("deep" if IS_HEAVY else "ci")

pytest_plugins = ["support.browser", "support.event_loop"]

# Session fixtures that cost seconds.
SHARED = {"browser", "postgres"}

# Coverage measures a worker, and no process that a test starts: they are many, and short.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

# The gate is about the core. What need not reach it would take twice as long if it were measured:
# the tests of other folders, and of the core those that only repeat what others reach.
CORE_ONLY = os.environ.get("CLICKSEND_RESELLER_COVERAGE") == "core"
NOT_MEASURED = {"cli", "docs", "journal", "recipes", "sandbox"}
REPEATING = {"test_earlier_attempts", "test_fault_matrix", "test_promises", "test_wire_faults"}


@pytest.fixture(autouse=True)
def _logging_stays():
    """Put back what a framework under test makes of the root logger: other tests read the log."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def pytest_configure(config):
    """Prepare what every test relies on."""
    _check_package()
    _hear_signals()
    _load_plugin(config)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep tests that share something costly in one worker: one browser, one PostgreSQL."""
    for item in items:
        for name in SHARED.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Measure the tests of the core only, where that is asked for."""
    measuring = coverage.Coverage.current() if CORE_ONLY else None
    if measuring is None or _is_measured(item):
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


def _is_measured(item):
    """Return True for a test that the coverage of the core may hang on."""
    if item.path.parent.name in NOT_MEASURED or item.path.stem in REPEATING:
        return False
    return item.get_closest_marker("hypothesis") is None


def _check_package():
    """Refuse to test another package than this checkout's, byte for byte.

    Under the gate it is the installed wheel; whoever works on the code may have the tree itself.
    """
    problem = fault_of_package(
        Path(clicksend_reseller.__file__).parent,
        Path(__file__).resolve().parents[1] / "clicksend_reseller",
        is_gate=os.environ.get(GATE) == "1",
    )
    if problem:
        raise pytest.UsageError(problem)


def _hear_signals():
    """Give signals back that a background job ignores: commands under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _load_plugin(config):
    """Load the plugin where no entry point did."""
    if not config.pluginmanager.has_plugin("clicksend_reseller"):
        config.pluginmanager.register(pytest_plugin, "clicksend_reseller")

"""What do the tests of the command line stand on? A home of their own, a sandbox next door."""

import pytest

from support import terminal
from support.command_line import Home, default_journal, make_journal, served_sandbox


@pytest.fixture(scope="session")
def _sandbox_process():
    with served_sandbox() as served:
        yield served


@pytest.fixture(scope="session")
def forks():
    """Fork the commands that run at a terminal."""
    with terminal.forks() as started:
        yield started


@pytest.fixture
def served(_sandbox_process):
    """Serve the API to the test, as it was when it was opened."""
    _sandbox_process.reset()
    return _sandbox_process


@pytest.fixture
def home(tmp_path):
    """Give a home without credentials."""
    return Home(tmp_path)


@pytest.fixture
def live(tmp_path, served):
    """Give a home whose environment leads to the served sandbox, with a journal from before."""
    home = Home(tmp_path, served.url)
    make_journal(default_journal(home))
    return home


@pytest.fixture
def fresh(tmp_path, served):
    """Give the same without a journal."""
    return Home(tmp_path, served.url)

"""What do the journal's tests share? A journal on each database, and a sandbox that counts."""

import tempfile
from pathlib import Path

import pytest

from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.sandbox import Sandbox
from support import served_sandbox
from support.forking import Crew
from support.heavy import IS_HEAVY
from support.postgres_proxy import through
from support.quick_folder import in_memory

__all__ = ["through"]  # a fixture

DATABASES = ("sqlite", "asyncpg", "psycopg")


@pytest.fixture
def quick_path():
    """Give a folder in memory where there is one: a kill loses nothing there either."""
    with tempfile.TemporaryDirectory(dir=in_memory()) as name:
        yield Path(name)


@pytest.fixture(params=DATABASES)
def url(request, quick_path):
    """Give the URL of an empty database, of each kind in turn."""
    return _new_url(request, quick_path)


FEW_DATABASES = DATABASES if IS_HEAVY else ("sqlite", "asyncpg")


@pytest.fixture(params=FEW_DATABASES)
def few_urls(request, quick_path):
    """Give the same for tests that take long: both databases, and every driver when heavy."""
    return _new_url(request, quick_path)


@pytest.fixture(params=FEW_DATABASES, scope="module")
def lasting_url(request):
    """Give one for all tests of a file, each of which has keys and clients of its own."""
    with tempfile.TemporaryDirectory(dir=in_memory()) as name:
        yield _new_url(request, name)


def _new_url(request, quick_path):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{quick_path}/transfers.db"
    postgres = request.getfixturevalue("postgres")
    return postgres.url(postgres.new_database(), driver=request.param)


@pytest.fixture
def sandbox():
    """Count what arrives."""
    return Sandbox(credit="1000000")


@pytest.fixture
def opened(url):
    """Make journals on one and the same database."""

    def make(**options):
        return SQLJournal(url, **options)

    return make


@pytest.fixture(scope="session")
def serving():
    """Serve one sandbox for all tests of this folder."""
    with served_sandbox.running() as served:
        yield served


@pytest.fixture
def served(serving):
    """Give that sandbox without any faults."""
    serving.clear_faults()
    yield serving
    serving.clear_faults()


@pytest.fixture(scope="session")
def crew():
    """Have processes at hand."""
    with Crew() as crew:
        yield crew

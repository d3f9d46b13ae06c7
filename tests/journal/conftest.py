"""What do the journal's tests share? A journal on each database, and a sandbox that counts."""

import pytest

from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.sandbox import Sandbox

DATABASES = ("sqlite", "asyncpg", "psycopg")


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """Give the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/transfers.db"
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

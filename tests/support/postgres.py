"""How does a test get a real PostgreSQL? One of its own, on a private port, gone afterwards.

PostgreSQL refuses to run as root, so where the tests do, it runs as somebody unprivileged. The
fixtures stand in `conftest.py`, so that all tests of a run share one server.
"""

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from support.programs import postgres_programs
from support.quick_folder import in_memory

DRIVERS = ("asyncpg", "psycopg")
PATIENCE = 60.0  # seconds for a start or a stop on a busy machine


class Postgres:
    """A server under way.

    Attributes:
        port: on 127.0.0.1.
        folder: data, log and socket.
    """

    def __init__(self, programs, folder, *, fsync):
        self.folder = folder
        self.port = _free_port()
        self._programs = programs
        self._user = _somebody_unprivileged()
        self._numbers = itertools.count(1)
        self._fsync = fsync
        self._process = None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", folder / "data", "-U", "tests", "-A", "trust", "-N", "-E", "UTF8")

    def start(self):
        """Start, and wait until it answers."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "on" if self._fsync else "off",
            "max_connections": 200,
            "shared_buffers": "32MB",
            "autovacuum": "off",  # no database lives so long, and it would take a core's time
        }
        command = [self._programs / "postgres", "-D", self.folder / "data"]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, cwd=self.folder, stdout=log, stderr=log
            )
        self._wait_until_it_answers()

    def stop(self, *, how=signal.SIGINT):
        """End the server by its own process id; SIGINT is a fast end, SIGQUIT an immediate one."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self, *, how=signal.SIGINT):
        """Stop and start again, on the same port."""
        self.stop(how=how)
        self.start()

    def new_database(self):
        """Make an empty database and give its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, database="postgres", *, driver="asyncpg"):
        """Give the URL of a database for SQLAlchemy."""
        return f"postgresql+{driver}://tests@127.0.0.1:{self.port}/{database}"

    def execute(self, statement, *, database="postgres"):
        """Run a statement, and give its rows if it has any."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="tests", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    async def until_waiting(self, database, number=1):
        """Wait until so many sessions of a database wait for a lock."""
        await self._until(number, database, "wait_event_type = 'Lock'")

    async def end_sessions(self, database):
        """End all sessions of a database, as a restart does, and wait until they have ended."""
        self.execute(f"SELECT pg_terminate_backend(pid) {_sessions(database)}")
        await self._until(0, database, "true")

    async def _until(self, number, database, condition):
        question = f"SELECT count(*) {_sessions(database)} AND {condition}"
        async with asyncio.timeout(PATIENCE):
            while [(number,)] != await asyncio.to_thread(self.execute, question):  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.01)

    def _run(self, name, *arguments):
        subprocess.run(
            [self._programs / name, *arguments],
            user=self._user,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _wait_until_it_answers(self):
        ends_at = time.monotonic() + PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if (
                    self._process is None
                    or self._process.poll() is not None
                    or time.monotonic() > ends_at
                ):
                    pytest.fail(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
                time.sleep(0.05)
            else:
                return


def _sessions(database):
    return f"FROM pg_stat_activity WHERE datname = '{database}'"


@contextlib.contextmanager
def running(*, fsync=False):
    """Run a server; without fsync it outlives any kill of processes, but no power loss."""
    programs = postgres_programs()
    with tempfile.TemporaryDirectory(prefix="pg-", dir=None if fsync else in_memory()) as name:
        server = Postgres(programs, Path(name), fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres():
    """Give the server that all tests of this run share."""
    with running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres):
    """Give the URL of a database that nobody else uses."""
    return postgres.url(postgres.new_database())


def _somebody_unprivileged():
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

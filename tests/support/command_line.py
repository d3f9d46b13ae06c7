"""How do the tests run the command line? As its users do: as a process of its own."""

import asyncio
import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import attrs

from clicksend_reseller.cli.app import arranged, make_app, run
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.sandbox import RemoteSandbox

COMMAND = [sys.executable, "-m", "clicksend_reseller.cli"]


@attrs.frozen
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


@attrs.frozen
class Home:
    """A machine's worth of environment: its own home, and the way to a served sandbox."""

    folder: Path
    url: str | None = None
    more: dict[str, str] = attrs.field(factory=dict)

    @property
    def env(self):
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": _import_path()}
        served = {
            "CLICKSEND_BASE_URL": self.url,
            "CLICKSEND_USERNAME": "sandbox",
            "CLICKSEND_API_KEY": "sandbox",
        }
        return {
            **kept,
            "HOME": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "COLUMNS": "80",
            "LANG": "C.UTF-8",
            **(served if self.url else {}),
            **self.more,
        }

    def call(self, *words, given="", **more):
        """Run a command in this process: the same, without the start of an interpreter."""
        arguments = [str(word) for word in words]
        streams = {name: _stream(given if name == "stdin" else "") for name in _STREAMS}
        logger = logging.getLogger("clicksend_reseller")
        before = logger.handlers, logger.level, logger.propagate
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        with (
            mock.patch.dict(os.environ, {**self.env, **more}, clear=True),
            mock.patch.multiple(sys, argv=["clicksend-reseller", *arguments], **streams),
            contextlib.chdir(self.folder),
        ):
            try:
                status = run(arguments)
            finally:
                logger.handlers, logger.level, logger.propagate = before
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        return Ran(status, *(_text(streams[name]) for name in ("stdout", "stderr")))

    def run(self, *words, given="", **more):
        """Run a command to its end, in a process of its own, without a terminal."""
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=600,
            check=False,
            cwd=self.folder,
            env={**self.env, **more},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def run_onto_full_disk(self, *words):
        """Run a command whose rows go to a device that is always full."""
        with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
            done = subprocess.run(
                [*COMMAND, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                cwd=self.folder,
                env=self.env,
            )
        return Ran(done.returncode, "", done.stderr)

    def start(self, *words, **more):
        """Start a command and leave it running."""
        return subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.env, **more},
        )


def parsed(words):
    """Read a command line without running it; a wrong one is an error."""
    app = make_app()
    _, bound, _ = app.meta.parse_args(arranged(words), exit_on_error=False)
    return app.parse_args(bound.args, exit_on_error=False)


def default_journal(home):
    """Give the file of the journal for the served sandbox."""
    port = urlsplit(home.url).port
    return home.folder / "state" / "clicksend-reseller" / f"http-localhost-{port}-v3.db"


def make_journal(file):
    """Make a journal without any transfer."""

    async def make():
        async with SQLJournal(f"sqlite+aiosqlite:///{file}"):
            pass

    file.parent.mkdir(parents=True, mode=0o700)
    file.touch(0o600)
    asyncio.run(make())


def new_account():
    """Give the options that make an account, all but its password."""
    fields = {
        "username": "new",
        "user-email": "a@b.test",
        "user-phone": "+61400000000",
        "user-first-name": "A",
        "user-last-name": "B",
        "account-name": "C",
        "country": "AU",
    }
    return [word for name, value in fields.items() for word in (f"--{name}", value)]


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STREAMS = ("stdin", "stdout", "stderr")


def _stream(text):
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def _text(stream):
    stream.flush()
    return stream.buffer.getvalue().decode()


class Served(RemoteSandbox):
    """A sandbox in another process; what it applied is asked over its own routes."""

    def __init__(self, url):
        super().__init__(url, timeout=10)
        self.url = url

    @property
    def ledger(self):
        return [*super().ledger]

    @property
    def requests(self):
        return [*super().requests]

    @property
    def paid(self):
        """Who got how much, in the order of the ledger."""
        return [(entry.client_user_id, str(entry.amount)) for entry in self.ledger]


def _import_path():
    """Let the command find what the tests find, though it starts in another folder."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(str(Path(path).resolve()) for path in given if path)


@contextmanager
def served_sandbox(*options):
    """Serve a sandbox in a process of its own."""
    command = [sys.executable, "-m", "clicksend_reseller.sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Served(process.stdout.readline().strip())
    finally:
        process.terminate()
        process.communicate(timeout=10)

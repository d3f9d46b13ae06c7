"""Commands at a pseudo-terminal, each in a process that is forked with everything loaded.

Most of what a command costs is the loading of modules. Its process is a child of the test's all
the same, leads a session of its own, and has the terminal for its controlling one: a signal, a key
and a hang-up reach it as they reach a command that a shell has started. `COMMAND` is how a test
starts the real thing, and where there is no Linux every command is started so.
"""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pexpect
from ptyprocess import PtyProcess

from support.command_line import COMMAND

PROGRAM = Path(__file__).with_name("forked_command.py")
PR_SET_CHILD_SUBREAPER = 36
MOST = 1 << 16  # bytes of one order


class Terminal(pexpect.spawn):  # type: ignore[type-arg]  # it takes none when it runs
    """A command at a terminal of its own.

    Args:
        forks: starts it; None to start an interpreter.
        words: of the command line.
        typed: what waits in the terminal when the command starts.
    """

    def __init__(self, forks, words, *, typed="", **options):
        self._forks = forks
        self._typed = typed.encode()
        super().__init__(COMMAND[0], [*COMMAND[1:], *map(str, words)], **options)

    def _spawnpty(self, args, **options):
        if self._forks is None:
            process = PtyProcess.spawn(args, **options)
            process.write(self._typed)
            return process
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, options["dimensions"])
        os.write(ours, self._typed)
        words = [word.decode() for word in args[len(COMMAND) :]]
        return PtyProcess(self._forks.start(words, options["env"], options["cwd"], theirs), ours)


class Forks:
    """A process that has loaded what commands need, and forks them."""

    def __init__(self):
        # Whose parent has ended, as each command's does, becomes this process's child.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "LANG": "C.UTF-8"},
            )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._orders.close()
        self._process.wait(30)

    def start(self, words, env, folder, terminal):
        """Start a command at a terminal, which becomes its own; give its number."""
        order = json.dumps({"words": words, "env": env, "folder": folder}).encode()
        socket.send_fds(self._orders, [order], [terminal])
        os.close(terminal)
        return int(self._orders.recv(MOST))


@contextlib.contextmanager
def forks():
    """Fork commands, where that can be done."""
    if sys.platform != "linux":
        yield None
        return
    with Forks() as started:
        yield started

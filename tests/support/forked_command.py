"""The program that loads what commands need and forks each, for `terminal.py`."""

import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import termios
from pathlib import Path

MODULE = "clicksend_reseller.cli"
MOST = 1 << 16  # bytes of one order


def main():
    """Fork a command for each order."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    load()
    while True:
        order, fds, *_ = socket.recv_fds(orders, MOST, 1)
        if not order:
            return
        [terminal] = fds
        pid = fork_for_another()
        if pid == 0:
            orders.close()
            become(terminal, **json.loads(order))
            return
        os.close(terminal)
        orders.send(str(pid).encode())


def load():
    """Load all modules of the command, and what they load at their first use."""
    from support import journal_jobs  # noqa: PLC0415 - the path is not set at the import

    package = importlib.import_module(MODULE)
    for module in pkgutil.walk_packages(package.__path__, f"{MODULE}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    with contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module(f"{MODULE}.app").run(["--help"])
    journal_jobs.warm_up()
    gc.freeze()


def fork_for_another():
    """Fork, and hand the child on to the test's process; in the child give 0."""
    said, say = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid:
            os.write(say, str(pid).encode())
            os._exit(0)
        os.close(said)
        os.close(say)
        return 0
    os.close(say)
    os.waitpid(between, 0)
    with os.fdopen(said) as answer:
        return int(answer.read())


def become(terminal, words, env, folder):
    """Be the command, as if an interpreter had started for it at that terminal."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
    os.close(terminal)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.stdin, sys.stdout, sys.stderr = map(open_anew, (sys.stdin, sys.stdout, sys.stderr))
    sys.argv[1:] = words
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


def open_anew(stream):
    """Open a standard stream on what its descriptor is now; a terminal is written line by line."""
    how = {"encoding": stream.encoding, "errors": stream.errors}
    return open(stream.fileno(), stream.mode, closefd=False, **how)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()

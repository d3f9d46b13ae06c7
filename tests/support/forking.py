"""How does a test run a job in a process that it may lose?

A crew is one process that has everything loaded and forks a child for each job, so that a job
costs milliseconds. Its own file is the program; a job is an async function in `journal_jobs.py`.
"""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Crew:
    """The test's end."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._number = 0
        self._ended = {}
        self._heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def start(self, job, **arguments):
        """Start a job in a child of its own."""
        self._number += 1
        self._tell({"number": self._number, "job": job, "arguments": arguments})
        while True:
            said = self._hear()
            if "pid" in said:
                return Job(self, said["number"], said["pid"])

    def run(self, job, **arguments):
        """Run a job to its end; give what it returns, or the signal that ended it."""
        return self.start(job, **arguments).wait()

    def kill(self, number):
        """Have a child killed, by the process that knows whether it is still there."""
        self._tell({"kill": number})

    def wait_for(self, number):
        while number not in self._ended:
            self._hear()
        return self._ended.pop(number)

    def has_ended(self, number):
        while number not in self._ended and self._has_something_to_say():
            self._hear()
        return number in self._ended

    def _has_something_to_say(self):
        assert self._process.stdout
        # What has been read already is seen by no select.
        return b"\n" in self._heard or select.select([self._process.stdout], [], [], 0)[0]

    def _tell(self, what):
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()

    def _hear(self):
        assert self._process.stdout
        while b"\n" not in self._heard:
            more = os.read(self._process.stdout.fileno(), 65536)
            assert more, "the crew is gone"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        said = json.loads(line)
        if "result" in said:
            self._ended[said["number"]] = said["result"]
        return said


class Job:
    """A child that does something."""

    def __init__(self, crew, number, pid):
        self.pid = pid
        self._crew = crew
        self._number = number

    def wait(self):
        """Give what it returns; `{"signal": 9}` where it was killed."""
        return self._crew.wait_for(self._number)

    def has_ended(self):
        """Look without waiting."""
        return self._crew.has_ended(self._number)

    def kill(self):
        """End it as a power cut would end it."""
        self._crew.kill(self._number)


# --- the other end


def main():
    """Fork a child for each line on stdin, and say how each ends."""
    sys.path.insert(0, str(HERE.parent))
    from support import journal_jobs  # noqa: PLC0415 - only the crew's own process needs it

    journal_jobs.warm_up()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, tuple[int, int]] = {}
    orders = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(children)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                break
            *lines, orders = (orders + read).split(b"\n")
            for order in map(json.loads, lines):
                if "kill" in order:
                    _kill(order["kill"], children)
                else:
                    _fork(order, children, journal_jobs)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _fork(order, children, jobs):
    out, result = os.pipe()
    pid = os.fork()
    if pid == 0:
        _do(order, result, jobs)
    os.close(result)
    children[pid] = (order["number"], out)
    _say({"number": order["number"], "pid": pid})


def _kill(number, children):
    for pid, (known, _) in children.items():
        if known == number:
            os.kill(pid, signal.SIGKILL)


def _do(order, result, jobs):
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        answer = jobs.run(order["job"], order["arguments"])
        os.write(result, json.dumps(answer).encode())
        status = 0
    except BaseException:  # noqa: BLE001 - shown, and the exit status tells
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _bury(children):
    for pid in [*children]:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            number, out = children.pop(pid)
            with os.fdopen(out) as answer:
                words = answer.read()
            killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
            failed = {"signal": killed} if killed else {"failed": os.WEXITSTATUS(status)}
            _say({"number": number, "result": json.loads(words) if words else failed})


def _say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

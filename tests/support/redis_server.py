"""How does a test get a Redis of its own? Debian's `redis-server`, on a private loopback port.

It keeps nothing on disk, and ends with the context.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import attrs

from support.programs import program


@attrs.define
class RedisServer:
    """A server that can be stopped and started again on the same port."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        log = (self.folder / "redis.log").open("ab")
        with log:
            self.process = subprocess.Popen([program("redis-server"), *words], stdout=log)
        self._wait()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _wait(self) -> None:
        ends = time.monotonic() + 20
        while time.monotonic() < ends and self.process and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        raise RuntimeError((self.folder / "redis.log").read_text())


@contextlib.contextmanager
def redis_server(folder: Path) -> Generator[RedisServer]:
    """Start a server whose log stands in a folder; give it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = RedisServer(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()

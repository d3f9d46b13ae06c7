"""How does a test run the portal? As a process of its own, that can be killed and started again."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

APP = Path(__file__).parents[2] / "docs" / "examples" / "portal" / "app.py"
PATIENCE = 120.0  # seconds for a start on a busy machine


class PortalProcess:
    """The portal beside a served sandbox.

    Attributes:
        url: where it answers, with a slash at its end.
        journal: the file of its journal.
    """

    def __init__(self, folder: Path, account: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"
        self.journal = folder / "portal.db"
        self._log = folder / "portal.log"
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        env = {
            **os.environ,
            **self._account,
            "PORTAL_PORT": str(self._port),
            "PORTAL_JOURNAL": f"sqlite+aiosqlite:///{self.journal}",
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, APP], env=env, stdout=log, stderr=log)
        ends = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                self.kill()
                raise RuntimeError(f"the portal did not start: {self.log}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text("utf-8")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}static/portal.css", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

"""How does a test use a sandbox that runs in another process, as an oracle nobody can sway?"""

import contextlib
import itertools
import json
import subprocess
import sys
import urllib.request
from collections import Counter

from clicksend_reseller import AsyncResellerClient, RetryPolicy
from support.heavy import rounds

CLIENTS = rounds(6_000, 60_000)
FIRST = 1013  # those before it are the cast, with habits of their own
QUICK = RetryPolicy(base_delay=0.001, max_delay=0.01)


class ServedSandbox:
    """A sandbox under way.

    Attributes:
        url: the base URL of its clients.
    """

    def __init__(self, url):
        self.url = url
        self._admin = url.removesuffix("/v3") + "/_sandbox"
        self._ids = itertools.count(FIRST)

    def client(self, **options):
        """Make a client of it, in this process."""
        return make_client(self.url, **options)

    def new_clients(self, number):
        """Give ids of clients that no other test has used."""
        ids = list(itertools.islice(self._ids, number))
        assert ids[-1] < FIRST + CLIENTS
        return ids

    def new_client(self):
        """Give the id of one."""
        return self.new_clients(1)[0]

    def applied(self):
        """Count the transfers that were applied, by client."""
        return Counter(entry["client_user_id"] for entry in self._ask("/ledger"))

    def applied_to(self, client_user_id):
        """Count those to one client."""
        return self.applied()[client_user_id]

    def arm(self, kind, **where):
        """Let transfers fail so."""
        self._ask("/faults", {"kind": kind, "operation": "transfer_credit", **where})

    def clear(self):
        """Let nothing fail any more."""
        self._send("/faults", method="DELETE")

    def _ask(self, path, body=None):
        return json.loads(self._send(path, body=body))

    def _send(self, path, *, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        url = self._admin + path
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return answer.read()


def make_client(url, **options):
    """Make a client of a served sandbox."""
    return AsyncResellerClient("sandbox", "sandbox", base_url=url, **{"retry": QUICK, **options})


@contextlib.contextmanager
def running():
    """Serve a sandbox in a process of its own."""
    command = [sys.executable, "-m", "clicksend_reseller.sandbox", "--port", "0"]
    command += ["--accounts", str(CLIENTS), "--credit", "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield ServedSandbox(process.stdout.readline().strip())
        finally:
            process.terminate()

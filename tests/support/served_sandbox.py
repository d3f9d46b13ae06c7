"""A sandbox in another process, as an oracle that no code under test can sway."""

import contextlib
import itertools
import subprocess
import sys
from collections import Counter

from clicksend_reseller import AsyncResellerClient, RetryPolicy
from clicksend_reseller.sandbox import RemoteSandbox
from support.heavy import rounds

CLIENTS = rounds(6_000, 60_000)
FIRST = 1013  # those before it are fixed, with habits of their own
QUICK = RetryPolicy(base_delay=0.001, max_delay=0.01)


class ServedSandbox(RemoteSandbox):
    """A sandbox under way.

    Attributes:
        url: the base URL of its clients.
    """

    def __init__(self, url):
        super().__init__(url, timeout=60)
        self.url = url
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
        return Counter(entry.client_user_id for entry in self.ledger)

    def applied_to(self, client_user_id):
        """Count those to one client."""
        return self.applied()[client_user_id]

    def fail_transfers(self, kind, **where):
        """Let transfers fail so."""
        self.fail(kind, operation="transfer_credit", **where)


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

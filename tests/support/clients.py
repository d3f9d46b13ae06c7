"""How do tests make a client for a server of theirs?"""

import contextlib
from collections.abc import AsyncIterator

import httpx

from clicksend_reseller import AccountFields, AsyncResellerClient, RetryPolicy
from support.fault_server import FaultServer

QUICK = RetryPolicy(base_delay=0.001, max_delay=0.005)
ONCE = RetryPolicy(max_retries=0)

# What the server has applied after `transfer`.
TRANSFER = {("transfer", 1, 5): 1}

FIELDS = AccountFields(
    username="acme2",
    password="open-sesame-please",
    user_email="owner@acme2.test",
    user_phone="+15005550002",
    user_first_name="Ann",
    user_last_name="Example",
    account_name="Acme Two",
    country="US",
)


def make_client(server: FaultServer, **options) -> AsyncResellerClient:
    """Make a client that repeats quickly; options win over what tests usually want."""
    defaults = {"base_url": server.url, "retry": QUICK}
    return AsyncResellerClient("user", "key-of-the-tests", **{**defaults, **options})


def transfer(client: AsyncResellerClient):
    """Make the one transfer of tests that care for nothing but how it ends."""
    return client.transfer_credit(1, 5, "AUD")


@contextlib.asynccontextmanager
async def mocked_client(answer, **options) -> AsyncIterator[AsyncResellerClient]:
    """Make a client whose requests go to a function."""
    options |= {"transport": httpx.MockTransport(answer), "retry": QUICK}
    async with AsyncResellerClient("user", "key", **options) as client:
        yield client

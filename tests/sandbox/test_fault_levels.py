import asyncio

import httpx
import httpx2
import pytest
import pytest_asyncio

from clicksend_reseller import AsyncResellerClient, ResellerError, RetryPolicy
from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.service.faults import KINDS, SERVED_KINDS

in_loop = pytest.mark.asyncio(loop_scope="module")

FAMILIES = {"httpx": httpx, "httpx2": httpx2}
TRANSFER = {"client_user_id": 1001, "balance": 12, "currency": "AUD"}
IN_DOUBT = "TransferOutcomeUnknownError unknown"

# Kind: what the library sees of a transfer, an error or a status; what the client makes of it;
# how often it was applied. The same in process and on a socket, in httpx and in httpx2.
TABLE = {
    "refuse": ("ConnectError", "APIConnectionError not_sent", 0),
    "reset": ("ReadError", IN_DOUBT, 0),
    "lost": ("RemoteProtocolError", IN_DOUBT, 1),
    "hang": ("silence", IN_DOUBT, 1),
    "drip": ("silence", IN_DOUBT, 1),
    "cut": ("RemoteProtocolError", IN_DOUBT, 1),
    "garbage": ("RemoteProtocolError", IN_DOUBT, 1),
    "page": (502, IN_DOUBT, 1),
    "empty": (200, IN_DOUBT, 1),
    "error": (500, IN_DOUBT, 0),
    "limit": (429, "RateLimitError rejected", 0),
    "redirect": (307, IN_DOUBT, 0),
    "slow": (200, "a receipt", 1),
}


def patience(kind):
    """Give the seconds for one try; all but silence is waited for, however busy the machine is.

    A drip's pause is shorter, and no silence to a library.
    """
    return 0.25 if TABLE[kind][0] == "silence" else 10.0


CASES = [("in process", kind) for kind in KINDS] + [("on a socket", kind) for kind in SERVED_KINDS]


class Level:
    """One sandbox, reached in one of two ways."""

    def __init__(self, name, sandbox, url):
        self.name = name
        self.sandbox = sandbox
        self.url = url

    def library_client(self, family):
        """Make a client of the library itself, which waits for ever."""
        library = FAMILIES[family]
        own = {"transport": self.sandbox.transport(family)} if self.name == "in process" else {}
        return library.AsyncClient(
            base_url=self.url, auth=("sandbox", "sandbox"), trust_env=False, timeout=None, **own
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def levels():
    """Open two sandboxes for the whole file, one of them served."""
    near, far = Sandbox(), Sandbox()
    async with far.serve() as served:
        yield {
            "in process": Level("in process", near, "http://localhost/v3"),
            "on a socket": Level("on a socket", far, served.url),
        }


@pytest.fixture
def armed(levels):
    """Arm a fault on one level, in a state that is as new."""

    def arm(level, kind):
        sandbox = levels[level].sandbox
        sandbox.reset()
        sandbox.fail(kind, operation="transfer_credit", seconds=0.01)
        return levels[level]

    return arm


def told(kind):
    """What the ledger must say of a kind, entry by entry."""
    return [kind == "slow"] * TABLE[kind][2]


async def seen_by(library, call, seconds):
    """Give the status of the answer, or the name of the library's error."""
    try:
        async with asyncio.timeout(seconds):
            return (await call).status_code
    except library.TransportError as exc:
        return type(exc).__name__
    except TimeoutError:
        return "silence"


@in_loop
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("level", "kind"), CASES)
async def test_a_library_sees_the_fault_and_the_ledger_knows_the_truth(armed, level, kind, family):
    """The error's class or the status, what was applied, and whether the caller was told."""
    there = armed(level, kind)
    async with there.library_client(family) as client:
        call = client.put("/reseller/transfer-credit", json=TRANSFER)
        seen = await seen_by(FAMILIES[family], call, patience(kind))
    assert TABLE[kind][0] == seen
    assert told(kind) == [entry.told for entry in there.sandbox.ledger]


@in_loop
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("level", "kind"), CASES)
async def test_the_client_says_of_each_fault_what_can_be_known(armed, level, kind, family):
    """One send, one entry at most, and an error that names the outcome."""
    there = armed(level, kind)
    async with (
        there.library_client(family) as library_client,
        AsyncResellerClient(
            "sandbox",
            "sandbox",
            base_url=there.url,
            http_client=library_client,
            timeout=patience(kind),
            retry=RetryPolicy(max_retries=0),
        ) as client,
    ):
        try:
            await client.transfer_credit(1001, 12, "AUD")
            said = "a receipt"
        except ResellerError as error:
            said = f"{type(error).__name__} {error.outcome}"
    assert TABLE[kind][1] == said
    assert told(kind) == [entry.told for entry in there.sandbox.ledger]
    assert (0 if kind == "refuse" else 1) == len(there.sandbox.requests)


def test_every_kind_stands_in_the_table():
    """A new kind comes with what is seen of it."""
    assert list(KINDS) == list(TABLE)

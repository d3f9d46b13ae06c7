"""A process is lost at every step, then the same call is made again."""

import asyncio
import time
import uuid

import pytest

from clicksend_reseller import TransferState
from clicksend_reseller.journal import SQLJournal
from support.journal_jobs import COMMIT_POINTS, JOURNAL_POINTS, TRANSPORT_POINTS

INTENDED, SENT, CONFIRMED = TransferState.INTENDED, TransferState.SENT, TransferState.CONFIRMED
UNKNOWN = "TransferOutcomeUnknownError"

# For each point: applied and on record after the crash; what the same call then says.
NOTHING = (0, None, "paid")
RECORDED = (0, INTENDED, "paid")
CLAIMED = (0, SENT, UNKNOWN)
APPLIED = (1, SENT, UNKNOWN)
SETTLED = (1, CONFIRMED, "replayed")
AFTER = {
    "before intend": NOTHING,
    "after intend": RECORDED,
    "before claim": RECORDED,
    "after claim": CLAIMED,
    "before settle": APPLIED,
    "after settle": SETTLED,
    "before the first chunk": RECORDED,
    "between the chunks": CLAIMED,
    "after the last chunk": APPLIED,
    "before the answer": APPLIED,
    "after the answer": APPLIED,
    "before commit of intend": NOTHING,
    "after commit of intend": RECORDED,
    "before commit of claim": RECORDED,
    "after commit of claim": CLAIMED,
    "before commit of settle": APPLIED,
    "after commit of settle": SETTLED,
}


def on_record(url, key):
    """Read the state of a key, and whether a person is told of it."""

    async def read():
        async with SQLJournal(url) as journal:
            entry = await journal.get(key)
            listed = [each.key async for each in journal.unresolved(older_than=0.0)]
            return entry and entry.state, key in listed

    return asyncio.run(read())


def wait_until(condition):
    """Wait for what the server does after the process is gone; give up after ten seconds."""
    ends_at = time.monotonic() + 10
    while not condition() and time.monotonic() < ends_at:
        time.sleep(0.01)


def check(url, crew, served, point):
    """Lose a process at a point, and make the same call again."""
    key, client = f"{point}-{uuid.uuid4().hex}", served.new_client()
    call = {"url": url, "base_url": served.url, "key": key, "client_user_id": client}
    assert {"signal": 9} == crew.run("transfer", point=point, **call)
    applied, state, then = AFTER[point]
    wait_until(lambda: served.applied_to(client) >= applied)
    assert served.applied_to(client) == applied
    assert (state, state is SENT) == on_record(url, key)
    assert then == crew.run("transfer", **call)
    assert served.applied_to(client) == (1 if then == "paid" else applied)
    assert on_record(url, key) == ((SENT, True) if then == UNKNOWN else (CONFIRMED, False))


@pytest.mark.parametrize("point", [*JOURNAL_POINTS, *TRANSPORT_POINTS])
def test_a_process_lost_anywhere_neither_pays_twice_nor_forgets(lasting_url, crew, served, point):
    """Whatever may have left stays `sent` and is listed; whatever has not is paid by the rerun."""
    check(lasting_url, crew, served, point)


@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_a_process_lost_around_a_commit_of_sqlite(quick_path, crew, served, point):
    """The commit is the border: before it nothing is on record, after it everything is."""
    check(f"sqlite+aiosqlite:///{quick_path}/transfers.db", crew, served, point)


def test_each_point_has_its_expectation():
    """A point that nobody looks at proves nothing."""
    assert set(AFTER) == {*JOURNAL_POINTS, *TRANSPORT_POINTS, *COMMIT_POINTS}

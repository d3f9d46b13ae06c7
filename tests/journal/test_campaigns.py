"""Many transfers, several processes, faults on the wire and random kills; nothing twice or lost."""

import asyncio
import random
import time
import uuid
from collections import Counter

import pytest

from clicksend_reseller import TransferState
from clicksend_reseller.journal import SQLJournal
from support.heavy import rounds

PROCESSES = 4
CONFIRMED, REJECTED, UNKNOWN = (
    TransferState.CONFIRMED,
    TransferState.REJECTED,
    TransferState.UNKNOWN,
)

# A third of all transfers meets one of these, the first that strikes; enough of each in few rounds.
FAULTS = (
    {"kind": "reset", "chance": 0.03},
    {"kind": "lost", "chance": 0.06},
    {"kind": "cut", "chance": 0.04},
    {"kind": "garbage", "chance": 0.03},
    {"kind": "error", "chance": 0.03, "status": 502, "applied": True},
    {"kind": "error", "chance": 0.08, "status": 400, "response_code": "BAD_REQUEST"},
    {"kind": "limit", "chance": 0.03, "retry_after": 0},
    {"kind": "hang", "chance": 0.01},
)


def on_record(url):
    """Read the newest round of each key, and who is listed for a person."""

    async def read():
        async with SQLJournal(url) as journal:
            newest = {entry.key: entry async for entry in journal.entries()}
            listed = {entry.key async for entry in journal.unresolved(older_than=0.0)}
            return newest, listed

    return asyncio.run(read())


def arm_all(served):
    """Let a third fail."""
    for fault in FAULTS:
        served.fail_transfers(times=None, **fault)


def run_with_kills(crew, served, url, *, seed, most):
    """Keep four workers at it; kill one at random moments, and put another in its place."""
    dice, workers, kills = random.Random(seed), {}, 0
    for place in range(PROCESSES):
        workers[place] = crew.start("work", url=url, base_url=served.url, seed=place)
    while workers:
        time.sleep(dice.uniform(0.1, 0.5))  # a kill at any moment is what this is about
        for place, worker in [*workers.items()]:
            if worker.has_ended():
                said = worker.wait()
                if said == "done":
                    del workers[place]
                    continue
                assert {"signal": 9} == said
                seed = dice.randrange(10**9)
                workers[place] = crew.start("work", url=url, base_url=served.url, seed=seed)
        if workers and kills < most:
            workers[dice.choice([*workers])].kill()
            kills += 1
    return kills


@pytest.mark.heavy
def test_nothing_is_paid_twice_or_lost(few_urls, crew, served, capsys):
    """Every key ends confirmed, rejected or listed, and the ledger agrees with the certain ones."""
    clients = served.new_clients(rounds(100, 10_000))
    keys = [(f"{uuid.uuid4().hex}", client) for client in clients]
    assert len(keys) == crew.run("intend", url=few_urls, keys=keys)
    arm_all(served)
    began = time.monotonic()
    kills = run_with_kills(crew, served, few_urls, seed=7, most=rounds(5, 200))
    seconds = time.monotonic() - began
    newest, listed = on_record(few_urls)
    applied = served.applied()
    of_client = {entry.client_user_id: entry for entry in newest.values()}
    states = Counter(str(entry.state) for entry in newest.values())
    was_applied = sum(applied[newest[key].client_user_id] for key in listed)
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what this test is for
            f"\n{few_urls.partition(':')[0]}: {len(keys)} transfers, {kills} kills, "
            f"{seconds:.0f} s: {dict(states)}; {len(listed)} unknown, {was_applied} of them applied"
        )
    assert 1 == max(applied[client] for client in clients)
    assert set(clients) == set(of_client)
    assert set() == {"intended", "refuted"} & set(states)
    assert listed == {k for k, entry in newest.items() if entry.state not in {CONFIRMED, REJECTED}}
    for client, entry in of_client.items():
        if entry.state is CONFIRMED:
            assert 1 == applied[client]
        if entry.state is REJECTED:
            assert 0 == applied[client]
    assert {"confirmed", "rejected", "unknown"} <= set(states)
    assert kills > 2


@pytest.mark.heavy
def test_one_key_in_many_processes_is_sent_once(few_urls, crew, served):
    """All of them make the same calls in the same order; each key has one winner."""
    keys = [(uuid.uuid4().hex, client) for client in served.new_clients(rounds(20, 1_000))]
    call = {"url": few_urls, "base_url": served.url, "keys": keys}
    crew.run("race", **{**call, "keys": []})  # the table is there
    racers = [crew.start("race", **call) for _ in range(rounds(4, 8))]
    ended = [racer.wait() for racer in racers]
    applied = served.applied()
    assert [1] * len(keys) == [applied[client] for _, client in keys]
    assert len(keys) == sum(each.get("paid", 0) for each in ended)
    assert {"paid", "replayed", "UnsettledTransferError", "TransferOutcomeUnknownError"} >= set(
        Counter(word for each in ended for word in each)
    )


@pytest.mark.heavy
def test_two_keys_for_one_client_have_one_winner(few_urls, crew, served):
    """No answer comes, so whichever key was sent keeps its client; the other is never sent."""
    served.fail_transfers("lost", times=None)
    clients = served.new_clients(rounds(12, 100))
    keys = [(uuid.uuid4().hex, client) for client in [*clients, *clients]]
    call = {"url": few_urls, "base_url": served.url}
    crew.run("race", keys=[], **call)
    dice = random.Random(3)
    racers = []
    for _ in range(rounds(4, 8)):
        dice.shuffle(keys)
        racers.append(crew.start("race", keys=keys, **call))
    for racer in racers:
        assert "paid" not in racer.wait()
    applied = served.applied()
    assert [1] * len(clients) == [applied[client] for client in clients]
    newest, listed = on_record(few_urls)
    assert len(clients) == len(listed)
    states = Counter(entry.state for entry in newest.values())
    assert {UNKNOWN: len(clients), TransferState.INTENDED: len(clients)} == states

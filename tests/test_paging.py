import asyncio
import logging
import random
import tracemalloc
from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller.models import AccountPage
from clicksend_reseller.paging import AccountIterator, WalkReport
from support.event_loop import a_few_turns, tasks_left
from support.fake_list import FakeList, account, ids_of, take

# -- in order, and how much is asked


@pytest.mark.parametrize("prefetch", [0, 1, 3, 8, 50])
async def test_accounts_come_in_order_and_each_page_is_asked_once(prefetch):
    """Whatever is fetched ahead, the walk gives the list as it stands."""
    server = FakeList(range(45), cap=5)
    walk = AccountIterator(server, prefetch=prefetch)
    assert list(range(45)) == await ids_of(walk)
    assert [(page, 100) for page in range(1, 10)] == server.asked
    assert not tasks_left()
    assert walk.report == WalkReport(
        pages=9,
        accounts=45,
        duplicates=0,
        first_total=45,
        total=45,
        next_page=None,
        complete=True,
    )


async def test_pages_come_in_order_when_answers_do_not():
    """A later page that is answered first waits for its turn."""
    gates = {page: asyncio.Event() for page in range(4, 9)}
    walk = AccountIterator(FakeList(range(8), cap=1, gates=gates), prefetch=8)
    assert await take(walk, 3) == [0, 1, 2]
    rest = asyncio.create_task(ids_of(walk))
    for page in range(8, 3, -1):
        await a_few_turns()
        assert not rest.done()
        gates[page].set()
    assert await rest == [3, 4, 5, 6, 7]


async def test_without_prefetch_no_page_is_asked_before_it_is_needed():
    """The default wastes no request, wherever the caller stops."""
    server = FakeList(range(10), cap=2)
    walk = AccountIterator(server)
    assert await take(walk, 2) == [0, 1]
    await a_few_turns()
    assert server.pages_asked == [1]
    assert await take(walk, 1) == [2]
    assert server.pages_asked == [1, 2]
    assert server.most_in_flight == 1


async def test_fetching_ahead_begins_with_one_page_and_doubles():
    """Who stops on the first page wastes one request, and a long walk soon runs at full width."""
    server = FakeList(range(30), cap=1)
    walk = AccountIterator(server, prefetch=8)
    reach = []
    for _ in range(6):
        await anext(walk)
        await a_few_turns()
        reach.append(max(server.pages_asked))
    assert reach == [1 + 1, 2 + 2, 3 + 4, 4 + 8, 5 + 8, 6 + 8]


async def test_a_hundred_pages_at_prefetch_8_take_thirteen_latencies():
    """The window opens as pages are read, so that hardly a wait is lost to its growth."""
    server, gates = FakeList(range(100), cap=1), list[asyncio.Event]()

    async def fetch(page, limit):
        gates.append(gate := asyncio.Event())
        await gate.wait()
        return server.answer(page, limit)

    walking = asyncio.create_task(ids_of(AccountIterator(fetch, prefetch=8)))
    latencies = 0
    while not walking.done():
        for _ in range(10):
            await a_few_turns()
        latencies += bool(gates)
        while gates:
            gates.pop().set()
    assert list(range(100)) == await walking
    assert 13 == latencies


async def test_a_held_walk_keeps_at_most_prefetch_pages():
    """However long the caller holds one account, no more is fetched than was allowed."""
    server = FakeList(range(30), cap=1)
    walk = AccountIterator(server, prefetch=3)
    assert list(range(10)) == await take(walk, 10)
    for _ in range(20):
        await a_few_turns()
    assert list(range(1, 14)) == server.pages_asked
    assert len(walk._fetches._tasks) == 3
    assert server.most_in_flight <= 4


async def test_the_page_being_waited_for_and_prefetch_more_are_in_flight():
    """The waits overlap as far as the caller allows, and no further."""
    gates = {page: asyncio.Event() for page in range(5, 31)}
    server = FakeList(range(30), cap=1, gates=gates)
    walk = AccountIterator(server, prefetch=4)
    assert await take(walk, 4) == [0, 1, 2, 3]
    waiting = asyncio.create_task(ids_of(walk))
    await a_few_turns()
    assert server.in_flight == 5
    for gate in gates.values():
        gate.set()
    assert list(range(4, 30)) == await waiting
    assert server.most_in_flight == 5


@pytest.mark.parametrize("prefetch", [0, 2])
async def test_a_walk_begins_where_it_is_told(prefetch):
    """With `start_page` the pages before it are neither asked for nor missed in the report."""
    server = FakeList(range(10), cap=3)
    walk = AccountIterator(server, start_page=3, prefetch=prefetch)
    assert walk.report.next_page == 3
    assert await ids_of(walk) == [6, 7, 8, 9]
    assert server.pages_asked == [3, 4]
    assert walk.report.complete


async def test_a_walk_that_begins_behind_the_end_gives_nothing():
    """There is nothing from there on, and that is complete."""
    walk = AccountIterator(FakeList(range(10), cap=3), start_page=9)
    assert await ids_of(walk) == []
    assert walk.report.complete


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"start_page": 0}, ValueError),
        ({"start_page": -1}, ValueError),
        ({"limit": 0}, ValueError),
        ({"prefetch": -1}, ValueError),
        ({"prefetch": True}, TypeError),
        ({"start_page": True}, TypeError),
        ({"limit": "100"}, TypeError),
        ({"limit": 1.0}, TypeError),
        ({"prefetch": None}, TypeError),
    ],
)
def test_wrong_numbers_are_refused_at_once(wrong, error):
    """Misuse is told where it is written, not at the first account."""
    with pytest.raises(error, match=next(iter(wrong))):
        AccountIterator(FakeList([]), **wrong)


# -- servers that are not to be trusted


async def test_an_empty_list_is_one_request():
    """An empty list answers total 0 and last_page 0."""
    server = FakeList([])
    walk = AccountIterator(server, prefetch=4)
    assert await ids_of(walk) == []
    assert server.pages_asked == [1]
    assert walk.report.complete


async def test_a_short_page_is_not_the_end():
    """Only `last_page` or a page without rows ends a walk."""
    rows = {1: (account(1),), 2: (account(2), account(3), account(4))}
    server = FakeList(range(6), cap=3, lies=lambda page: {"accounts": rows[page]})
    assert await ids_of(AccountIterator(server)) == [1, 2, 3, 4]


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_a_last_page_that_is_too_large_ends_at_a_page_without_rows(prefetch):
    """The rows count, and at most `prefetch` requests go past them."""
    server = FakeList(range(6), cap=2, lies={"last_page": 1000})
    walk = AccountIterator(server, prefetch=prefetch)
    assert list(range(6)) == await ids_of(walk)
    assert 4 + prefetch >= max(server.pages_asked)
    assert walk.report.complete
    assert not tasks_left()


async def test_a_last_page_that_is_too_small_is_reported(caplog):
    """The walk ends where the server says, and the report says that it cannot be all."""
    server = FakeList(range(6), cap=2, lies={"last_page": 2})
    walk = AccountIterator(server, prefetch=3)
    assert await ids_of(walk) == [0, 1, 2, 3]
    assert server.pages_asked == [1, 2]
    assert not walk.report.complete
    assert [record.name for record in caplog.records] == ["clicksend_reseller"]


@pytest.mark.parametrize("current_page", [0, 1, 99, None])
async def test_the_page_asked_for_counts_not_the_one_answered(current_page):
    """A wrong `current_page` neither ends a walk nor makes it endless."""
    server = FakeList(range(6), cap=2, lies={"current_page": current_page})
    walk = AccountIterator(server)
    assert list(range(6)) == await ids_of(walk)
    assert server.pages_asked == [1, 2, 3]
    assert walk.report.complete


async def test_a_server_that_counts_nothing_is_walked_to_its_end():
    """Without a single number the rows still say when it is over; completeness is unproven."""
    lies = dict.fromkeys(["total", "per_page", "current_page", "last_page"])
    walk = AccountIterator(FakeList(range(6), cap=2, lies=lies), prefetch=2)
    assert list(range(6)) == await ids_of(walk)
    assert (walk.report.first_total, walk.report.total) == (None, None)
    assert not walk.report.complete


async def test_a_total_that_is_missing_in_one_answer_is_no_change():
    """Nothing said is nothing contradicted."""
    server = FakeList(range(6), cap=2, lies=lambda page: {"total": None} if page == 2 else {})
    walk = AccountIterator(server)
    assert list(range(6)) == await ids_of(walk)
    assert walk.report.complete
    assert server.pages_asked == [1, 2, 3]


@pytest.mark.parametrize("prefetch", [0, 4])
async def test_a_server_that_answers_the_same_rows_for_ever_is_left(prefetch):
    """A page that brings nothing but accounts already seen ends each of the two passes."""
    same = (account(1), account(2))
    server = FakeList([], lies={"accounts": same, "last_page": 10**9, "total": 10**9})
    walk = AccountIterator(server, prefetch=prefetch)
    assert await ids_of(walk) == [1, 2]
    assert 2 * (2 + prefetch) >= len(server.asked)
    assert not walk.report.complete
    assert not tasks_left()


async def test_an_account_twice_in_one_page_comes_once():
    """The first of the two rows stands."""
    rows = (account(1), account(2), attrs.evolve(account(1), username="again"))
    server = FakeList(range(2), lies={"accounts": rows})
    assert [account(1), account(2)] == [each async for each in AccountIterator(server)]


# -- a list that moves


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_an_account_created_in_front_is_found_and_none_comes_twice(prefetch, caplog):
    """New rows push old ones into the next page: no repeats, and the new one comes last."""
    server = FakeList(range(6), cap=2, changes=[lambda ids: ids.insert(0, 99)])
    walk = AccountIterator(server, prefetch=prefetch)
    assert await ids_of(walk) == [0, 1, 2, 3, 4, 5, 99]
    assert walk.report == WalkReport(
        pages=8,
        accounts=7,
        duplicates=1,
        first_total=6,
        total=7,
        next_page=None,
        complete=True,
    )
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING


async def test_an_account_that_slips_into_a_page_already_read_is_found():
    """A deletion pulls a row forward past the reader: only the changed total tells."""
    server = FakeList(range(6), cap=2, changes=[lambda ids: ids.remove(0)])
    walk = AccountIterator(server)
    assert await ids_of(walk) == [0, 1, 3, 4, 5, 2]
    assert server.pages_asked == [1, 2, 3, 1, 2, 3]
    assert walk.report.complete


async def test_a_row_that_comes_twice_is_sign_enough():
    """Rows that swap places leave the total as it was."""
    server = FakeList(range(6), cap=2, changes=[lambda ids: ids.reverse()])
    walk = AccountIterator(server)
    assert sorted(await ids_of(walk)) == list(range(6))
    assert walk.report.duplicates == 2
    assert walk.report.complete


async def test_a_total_that_disagrees_by_itself_is_reported_and_not_chased(caplog):
    """A second pass would meet the same rows: it is kept for rows that were seen to move."""
    server = FakeList(range(6), cap=2, lies={"total": 7})
    walk = AccountIterator(server)
    assert list(range(6)) == await ids_of(walk)
    assert server.pages_asked == [1, 2, 3]
    assert not walk.report.complete
    assert ["6 accounts met, 7 counted" in record.message for record in caplog.records] == [True]


async def test_a_walk_begun_further_on_looks_for_nothing_again():
    """It was not asked for the pages before, so it cannot tell what moved there."""
    server = FakeList(range(9), cap=2, changes=[lambda ids: ids.insert(0, 99)])
    walk = AccountIterator(server, start_page=2)
    assert await ids_of(walk) == [2, 3, 4, 5, 6, 7, 8]
    assert server.pages_asked == [2, 3, 4, 5]
    assert not walk.report.complete


async def test_a_list_that_never_stands_still_is_read_twice_and_no_more(caplog):
    """The second pass is the last one, and the drift is logged once."""
    new = iter(range(100, 200))
    server = FakeList(range(6), cap=2, changes=[lambda ids: ids.insert(0, next(new))] * 50)
    walk = AccountIterator(server)
    seen = await ids_of(walk)
    assert len(seen) == len(set(seen))
    assert server.pages_asked.count(1) == 2
    assert not walk.report.complete
    assert len(caplog.records) == 1


class _Moves:
    """Changes that leave a trace: between two answers rows come, or go, or trade places."""

    new_ids = iter(range(1000, 10**9))

    @classmethod
    def come(cls, places):
        return lambda ids: [ids.insert(at % (len(ids) + 1), next(cls.new_ids)) for at in places]

    @staticmethod
    def go(places):
        return lambda ids: [ids.pop(at % len(ids)) for at in places if ids]

    @staticmethod
    def trade(seed):
        return lambda ids: random.Random(seed).shuffle(ids)


places = st.lists(st.integers(0, 40), min_size=1, max_size=3)
moves = st.lists(
    st.none()
    | st.builds(_Moves.come, places)
    | st.builds(_Moves.go, places)
    | st.builds(_Moves.trade, st.integers(0, 99)),
    max_size=30,
)
sizes = st.integers(1, 7)
delays = st.lists(st.integers(0, 5), max_size=30)
numbers = st.none() | st.integers(-1, 60)


@given(st.integers(0, 25), st.tuples(sizes, sizes), st.integers(0, 4), moves, delays)
def test_whoever_stays_is_met_once_or_the_walk_owns_up(rows, sizes, prefetch, changes, waits):
    """No account twice; every account that was there throughout, or `complete` is False."""

    async def walk_through():
        cap, limit = sizes
        server = FakeList(range(rows), cap=cap, changes=changes, delays=waits)
        walk = AccountIterator(server, limit=limit, prefetch=prefetch)
        seen = Counter(await ids_of(walk))
        assert not tasks_left()
        return server, walk.report, seen

    server, report, seen = asyncio.run(walk_through())
    ever = set().union(*server.versions)
    stayed = ever.intersection(*server.versions)
    assert not [user_id for user_id, times in seen.items() if times > 1]
    assert seen.keys() <= ever
    assert (report.accounts, report.next_page) == (len(seen), None)
    if report.complete:
        assert stayed <= seen.keys()
    if not any(changes):
        assert report.complete
    assert len(server.asked) <= 2 * (len(ever) + 1 + prefetch)


@given(
    st.lists(st.lists(st.integers(0, 12), max_size=5), max_size=12),
    st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(0, 4),
)
def test_no_answer_makes_a_walk_repeat_itself_or_go_on_for_ever(rows, lies, start_page, prefetch):
    """Whatever rows and numbers a server makes up: no account twice, and soon an end."""

    def lie(page):
        names = ("total", "per_page", "current_page", "last_page")
        made_up = [account(user_id) for user_id in (rows[page % len(rows)] if rows else [])]
        return {"accounts": tuple(made_up), **dict(zip(names, lies[page % len(lies)], strict=True))}

    async def walk_through():
        server = FakeList([], lies=lie)
        walk = AccountIterator(server, start_page=start_page, prefetch=prefetch)
        seen = await ids_of(walk)
        assert not tasks_left()
        return server, seen

    server, seen = asyncio.run(walk_through())
    assert len(seen) == len(set(seen))
    assert len(server.asked) <= 2 * (13 + 1 + prefetch)


# -- size


async def test_a_hundred_thousand_accounts_take_no_more_memory_than_their_ids():
    """Pages are let go as they are read: only the ids stay, to tell repeats by."""
    total = 100_000

    async def fetch(page, limit):
        rows = tuple(map(account, range((page - 1) * limit, page * limit)))
        return AccountPage(accounts=rows, total=total, last_page=total // limit)

    async def ids_alone():
        ids: set[int] = set()
        for first in range(0, total, 100):
            ids |= set(range(first, first + 100))
        return len(ids)

    async def walk():
        number = 0
        async for _ in AccountIterator(fetch, prefetch=2):
            number += 1
        return number

    assert await peak_of(walk(), total) - await peak_of(ids_alone(), total) < 1_000_000


async def peak_of(coroutine, expected):
    """Measure the bytes at the peak."""
    tracemalloc.start()
    try:
        assert await coroutine == expected
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

import asyncio
import gc
import sys
import threading
import weakref
from contextlib import suppress

import pytest

from clicksend_reseller.errors import APIConnectionError
from clicksend_reseller.paging import AccountIterator
from support.event_loop import a_few_turns, tasks_left
from support.fake_list import FakeList, collect, ids_of, take

# -- errors


def failing_at(server, page, error):
    """Put an error in the place of one page."""

    async def fetch(asked, limit):
        answer = await server(asked, limit)
        if asked == page:
            raise error
        return answer

    return fetch


@pytest.mark.parametrize("prefetch", [0, 2, 8])
async def test_an_error_keeps_what_came_before_and_names_the_page_to_go_on_from(prefetch):
    """Nothing is lost: the walk and its continuation together give the list."""
    server = FakeList(range(10), cap=2)
    error = APIConnectionError("the server went away")
    walk = AccountIterator(failing_at(server, 4, error), prefetch=prefetch)
    seen: list[int] = []
    with pytest.raises(APIConnectionError) as caught:
        await collect(walk, seen)
    assert caught.value is error
    assert "start_page=4" in caught.value.__notes__[0]
    assert list(range(6)) == seen
    assert (walk.report.accounts, walk.report.next_page, walk.report.complete) == (6, 4, False)
    assert not tasks_left()
    rest = AccountIterator(server, start_page=4)
    assert await ids_of(rest) == [6, 7, 8, 9]


async def test_a_walk_that_failed_does_not_look_like_one_that_ended():
    """Going on with it is an error, lest half a list pass for the whole."""
    walk = AccountIterator(failing_at(FakeList(range(4), cap=2), 2, APIConnectionError("gone")))
    with pytest.raises(APIConnectionError):
        await ids_of(walk)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="start_page=2 and the same limit"):
            await anext(walk)


async def test_the_page_in_hand_is_the_one_to_resume_at():
    """Whoever stops in the middle of a page gets the rest of it by beginning there again."""
    walk = AccountIterator(FakeList(range(6), cap=2), prefetch=1)
    resume = []
    for _ in range(6):
        await anext(walk)
        resume.append((walk.report.accounts, walk.report.next_page))
    assert resume == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3)]


async def test_the_error_of_a_page_never_reached_is_nobodys_business(listening, complaints):
    """A page fetched ahead in vain neither raises nor is logged as never retrieved."""
    listening()
    server = FakeList(range(6), cap=2)
    walk = AccountIterator(failing_at(server, 2, APIConnectionError("gone")), prefetch=1)
    assert await take(walk, 2) == [0, 1]
    await a_few_turns()
    assert server.pages_asked == [1, 2]
    del walk
    gc.collect()
    await a_few_turns()
    assert complaints == []


# -- one pass, one reader


async def test_a_finished_walk_stays_finished():
    """It is one-pass: a second loop over it gives nothing, closed or not."""
    walk = AccountIterator(FakeList(range(3)))
    assert await ids_of(walk) == [0, 1, 2]
    assert await ids_of(walk) == []
    await walk.aclose()
    assert await ids_of(walk) == []
    assert walk.report.complete


async def test_pages_come_without_what_was_seen_before():
    """The answers as they came, less the repeated rows; a page of repeats alone is left out."""
    server = FakeList(range(6), cap=2, changes=[lambda ids: ids.insert(0, 99)])
    walk = AccountIterator(server)
    pages = [page async for page in walk.pages()]
    expected = [(1, [0, 1]), (2, [2]), (3, [3, 4]), (4, [5]), (1, [99])]
    assert expected == [(page.current_page, [a.user_id for a in page]) for page in pages]
    assert (walk.report.pages, walk.report.accounts) == (8, 7)


async def test_pages_keep_their_walk_alive():
    """Who holds the pages alone still gets them all."""
    server = FakeList(range(6), cap=1)
    pages = AccountIterator(server, prefetch=2).pages()
    gc.collect()
    assert list(range(6)) == [page.accounts[0].user_id async for page in pages]
    assert server.cancelled == []


async def test_a_walk_gives_accounts_or_pages():
    """Both from one walk would each lack what the other took."""
    by_account = AccountIterator(FakeList(range(3)))
    await anext(by_account)
    with pytest.raises(RuntimeError, match="gives accounts"):
        by_account.pages()
    by_page = AccountIterator(FakeList(range(3)))
    pages = by_page.pages()
    with pytest.raises(RuntimeError, match="gives pages"):
        await anext(by_page)
    assert [each.user_id for each in await anext(pages)] == [0, 1, 2]


async def test_two_tasks_cannot_wait_for_one_walk():
    """The second is told; the first goes on unharmed."""
    gates = {2: asyncio.Event()}
    walk = AccountIterator(FakeList(range(4), cap=2, gates=gates), prefetch=1)
    assert await take(walk, 2) == [0, 1]
    first = asyncio.create_task(ids_of(walk))
    await a_few_turns()
    with pytest.raises(RuntimeError, match="another task waits"):
        await anext(walk)
    gates[2].set()
    assert await first == [2, 3]


# -- leaving


async def test_leaving_through_async_with_leaves_no_task():
    """When the block is over its fetches are over, not merely told to end."""
    server = FakeList(range(9), cap=1, gates={page: asyncio.Event() for page in (4, 5, 6, 7)})
    async with AccountIterator(server, prefetch=4) as walk:
        async for each in walk:
            if each.user_id == 2:
                break
        await a_few_turns()
        assert server.in_flight == 4
    assert not tasks_left()
    assert sorted(server.cancelled) == [4, 5, 6, 7]


async def test_closing_ends_the_walk_in_the_middle_of_a_page():
    """What was in hand is not given any more, and not counted."""
    walk = AccountIterator(FakeList(range(6), cap=3))
    assert await take(walk, 1) == [0]
    await walk.aclose()
    await walk.aclose()
    with pytest.raises(RuntimeError, match="start_page=1"):
        await anext(walk)
    assert (walk.report.accounts, walk.report.next_page, walk.report.complete) == (1, 1, False)


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_closing_from_another_task_is_no_cancellation_of_the_reader(prefetch):
    """The reader was not cancelled, so it sees an error and no CancelledError."""
    server = FakeList(range(9), cap=1, gates={4: asyncio.Event()})
    walk = AccountIterator(server, prefetch=prefetch)
    assert await take(walk, 3) == [0, 1, 2]
    reader = asyncio.create_task(ids_of(walk))
    await a_few_turns()
    await walk.aclose()
    with pytest.raises(RuntimeError, match="start_page=4"):
        await reader
    assert not tasks_left()


async def test_closing_while_the_walk_turns_back_leaves_no_task():
    """The end of the first pass waits for a fetch that is slow to end; nothing follows it."""
    cancelled, slow, gates = asyncio.Event(), asyncio.Event(), {3: asyncio.Event()}

    async def fetch(page, limit):
        try:
            return await server(page, limit)
        except asyncio.CancelledError:
            cancelled.set()
            await slow.wait()
            raise

    # The second answer says that page 2 is the last, while page 3 is on its way. Then it is late.
    changes = [lambda ids: ids.__delitem__(slice(2))]
    server = FakeList(range(6), cap=2, changes=changes, gates=gates)
    walk = AccountIterator(fetch, prefetch=1)
    reader = asyncio.create_task(ids_of(walk))
    await asyncio.wait_for(cancelled.wait(), 5)
    await walk.aclose()
    gates[2] = asyncio.Event()
    slow.set()
    with pytest.raises(RuntimeError, match="start_page"):
        await reader
    assert not tasks_left()


@pytest.mark.parametrize("prefetch", [0, 3])
async def test_cancelling_the_reader_passes_through_and_cancels_the_fetches(prefetch):
    """CancelledError comes out as it went in, and no request goes on behind it."""
    gates = {page: asyncio.Event() for page in range(4, 10)}
    server = FakeList(range(9), cap=1, gates=gates)
    walk = AccountIterator(server, prefetch=prefetch)
    assert await take(walk, 3) == [0, 1, 2]
    reader = asyncio.create_task(ids_of(walk))
    await a_few_turns()
    reader.cancel("by the caller")
    with pytest.raises(asyncio.CancelledError, match="by the caller"):
        await reader
    assert not tasks_left()
    assert list(range(4, 5 + prefetch)) == sorted(server.cancelled)
    with pytest.raises(RuntimeError, match="start_page=4"):
        await anext(walk)


async def test_a_fetch_that_is_cancelled_by_itself_is_an_error():
    """No CancelledError reaches a reader whom nobody cancelled."""
    walk = AccountIterator(failing_at(FakeList(range(4), cap=2), 2, asyncio.CancelledError()))
    assert await take(walk, 2) == [0, 1]
    with pytest.raises(RuntimeError, match="start_page=2"):
        await anext(walk)


async def test_dropping_a_walk_cancels_its_fetches(listening, complaints):
    """A plain `break` leaves no task: none of them keeps the iterator alive."""
    listening()
    server = FakeList(range(9), cap=1, gates={page: asyncio.Event() for page in range(4, 9)})
    gc.disable()  # reference counting alone has to do it
    try:
        async for each in AccountIterator(server, prefetch=4):
            if each.user_id == 2:
                break
    finally:
        gc.enable()
    await a_few_turns()
    assert not tasks_left()
    assert sorted(server.cancelled) == [4, 5, 6, 7]
    assert complaints == []


async def test_an_error_in_the_body_of_the_loop_drops_the_walk_as_well():
    """The exception that is on its way holds no fetch."""
    server = FakeList(range(9), cap=1, gates={2: asyncio.Event()})
    with suppress(ZeroDivisionError):
        async for each in AccountIterator(server, prefetch=4):
            each.user_id / 0
    await a_few_turns()
    assert not tasks_left()


async def test_the_garbage_collector_may_drop_a_walk_in_any_thread():
    """The fetches are cancelled in their own loop, awake or asleep."""
    server = FakeList(range(9), cap=1, gates={2: asyncio.Event()})
    held = [AccountIterator(server, prefetch=1)]
    assert await take(held[0], 1) == [0]
    await a_few_turns()
    thread = threading.Thread(target=held.clear)
    thread.start()
    await asyncio.to_thread(thread.join)
    await a_few_turns()
    assert server.cancelled == [2]
    assert server.in_flight == 0


def test_a_walk_may_outlive_its_loop(monkeypatch, caplog):
    """Dropped after its loop was closed, it has nothing to cancel and says nothing."""
    raised: list[object] = []
    held: list[AccountIterator] = []  # not the task's result: Python 3.12 keeps that for longer
    monkeypatch.setattr(sys, "unraisablehook", raised.append)

    async def begin():
        server = FakeList(range(9), cap=1, gates={3: asyncio.Event()})
        failing = failing_at(server, 4, APIConnectionError("gone"))
        walk = AccountIterator(failing, prefetch=2)
        assert await take(walk, 2) == [0, 1]
        await a_few_turns()
        held.append(walk)

    asyncio.run(begin())
    gone = weakref.ref(held.pop())
    gc.collect()
    assert gone() is None
    assert raised == []
    assert caplog.records == []

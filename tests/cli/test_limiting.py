"""At most N in any minute, with a clock of the test's own."""

import asyncio

import pytest

from clicksend_reseller.cli.session.limiting import PerMinute


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        await asyncio.sleep(0)
        self.now += seconds


@pytest.mark.parametrize("limit", [1, 3, 20])
def test_no_minute_has_more_entries_than_the_limit(limit):
    """Whoever asks at once or one after the other."""
    clock = Clock()
    limiter = PerMinute(limit, clock=clock, sleep=clock.sleep)
    entered = []

    async def enter():
        async with limiter:
            entered.append(clock.now)

    async def story():
        await asyncio.gather(*(enter() for _ in range(limit * 3)))

    asyncio.run(story())
    assert limit * 3 == len(entered)
    for start in entered:
        assert len([at for at in entered if start <= at < start + 60]) <= limit
    assert 120.0 == entered[-1]


def test_one_who_is_cancelled_while_waiting_takes_no_place():
    """The next gets it."""
    limiter = PerMinute(1)

    async def story():
        async with limiter:
            pass
        waiting = asyncio.ensure_future(limiter.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert 1 == len(limiter._starts)

    asyncio.run(story())

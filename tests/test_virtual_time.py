import asyncio

import pytest

from support import virtual_time


def test_an_hour_costs_nothing():
    """Timers come in their order, and the loop's clock is what they asked for."""

    async def story():
        order = []

        async def after(seconds):
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(after(3600), after(60), after(0))
        return order

    order, seconds = virtual_time.run(story())
    assert [0, 60, 3600] == order
    assert 3600 == pytest.approx(seconds, abs=0.01)


def test_a_wait_for_something_outside_is_an_error():
    """It would never end here."""

    async def story():
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="for ever"):
        virtual_time.run(story())

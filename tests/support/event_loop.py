"""What a test does with the running event loop: let it go on, and see what it was left with."""

import asyncio
import gc

import pytest


async def a_few_turns(number=20):
    """Let the loop run whatever is ready."""
    for _ in range(number):
        await asyncio.sleep(0)


def tasks_left():
    """Give the tasks beside the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture
def complaints():
    """What reached the loop's exception handler: unread errors, destroyed tasks."""
    return []


@pytest.fixture
def listening(complaints):
    """Listen to the running loop."""

    def listen():
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))

    return listen


async def nobody_complains(complaints):
    """Look for errors that nobody read and tasks that are left."""
    await a_few_turns()
    gc.collect()
    assert [] == complaints
    assert set() == tasks_left()

import asyncio

import pytest

from clicksend_reseller._calls.tasks import BackgroundTasks, StepCutError, shielded
from support.event_loop import a_few_turns, nobody_complains, tasks_left


async def gives(value):
    """Make a step that succeeds."""
    await asyncio.sleep(0)
    return value


async def fails(error):
    """Make a step that does not."""
    await asyncio.sleep(0)
    raise error


class Step:
    """A step that waits at a gate, and knows whether it was cut."""

    def __init__(self, error=None):
        self.gate = asyncio.Event()
        self.error = error
        self.ended = False

    async def run(self):
        await self.gate.wait()
        self.ended = True
        if self.error is not None:
            raise self.error
        return "done"


# -- shielded


async def test_a_step_gives_its_result_or_its_very_error():
    """Whoever is not cancelled sees no difference to awaiting the step."""
    error = ValueError("no")
    assert 3 == await shielded(gives(3))
    with pytest.raises(ValueError, match="no") as raised:
        await shielded(fails(error))
    assert raised.value is error


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_a_cancelled_caller_waits_for_the_step_and_is_cancelled_then(
    error, complaints, listening
):
    """The step ends whole, the caller still gets its CancelledError, and nobody complains."""
    listening()
    step = Step(error)
    caller = asyncio.create_task(shielded(step.run()))
    await a_few_turns()
    caller.cancel("first")
    await a_few_turns()
    caller.cancel("second")
    await a_few_turns()
    assert (False, False) == (caller.done(), step.ended)
    step.gate.set()
    with pytest.raises(asyncio.CancelledError, match="second"):
        await caller
    assert step.ended
    assert set() == tasks_left()
    del caller, step
    await nobody_complains(complaints)


async def test_a_step_that_cancels_itself_does_not_cancel_its_caller():
    """A CancelledError in a task that nobody cancelled would end it without a word."""
    with pytest.raises(StepCutError, match="it was cancelled from within"):
        await shielded(fails(asyncio.CancelledError()))
    caller = asyncio.current_task()
    assert caller is not None
    assert 0 == caller.cancelling()


async def test_a_step_that_cancels_itself_beside_its_caller_is_a_cancellation():
    """The caller's own cancellation comes first."""
    step = Step(asyncio.CancelledError("the step's"))
    caller = asyncio.create_task(shielded(step.run()))
    await a_few_turns()
    caller.cancel("the caller's")
    step.gate.set()
    with pytest.raises(asyncio.CancelledError, match="the caller's"):
        await caller


# -- shielded, with a limit


async def test_a_step_in_time_gives_its_result_or_its_very_error():
    """The limit is felt only by a step that is too slow."""
    error = ValueError("no")
    assert 3 == await shielded(gives(3), 5)
    with pytest.raises(ValueError, match="no") as raised:
        await shielded(fails(error), 5)
    assert raised.value is error


async def test_a_step_out_of_time_is_cancelled():
    """Its caller goes on, and no task is left."""
    step = Step()
    with pytest.raises(TimeoutError, match=r"not done within 0\.001 s"):
        await shielded(step.run(), 0.001)
    await a_few_turns()
    assert not step.ended
    assert set() == tasks_left()


async def test_a_step_that_resists_its_end_holds_nobody(complaints, listening):
    """A step that swallows its cancellation is left behind, and its late error looked at."""
    listening()
    gate = asyncio.Event()

    async def resists():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await gate.wait()
        raise ValueError("late")

    with pytest.raises(TimeoutError):
        await shielded(resists(), 0.001)
    gate.set()
    await a_few_turns()
    assert set() == tasks_left()
    await nobody_complains(complaints)


async def test_a_cancelled_caller_waits_no_longer_than_the_limit(complaints, listening):
    """It is cancelled then, and so is the step."""
    listening()
    step = Step()
    caller = asyncio.create_task(shielded(step.run(), 0.05))
    await a_few_turns()
    caller.cancel("the caller's")
    await a_few_turns()
    assert not caller.done()
    with pytest.raises(asyncio.CancelledError, match="the caller's"):
        await caller
    await a_few_turns()
    assert not step.ended
    await nobody_complains(complaints)


# -- BackgroundTasks


async def test_tasks_apart_are_known_by_their_owner_until_they_end():
    """Each owner's tasks can be found while they run; `ended` hears of each end once."""
    told = []
    apart: BackgroundTasks[str] = BackgroundTasks(lambda task, owner: told.append((task, owner)))
    first, second = Step(), Step()
    one = apart.start("ann", first.run())
    two = apart.start("bob", second.run())
    assert ([one], [two], []) == (apart.of("ann"), apart.of("bob"), apart.of("cy"))
    assert [(one, "ann"), (two, "bob")] == apart.under_way()
    first.gate.set()
    assert "done" == await one
    await a_few_turns()
    assert [(two, "bob")] == apart.under_way()
    assert [(one, "ann")] == told
    second.gate.set()
    await apart.wait(5)
    assert [] == apart.under_way()
    assert [(one, "ann"), (two, "bob")] == told


async def test_owners_that_are_equal_are_still_two():
    """A call is itself and no other, whatever its values."""
    apart: BackgroundTasks[list[int]] = BackgroundTasks(lambda task, owner: None)
    mine, yours = [1], [1]
    task = apart.start(mine, gives(1))
    assert ([task], []) == (apart.of(mine), apart.of(yours))
    await apart.wait(5)


async def test_nobody_complains_about_tasks_apart_that_failed_or_were_cut(complaints, listening):
    """Their callers may have gone, so their ends are looked at here."""
    listening()
    told = []
    apart: BackgroundTasks[str] = BackgroundTasks(
        lambda task, owner: told.append((task.cancelled(), owner))
    )
    apart.start("failed", fails(ValueError("no")))
    apart.start("cut", Step().run()).cancel()
    await apart.wait(5)
    assert [(False, "failed"), (True, "cut")] == sorted(told)
    assert set() == tasks_left()
    await nobody_complains(complaints)


async def test_waiting_has_an_end_and_nothing_to_wait_for_is_none():
    """It waits so many seconds at most, and not at all where there is nobody."""
    apart: BackgroundTasks[str] = BackgroundTasks(lambda task, owner: None)
    await apart.wait(5)
    step = Step()
    apart.start("slow", step.run())
    await apart.wait(0.001)
    assert ["slow"] == [owner for _, owner in apart.under_way()]
    step.gate.set()
    await apart.wait(5)
    assert [] == apart.under_way()

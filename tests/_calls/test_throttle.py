import asyncio
import heapq
import itertools
import logging
import random

import pytest

from clicksend_reseller._calls.throttle import SPREAD_SECONDS, Throttle
from clicksend_reseller.errors import (
    APITimeoutError,
)
from clicksend_reseller.models import Outcome
from support.event_loop import a_few_turns
from support.heavy import rounds
from support.limiter import Limiter, raising

NEVER_LATE = float("inf")


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self):
        self.now = 1000.0
        self._sleepers = []
        self._order = itertools.count()

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        wakes = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), wakes))
        await wakes

    async def advance(self, seconds):
        """Wake whoever sleeps so long, each at its own time."""
        end = self.now + seconds
        await a_few_turns()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, wakes = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not wakes.done():
                wakes.set_result(None)
            await a_few_turns()
        self.now = end


class Gate:
    """A `Pacing` on a clock of the test's, and the calls that pass it.

    Attributes:
        entered: name and time of each call that came in, in order.
        inside: who is in now.
    """

    def __init__(self, *, places=10, max_pause=60.0, limiter=None):
        self.clock = Clock()
        self.throttle = Throttle(
            max_concurrency=places,
            max_pause=max_pause,
            limiter=limiter,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.entered = []
        self.inside = set()
        self._ways_out = {}

    def call(self, name, operation="get_account", *, deadline=NEVER_LATE, during=None):
        """Start a call that stays inside until it is let out."""
        self._ways_out[name] = asyncio.Event()

        async def pass_through():
            async with self.throttle.turn(operation, deadline=deadline):
                self.entered.append((name, self.clock.now - 1000.0))
                self.inside.add(name)
                try:
                    await self._ways_out[name].wait()
                    if during is not None:
                        during()
                finally:
                    self.inside.discard(name)

        return asyncio.create_task(pass_through(), name=name)

    async def let_out(self, *names):
        for name in names:
            self._ways_out[name].set()
        await a_few_turns()

    @property
    def names(self):
        return [name for name, _ in self.entered]


async def all_end(*tasks):
    """Wait for tasks, whatever they raise."""
    await asyncio.gather(*tasks, return_exceptions=True)


# -- places


async def test_an_open_gate_costs_no_turn_of_the_loop():
    """Nearly every call finds nothing to wait for, and then nothing is waited for."""
    turn = Throttle(max_concurrency=1, max_pause=60.0).turn("get_account", deadline=NEVER_LATE)
    with pytest.raises(StopIteration):
        turn.__aenter__().send(None)


async def test_no_more_calls_are_in_than_there_are_places():
    """Calls beyond that come in as others leave, in the order in which they came."""
    gate = Gate(places=2)
    calls = [gate.call(name) for name in "abcd"]
    await a_few_turns()
    assert ["a", "b"] == gate.names
    await gate.let_out("b")
    assert ["a", "b", "c"] == gate.names
    await gate.let_out("a", "c", "d")
    assert ["a", "b", "c", "d"] == gate.names
    await asyncio.gather(*calls)


@pytest.mark.parametrize("error", [None, ValueError("no"), asyncio.CancelledError()])
async def test_a_place_comes_back_however_the_exchange_ends(error):
    """Also under a pause, where more is to be given back than a place."""
    for paused in (False, True):
        gate = Gate(places=1)
        if paused:
            gate.throttle.pause(0.0)

        def ends(error=error):
            if error is not None:
                raise error

        call = gate.call("a", during=ends)
        await gate.let_out("a")
        await all_end(call)
        again = gate.call("b")
        await gate.let_out("b")
        await again
        assert ["a", "b"] == gate.names


# -- the shared pause


async def test_a_pause_holds_all_calls():
    """Limits are shared by all tasks of a client, so all of them wait."""
    gate = Gate()
    gate.throttle.pause(30.0)
    calls = [gate.call("a", "get_account"), gate.call("b", "transfer_credit")]
    await gate.clock.advance(29.9)
    assert [] == gate.entered
    await gate.clock.advance(0.1)
    assert [("a", 30.0)] == gate.entered
    await gate.let_out("a")
    await gate.clock.advance(SPREAD_SECONDS)
    await gate.let_out("b")
    await asyncio.gather(*calls)
    assert ["a", "b"] == gate.names


async def test_after_a_pause_one_goes_first_and_the_others_follow_spread():
    """One call finds out whether the API takes calls again; a crowd would find out together."""
    gate = Gate()
    gate.throttle.pause(30.0)
    calls = [gate.call(name) for name in "abcdef"]
    await gate.clock.advance(50.0)
    assert [("a", 30.0)] == gate.entered
    await gate.let_out("a")
    await gate.clock.advance(SPREAD_SECONDS)
    followed = [time - 50.0 for _, time in gate.entered[1:]]
    assert set("bcdef") == set(gate.names[1:])
    assert all(0 <= time <= SPREAD_SECONDS for time in followed)
    assert len(set(followed)) == 5
    assert max(followed) - min(followed) > SPREAD_SECONDS / 10
    await gate.let_out(*"bcdef")
    await asyncio.gather(*calls)


async def test_the_first_call_after_a_pause_goes_first_though_it_never_waited():
    """Whoever got the 429 waits elsewhere and comes back when the pause is over."""
    gate = Gate()
    gate.throttle.pause(30.0)
    await gate.clock.advance(31.0)
    calls = [gate.call(name) for name in "ab"]
    await gate.clock.advance(5.0)
    assert ["a"] == gate.names
    await gate.let_out("a")
    await gate.clock.advance(SPREAD_SECONDS)
    assert ["a", "b"] == gate.names
    late = gate.call("c")
    await a_few_turns()
    assert [("c", 37.0)] == gate.entered[2:]
    await gate.let_out("b", "c")
    await asyncio.gather(*calls, late)


async def test_a_first_call_that_meets_another_429_makes_all_wait_again():
    """And after that pause again one goes first."""
    gate = Gate()
    gate.throttle.pause(30.0)
    first = gate.call("a", during=lambda: gate.throttle.pause(40.0))
    others = [gate.call(name) for name in "bc"]
    await gate.clock.advance(30.0)
    await gate.let_out("a")
    await first
    await gate.clock.advance(39.9)
    assert ["a"] == gate.names
    await gate.clock.advance(10.0)
    assert 2 == len(gate.names)
    assert 70.0 == gate.entered[1][1]
    await gate.let_out("b", "c")
    await gate.clock.advance(SPREAD_SECONDS)
    await asyncio.gather(*others)


async def test_a_pause_that_begins_while_calls_follow_spread_holds_them_too():
    """Nobody slips through between two pauses, not even into the limiter."""
    limiter = Limiter()
    gate = Gate(limiter=limiter)
    gate.throttle.pause(30.0)
    calls = [gate.call(name) for name in "abc"]
    await gate.clock.advance(30.0)
    await gate.let_out("a")
    gate.throttle.pause(20.0)
    await gate.clock.advance(19.9)
    assert (["a"], 1) == (gate.names, limiter.entered)
    await gate.clock.advance(5.0)
    assert ["a", 50.0] == [gate.names[0], gate.entered[1][1]]
    await gate.let_out("b", "c")
    await gate.clock.advance(5.0)
    await asyncio.gather(*calls)


async def test_a_first_call_that_never_went_leaves_it_to_another_to_go_first():
    """Nothing is known yet, so the others must not all go."""
    limiter = Limiter(on_enter=asyncio.Event().wait)
    gate = Gate(limiter=limiter)
    gate.throttle.pause(30.0)
    calls = [gate.call(name) for name in "abc"]
    await gate.clock.advance(30.0)
    calls[0].cancel()
    limiter.on_enter = None
    await gate.clock.advance(5.0)
    assert 1 == len(gate.names)
    await gate.let_out("b", "c")
    await gate.clock.advance(5.0)
    assert {"b", "c"} == set(gate.names)
    await all_end(*calls)


async def test_a_first_call_that_failed_holds_nobody_up():
    """A server in trouble would otherwise see the calls one by one, each after a time-out."""
    gate = Gate()
    gate.throttle.pause(30.0)
    calls = [gate.call(name) for name in "abc"]
    await gate.clock.advance(30.0)
    calls[0].cancel()
    await gate.clock.advance(SPREAD_SECONDS)
    assert {"a", "b", "c"} == set(gate.names)
    await gate.let_out("b", "c")
    await all_end(*calls)


async def test_a_pause_is_capped_whatever_a_server_asks():
    """A server must not be able to stop a client for a day."""
    gate = Gate(max_pause=60.0)
    gate.throttle.pause(86_400.0)
    gate.throttle.hold("get_account", 86_400.0)
    call = gate.call("a")
    await gate.clock.advance(86_400.0)
    await gate.let_out("a")
    await call
    assert [("a", 60.0)] == gate.entered


async def test_a_shorter_pause_does_not_end_a_longer_one():
    """Each 429 is believed until the time that it named."""
    gate = Gate()
    gate.throttle.pause(30.0)
    gate.throttle.pause(1.0)
    call = gate.call("a")
    await gate.clock.advance(100.0)
    await gate.let_out("a")
    await call
    assert [("a", 30.0)] == gate.entered


@pytest.mark.parametrize("shared", [True, False])
async def test_a_pause_longer_than_the_deadline_raises_at_once(shared):
    """There is no use in waiting for what comes too late, not even for a place."""
    gate = Gate(places=1)
    busy = gate.call("busy")
    await a_few_turns()
    if shared:
        gate.throttle.pause(30.0)
    else:
        gate.throttle.hold("get_account", 30.0)
    call = gate.call("a", deadline=1029.9)
    await a_few_turns()
    assert call.done()
    with pytest.raises(APITimeoutError) as raised:
        await call
    assert (
        "the API asked this client to wait 30 s more, which is longer than the call's deadline; "
        "nothing was sent"
    ) == str(raised.value)
    assert (Outcome.NOT_SENT, True) == (raised.value.outcome, raised.value.permanent)
    await gate.let_out("busy")
    await busy
    assert ["busy"] == gate.names


async def test_a_pause_that_grows_beyond_the_deadline_raises_then():
    """The deadline is asked again each time there is more to wait; its last moment counts."""
    gate = Gate(places=1)
    gate.throttle.pause(30.0)
    call = gate.call("a", deadline=1030.0)
    await gate.clock.advance(10.0)
    assert not call.done()
    gate.throttle.pause(20.1)
    await gate.clock.advance(20.0)
    with pytest.raises(APITimeoutError, match="to wait 0 s more"):
        await call
    await gate.clock.advance(1.0)
    again = gate.call("b")
    await gate.let_out("b")
    await again
    assert ["b"] == gate.names


async def test_the_clock_is_the_loop_s_own():
    """Deadlines are the loop's time, so pauses are too, whatever clock a loop has."""
    loop = asyncio.get_running_loop()
    throttle = Throttle(max_concurrency=1, max_pause=60.0)
    began = loop.time()
    throttle.pause(0.003)
    async with throttle.turn("get_account", deadline=began + 1.0):
        assert loop.time() >= began + 0.003


# -- the hold of one operation


async def test_a_hold_stops_one_operation_until_its_reset():
    """Limits look to be per endpoint: the others go on, though they have one place for all."""
    gate = Gate(places=1)
    gate.throttle.hold("list_accounts", 30.0)
    held = [gate.call(name, "list_accounts") for name in "ab"]
    free = gate.call("c", "get_account")
    await a_few_turns()
    assert [("c", 0.0)] == gate.entered
    await gate.let_out("c")
    await gate.clock.advance(29.9)
    assert ["c"] == gate.names
    await gate.clock.advance(0.1)
    assert [("a", 30.0)] == gate.entered[1:]
    await gate.let_out("a", "b")
    await asyncio.gather(*held, free)


async def test_a_hold_that_has_ended_costs_the_other_operations_nothing():
    """Going first after a pause is for the shared pause alone."""
    gate = Gate()
    gate.throttle.hold("list_accounts", 30.0)
    calls = [gate.call(name, "list_accounts") for name in "ab"]
    await gate.clock.advance(30.0)
    calls.append(gate.call("c", "get_account"))
    await a_few_turns()
    assert [("a", 30.0), ("b", 30.0), ("c", 30.0)] == gate.entered
    await gate.let_out(*"abc")
    await asyncio.gather(*calls)


async def test_a_hold_that_begins_in_the_queue_gives_the_place_to_another():
    """Whoever waited for a place when the hold began does not go on, and does not keep it."""
    gate = Gate(places=1)
    busy = gate.call("busy")
    await a_few_turns()
    calls = [gate.call("a", "list_accounts"), gate.call("b", "get_account")]
    await a_few_turns()
    gate.throttle.hold("list_accounts", 30.0)
    await gate.let_out("busy")
    assert ["busy", "b"] == gate.names
    await gate.let_out("b")
    await gate.clock.advance(30.0)
    assert [("a", 30.0)] == gate.entered[2:]
    await gate.let_out("a")
    await asyncio.gather(busy, *calls)


async def test_the_newest_word_on_a_hold_counts():
    """A later answer knows the window better than an earlier one."""
    gate = Gate()
    gate.throttle.hold("get_account", 30.0)
    gate.throttle.hold("get_account", 5.0)
    call = gate.call("a")
    await gate.clock.advance(5.0)
    await gate.let_out("a")
    await call
    assert [("a", 5.0)] == gate.entered


# -- the limiter


async def test_a_limiter_is_entered_once_and_held_through_the_exchange():
    """It counts attempts, so it is left when the attempt is over and not before."""
    limiter = Limiter()
    gate = Gate(limiter=limiter)
    call = gate.call("a")
    await a_few_turns()
    assert (1, 1, {"a"}) == (limiter.entered, limiter.inside, gate.inside)
    await gate.let_out("a")
    await call
    assert (1, 0) == (limiter.entered, limiter.inside)


async def test_a_limiter_is_not_entered_before_there_is_a_place_and_no_pause():
    """What it counts would run out while nothing is sent."""
    limiter = Limiter()
    gate = Gate(places=1, limiter=limiter)
    calls = [gate.call(name) for name in "ab"]
    await a_few_turns()
    assert 1 == limiter.entered
    gate.throttle.pause(30.0)
    await gate.let_out("a")
    await gate.clock.advance(29.9)
    assert 1 == limiter.entered
    await gate.clock.advance(0.1)
    assert 2 == limiter.entered
    await gate.let_out("b")
    await asyncio.gather(*calls)


async def test_a_pause_that_begins_in_the_limiter_holds_the_call_there():
    """It waits with the limiter in hand, which is not entered a second time."""
    ready = asyncio.Event()
    limiter = Limiter(on_enter=ready.wait)
    gate = Gate(limiter=limiter)
    call = gate.call("a")
    await a_few_turns()
    gate.throttle.pause(30.0)
    ready.set()
    await gate.clock.advance(29.9)
    assert ([], 1) == (gate.entered, limiter.inside)
    await gate.clock.advance(0.1)
    await gate.let_out("a")
    await call
    assert ([("a", 30.0)], 1, 0) == (gate.entered, limiter.entered, limiter.inside)


async def test_whoever_goes_first_is_not_held_up_by_itself_after_the_limiter():
    """A second pause may begin while it waits there; it still goes first."""
    ready = asyncio.Event()
    gate = Gate(limiter=Limiter(on_enter=ready.wait))
    gate.throttle.pause(30.0)
    calls = [gate.call(name) for name in "ab"]
    await gate.clock.advance(30.0)
    gate.throttle.pause(20.0)
    ready.set()
    await gate.clock.advance(20.0)
    assert [("a", 50.0)] == gate.entered
    await gate.let_out("a", "b")
    await gate.clock.advance(SPREAD_SECONDS)
    await asyncio.gather(*calls)


async def test_a_limiter_that_fails_on_leaving_is_logged_and_hides_nothing(caplog):
    """The exchange has ended, and its result counts: a receipt or the exchange's own error."""
    gate = Gate(places=1, limiter=Limiter(on_exit=raising(RuntimeError("cannot leave"))))
    call = gate.call("a")
    await gate.let_out("a")
    await call

    def fails():
        raise ValueError("the exchange's own")

    call = gate.call("b", during=fails)
    await gate.let_out("b")
    with pytest.raises(ValueError, match="the exchange's own"):
        await call
    expected = (
        "clicksend_reseller",
        logging.ERROR,
        "the limiter failed after an exchange had ended",
    )
    assert [expected, expected] == caplog.record_tuples


# -- cancellation


@pytest.mark.heavy
async def test_no_place_is_lost_whatever_is_cancelled():
    """Seeded stories of pauses, holds, slow limiters and cancellations; then all places work.

    Calls are cancelled while they wait for a place, the pause, the one who goes first, their
    spread, the limiter, and inside.
    """
    for seed in range(rounds(100, 4_000)):
        dice = random.Random(seed)
        gate, limiter = _story(dice)
        calls = [
            gate.call(f"{n}", dice.choice(["get_account", "list_accounts"])) for n in range(12)
        ]
        for _ in range(30):
            await _something_happens(dice, gate, calls)
        for call in calls:
            call.cancel()
        await all_end(*calls)
        await gate.clock.advance(200.0)
        assert (0, set()) == (limiter.inside, gate.inside), seed
        first = gate.call("first")
        await gate.clock.advance(5.0)
        await gate.let_out("first")
        last = [gate.call(f"last{n}") for n in range(4)]
        await gate.clock.advance(5.0)
        assert ({"last0", "last1", "last2"}, 3) == (gate.inside, limiter.inside), seed
        await gate.let_out(*[f"last{n}" for n in range(4)])
        await gate.clock.advance(5.0)
        await asyncio.gather(first, *last)
        assert 0 == limiter.inside, seed


def _story(dice):
    limiter = Limiter()
    gate = Gate(places=3, limiter=limiter)

    async def is_slow():
        if dice.random() < 0.5:
            await gate.clock.sleep(dice.random())

    limiter.on_enter = is_slow
    return gate, limiter


async def _something_happens(dice, gate, calls):
    match dice.randrange(6):
        case 0:
            gate.throttle.pause(dice.random() * 3)
        case 1:
            gate.throttle.hold("list_accounts", dice.random() * 3)
        case 2:
            await gate.clock.advance(dice.random())
        case 3:
            await gate.let_out(str(dice.randrange(12)))
        case _:
            dice.choice(calls).cancel()
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)

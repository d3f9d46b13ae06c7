import time
from collections.abc import AsyncIterator

import attrs
import pytest

from clicksend_reseller._http.body import (
    CLOCKS,
    BodyRefusedError,
    OneShotBody,
    clock_that_counts_sleep,
)
from clicksend_reseller.errors import APITimeoutError, JournalError
from clicksend_reseller.models import Outcome

CONTENT = b'{"client_user_id":60}'


class Pause:
    """Something to wait for, without a loop."""

    def __await__(self):
        yield


def run(awaitable):
    """Run to the end what waits for nothing."""
    try:
        awaitable.__await__().send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def marks(body):
    """Show what is known of a body."""
    return {"asked": body.asked, "left": body.left, "refusal": body.refusal}


def test_body_knows_its_length_before_it_is_asked():
    """The length is announced in the head, before a byte of the body leaves."""
    body = OneShotBody(CONTENT)
    assert len(CONTENT) == len(body)
    assert {"asked": False, "left": False, "refusal": None} == marks(body)


def test_body_is_asked_before_it_leaves():
    """The two marks tell apart what was wanted and what was handed over."""
    body = OneShotBody(CONTENT)
    stream = aiter(body)
    assert isinstance(stream, AsyncIterator)
    assert {"asked": True, "left": False, "refusal": None} == marks(body)
    assert CONTENT == run(anext(stream))
    assert {"asked": True, "left": True, "refusal": None} == marks(body)


def test_body_is_one_chunk():
    """After it there is nothing, however often a transport looks."""
    body = OneShotBody(CONTENT)
    stream = aiter(body)
    run(anext(stream))
    for _ in range(3):
        with pytest.raises(StopAsyncIteration):
            run(anext(stream))


def test_an_iteration_that_is_asked_for_itself_is_no_second_ask():
    """httpx2 does so before it begins to read."""
    stream = aiter(OneShotBody(CONTENT))
    assert stream is aiter(stream)
    assert CONTENT == run(anext(aiter(stream)))


@pytest.mark.parametrize("taken", [True, False])
def test_second_ask_is_refused(taken):
    """No lower layer and no redirect can send a write again."""
    body = OneShotBody(CONTENT)
    stream = aiter(body)
    if taken:
        run(anext(stream))
    with pytest.raises(BodyRefusedError, match="this transport must not send it again"):
        aiter(body)


def test_claim_runs_before_the_chunk_leaves():
    """A journal has it on record before the first byte is out."""
    seen = []

    async def claim():
        seen.append(marks(body))

    body = OneShotBody(CONTENT, claim)
    assert CONTENT == run(anext(aiter(body)))
    assert [{"asked": True, "left": False, "refusal": None}] == seen


def test_claim_that_is_refused_keeps_the_chunk():
    """What the journal said is remembered, and said again to whoever asks again."""
    refusal = JournalError("somebody else has it")

    async def claim():
        raise refusal

    body = OneShotBody(CONTENT, claim)
    stream = aiter(body)
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            run(anext(stream))
        assert refusal is caught.value
    assert {"asked": True, "left": False, "refusal": refusal} == marks(body)


def test_claim_that_is_cut_off_is_not_made_again():
    """A cancelled claim leaves nothing behind that could be asked once more."""
    claims = []

    async def claim():
        claims.append(1)
        await Pause()

    body = OneShotBody(CONTENT, claim)
    stream = aiter(body)
    step = anext(stream).__await__()
    step.send(None)
    with pytest.raises(KeyboardInterrupt):
        step.throw(KeyboardInterrupt())
    with pytest.raises(BodyRefusedError, match="nothing came of it"):
        run(anext(stream))
    assert [1] == claims
    assert not body.left


def test_two_who_ask_at_once_get_one_chunk():
    """A second reader that comes while the claim is under way gets nothing."""

    async def claim():
        await Pause()

    body = OneShotBody(CONTENT, claim)
    stream = aiter(body)
    step = anext(stream).__await__()
    step.send(None)
    with pytest.raises(BodyRefusedError, match="nothing came of it"):
        run(anext(stream))
    with pytest.raises(StopIteration) as end:
        step.send(None)
    assert CONTENT == end.value.value


@pytest.mark.parametrize("when", ["before it is asked", "before it is read", "in its claim"])
def test_body_that_is_shut_never_leaves(when):
    """A call that has ended is proven unsent, whatever a transport does later."""

    async def claim():
        if when == "in its claim":
            assert body.shut()

    body = OneShotBody(CONTENT, claim)
    if when == "before it is asked":
        assert body.shut()
    stream = aiter(body)
    if when == "before it is read":
        assert body.shut()
    with pytest.raises(BodyRefusedError, match="nothing may leave any more"):
        run(anext(stream))
    assert not body.left
    assert isinstance(body.refusal, BodyRefusedError)


def test_shutting_a_body_that_left_says_so():
    """Nothing calls back what is on the wire."""
    body = OneShotBody(CONTENT)
    run(anext(aiter(body)))
    assert not body.shut()
    assert body.left


@attrs.define
class Clock:
    """A clock that stands until it is put."""

    now: float = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clocks(monkeypatch):
    """Put clocks in place of the machine's: one that counts sleep, and the wall clock."""
    both = {"boot": Clock(), "wall": Clock()}
    monkeypatch.setattr("clicksend_reseller._http.body.CLOCKS", tuple(both.values()))
    return both


def claim_that_takes(clocks, seconds):
    """Make a claim during which the machine sleeps, by the clocks that are named."""

    async def claim():
        for name, passed in seconds.items():
            clocks[name].now += passed

    return claim


@pytest.mark.parametrize("seconds", [{"boot": 20.1}, {"wall": 20.1}, {"boot": 900, "wall": -900}])
def test_a_body_whose_claim_is_too_old_never_leaves(clocks, seconds):
    """A machine that slept has been judged meanwhile, whichever clock shows that it slept."""
    body = OneShotBody(CONTENT, claim_that_takes(clocks, seconds), seconds=20.0)
    with pytest.raises(
        APITimeoutError, match="between the journal's claim and the sending"
    ) as error:
        run(anext(aiter(body)))
    assert (Outcome.NOT_SENT, True) == (error.value.outcome, error.value.permanent)
    assert {"asked": True, "left": False, "refusal": error.value} == marks(body)


@pytest.mark.parametrize("seconds", [{"boot": 20.0, "wall": 20.0}, {"wall": -900.0}, {}])
def test_a_body_whose_claim_is_young_enough_leaves(clocks, seconds):
    """A wall clock that is put back says nothing."""
    body = OneShotBody(CONTENT, claim_that_takes(clocks, seconds), seconds=20.0)
    assert CONTENT == run(anext(aiter(body)))


def test_a_body_without_a_claim_is_of_any_age(clocks):
    """Nobody judges what is not on record."""
    body = OneShotBody(CONTENT, seconds=20.0)
    stream = aiter(body)
    clocks["boot"].now += 900.0
    assert CONTENT == run(anext(stream))


def test_the_machine_s_clocks_count_seconds(monkeypatch):
    """One of them counts sleep where the machine has such a clock; elsewhere it is monotonic."""
    first = [clock() for clock in CLOCKS]
    assert all(0 <= clock() - then < 60 for clock, then in zip(CLOCKS, first, strict=True))
    assert abs(CLOCKS[1]() - time.time()) < 60
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert time.monotonic is clock_that_counts_sleep()


def test_a_body_that_was_read_on_the_way_is_given_once_more():
    """A hook may look at it, and the transport behind still sends it once."""
    claims = []

    async def claim():
        claims.append(1)

    body = OneShotBody(CONTENT, claim)
    assert CONTENT == run(anext(aiter(body)))
    body.rewind()
    stream = aiter(body)
    assert CONTENT == run(anext(stream))
    with pytest.raises(StopAsyncIteration):
        run(anext(stream))
    with pytest.raises(BodyRefusedError, match="must not send it again"):
        aiter(body)
    assert [1] == claims


def test_a_body_that_was_read_on_the_way_obeys_the_same_rules(clocks):
    """A hook that takes its time, or a call that has ended."""
    body = OneShotBody(CONTENT, claim_that_takes(clocks, {}), seconds=20.0)
    run(anext(aiter(body)))
    body.rewind()
    stream = aiter(body)
    clocks["wall"].now += 900.0
    with pytest.raises(APITimeoutError):
        run(anext(stream))
    body.shut()
    with pytest.raises(BodyRefusedError, match="nothing may leave any more"):
        run(anext(stream))


def test_body_shows_nothing_of_its_content():
    """It stands in frames and logs."""
    body = OneShotBody(CONTENT)
    assert "60" not in f"{body!r}".rpartition(" at ")[0]

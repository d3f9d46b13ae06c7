from collections.abc import AsyncIterator

import pytest

from clicksend_reseller._http.body import BodyRefusedError, OneShotBody
from clicksend_reseller.errors import JournalError

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


def test_body_shows_nothing_of_its_content():
    """It stands in frames and logs."""
    body = OneShotBody(CONTENT)
    assert "60" not in f"{body!r}".rpartition(" at ")[0]

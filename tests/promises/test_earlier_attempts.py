"""What an earlier attempt had reached counts at every end of a call."""

import asyncio
import contextlib
import itertools
import json
from types import SimpleNamespace
from typing import Any

import attrs
import httpx
import pytest

from clicksend_reseller import (
    AsyncResellerClient,
    CallEvent,
    Outcome,
    OutcomeUnknownError,
    ResellerError,
    RetryPolicy,
)
from support.clients import FIELDS, make_client
from support.fault_server import FaultServer
from support.good_answers import good_answer

REFUSED, UNSENT, LOST = "429", "port closed", "lost answer"

# What is known of a write after several attempts: doubt sticks, and a refusal is not forgotten.
_OUTCOMES = {REFUSED: Outcome.REJECTED, UNSENT: Outcome.NOT_SENT, LOST: Outcome.UNKNOWN}
_WEIGHT = [Outcome.NOT_SENT, Outcome.REJECTED, Outcome.UNKNOWN]

# The attempts that have ended before the call does.
FATES = [
    (),
    *itertools.product([REFUSED, UNSENT, LOST]),
    *itertools.product([REFUSED, UNSENT, LOST], repeat=2),
]
LONG = 1e6  # seconds that nobody waits out


def known_after(fates) -> Outcome:
    """Give what must be known, by the fates alone."""
    return max((_OUTCOMES[fate] for fate in fates), key=_WEIGHT.index, default=Outcome.NOT_SENT)


@attrs.define
class Scripted(httpx.AsyncBaseTransport):
    """Lets attempts meet their fates, and answers well when these are used up."""

    fates: list[str]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fate = self.fates.pop(0) if self.fates else None
        if fate == UNSENT:
            raise httpx.ConnectError("nobody listens")
        body = await request.aread()
        if fate == LOST:
            raise httpx.ReadError("cut")
        if fate == REFUSED:
            return httpx.Response(429)
        operation = "update_account" if body else "get_account"
        answer = good_answer(operation, request.url.path, body, 1).partition(b"\r\n\r\n")[2]
        return httpx.Response(200, json=json.loads(answer))


@attrs.define
class Gate:
    """A limiter that lets so many attempts through; the next one waits there, or is refused."""

    left: float
    refusal: Exception | None
    reached: asyncio.Event

    async def __aenter__(self) -> None:
        self.left -= 1
        if self.left >= 0:
            return
        self.reached.set()
        if self.refusal is not None:
            raise self.refusal
        await asyncio.Event().wait()

    async def __aexit__(self, *_: object) -> None: ...


@attrs.define
class Scene:
    """One call whose attempts have ended, and which waits for another."""

    client: AsyncResellerClient
    task: "asyncio.Task[object]"
    events: list[CallEvent]

    async def error(self) -> BaseException | None:
        """Wait for the end, and give what the caller gets."""
        try:
            await self.task
        except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - it is the result
            return error
        return None

    @property
    def finished(self) -> Outcome | None:
        """What the observer was given at the end."""
        [event] = [event for event in self.events if event.kind == "finished"]
        return event.outcome


def _let_time_pass() -> None:
    """Put the loop's clock so far ahead that every deadline has passed."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + 2 * LONG  # type: ignore[method-assign]  # a clock of our own


@contextlib.asynccontextmanager
async def scene(operation, fates, *, gate: Gate, pauses: bool, retries: int = 5):
    """Begin a call, let its attempts meet their fates, and wait until it waits."""
    events: list[CallEvent] = []
    client = AsyncResellerClient(
        "user",
        "key",
        transport=Scripted(list(fates)),
        limiter=gate,
        observer=events.append,
        deadline=LONG,
        retry=RetryPolicy(base_delay=0.0, max_retries=retries),
    )
    closing, waits = client._calls._closing, itertools.count(1)

    async def sleep(_: float) -> None:
        if pauses and next(waits) == len(fates):
            gate.reached.set()
            await closing.sleep(LONG)

    stand_in: Any = SimpleNamespace(sleep=sleep, begin=closing.begin, has_begun=False)
    client._calls._closing = stand_in
    async with client:
        task = asyncio.ensure_future(CALLS[operation](client))
        waiting = asyncio.ensure_future(gate.reached.wait())
        async with asyncio.timeout(10):
            await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        yield Scene(client, task, events)


CALLS = {
    "update": lambda client: client.update_account(60, FIELDS),
    "get": lambda client: client.get_account(60),
}


async def _cancel(found: Scene) -> None:
    found.task.cancel()


async def _close(found: Scene) -> None:
    await found.client.aclose()


async def _pass_the_deadline(_: Scene) -> None:
    _let_time_pass()


ENDS = {"cancelled": _cancel, "closed": _close, "deadline": _pass_the_deadline}


def check(operation, fates, error, finished) -> None:
    """Compare the caller's error or note with the observer's event, and with what is known."""
    if isinstance(error, ResellerError):
        assert error.outcome is finished
    if operation == "get":  # a read has no body that could prove more
        return
    expected = known_after(fates)
    assert expected is finished
    if isinstance(error, ResellerError):
        assert (expected is Outcome.UNKNOWN) == isinstance(error, OutcomeUnknownError)
        return
    notes = " ".join(getattr(error, "__notes__", ()))
    assert [expected] == [outcome for outcome, said in NOTES.items() if said in notes]


NOTES = {
    Outcome.NOT_SENT: "nothing was sent",
    Outcome.REJECTED: "the API had refused it",
    Outcome.UNKNOWN: "may have been applied",
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("where", ["pause", "queue"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("fates", FATES, ids=", then ".join)
async def test_what_attempts_reached_counts_where_a_call_is_ended(operation, where, end, fates):
    """A port that is closed at the second attempt takes back no refusal and no doubt."""
    if where == "pause" and not fates:
        return  # there is no pause before the first attempt
    if (operation, where, end) == ("get", "queue", "closed"):
        return  # a read waits on for its limiter, and sends nothing when its turn comes
    gate = Gate(len(fates) if where == "queue" else LONG, None, asyncio.Event())
    async with scene(operation, fates, gate=gate, pauses=where == "pause") as found:
        await ENDS[end](found)
        error = await found.error()
    check(operation, fates, error, found.finished)


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fates", FATES[1:], ids=", then ".join)
async def test_what_attempts_reached_counts_where_retries_end(operation, fates):
    """The last error is raised, with the outcome of all."""
    gate = Gate(LONG, None, asyncio.Event())
    async with scene(operation, fates, gate=gate, pauses=False, retries=len(fates) - 1) as found:
        error = await found.error()
    assert isinstance(error, ResellerError)
    check(operation, fates, error, found.finished)


@pytest.mark.parametrize("fates", FATES, ids=", then ".join)
async def test_what_attempts_reached_counts_where_the_limiter_refuses(fates):
    """What it raises reaches the caller; only doubt about a write is raised in its place."""
    gate = Gate(len(fates), LookupError("no permit"), asyncio.Event())
    async with scene("update", fates, gate=gate, pauses=False) as found:
        error = await found.error()
    assert known_after(fates) is found.finished
    if LOST in fates:
        assert isinstance(error, OutcomeUnknownError)
        return
    assert isinstance(error, LookupError)
    refused = "nothing was sent this time, and the attempt before was rejected"
    assert [refused if REFUSED in fates else "nothing was sent"] == error.__notes__


@pytest.mark.parametrize("fates", FATES, ids=", then ".join)
async def test_an_answer_counts_whatever_attempts_reached(fates):
    """Twice means the same as once, so the answer to the last is the answer."""
    gate = Gate(LONG, None, asyncio.Event())
    async with scene("update", fates, gate=gate, pauses=False) as found:
        assert await found.error() is None
    assert Outcome.APPLIED is found.finished


async def test_a_refusal_before_a_closed_port_is_said_on_a_cancellation():
    """On real sockets: a 429, then nobody listens, then the caller leaves in the wait."""
    events: list[CallEvent] = []
    policy = RetryPolicy(base_delay=0.2, max_delay=0.2)
    async with FaultServer() as server:
        client = make_client(server, retry=policy, observer=events.append)
        async with client:
            server.script("status_429")
            task = asyncio.ensure_future(client.create_account(FIELDS))
            async with asyncio.timeout(5):
                while not any(event.kind == "attempt" for event in events):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await server.go_down()
                while (events[-1].kind, events[-1].attempt) != ("waiting", 2):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
        assert {} == server.applied
    assert ["create_account: cancelled, and the API had refused it: nothing was changed"] == (
        caught.value.__notes__
    )
    assert ("finished", Outcome.REJECTED) == (events[-1].kind, events[-1].outcome)

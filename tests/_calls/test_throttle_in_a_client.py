import asyncio

import httpx
import pytest

from clicksend_reseller import AsyncResellerClient, RetryPolicy
from clicksend_reseller._calls.throttle import Throttle
from clicksend_reseller.errors import (
    APIConnectionError,
    APITimeoutError,
    OutcomeUnknownError,
    RateLimitError,
    ResellerError,
)
from clicksend_reseller.models import Outcome
from clicksend_reseller.sandbox import Sandbox
from support import virtual_time
from support.clients import FIELDS
from support.limiter import Limiter, raising
from support.memory_journal import MemoryJournal

AT_ONCE = RetryPolicy(base_delay=0.0)


# -- through a client


async def test_after_a_429_a_call_that_could_not_wait_is_not_sent():
    """The pause is known to all operations, and a deadline before its end is no use."""
    sandbox = Sandbox()
    sandbox.fail("limit", retry_after=30)
    async with sandbox.client(deadline=5.0) as client:
        with pytest.raises(RateLimitError):
            await client.get_account(1001)
        with pytest.raises(APITimeoutError) as raised:
            await client.transfer_credit(1001, 5, "AUD")
    error = raised.value
    assert ("transfer_credit", Outcome.NOT_SENT, 0) == (
        error.operation,
        error.outcome,
        error.attempts,
    )
    assert ["get_account"] == [request.operation for request in sandbox.requests]


async def test_a_429_that_names_no_time_holds_the_others_too():
    """For as long as a first retry would wait: the limit is shared by all calls."""
    sent = []

    def answers(request):
        sent.append(request.url.path)
        return httpx.Response(429)

    policy = RetryPolicy(max_retries=0, base_delay=30.0)
    async with _client(answers, deadline=5.0, retry=policy) as client:
        with pytest.raises(RateLimitError):
            await client.get_account(1001)
        with pytest.raises(APITimeoutError) as raised:
            await client.get_own_account()
    assert Outcome.NOT_SENT is raised.value.outcome
    assert ["/v3/reseller/accounts/1001"] == sent


def test_the_policy_s_longest_wait_caps_the_pause_of_all():
    """A server that asks for an hour does not stop a client for an hour."""
    sandbox = Sandbox()
    sandbox.fail("limit", retry_after=3600)

    async def story():
        policy = RetryPolicy(max_retry_after=10.0)
        async with sandbox.client(deadline=15.0, retry=policy) as client:
            with pytest.raises(RateLimitError):
                await client.get_account(1001)
            await client.transfer_credit(1001, 5, "AUD")

    _, seconds = virtual_time.run(story())
    assert 10 == pytest.approx(seconds, abs=0.1)
    assert [5] == sandbox.transfers_to(1001)


async def test_a_remaining_of_0_holds_the_same_operation_only():
    """Its next call would be refused; the other operations have limits of their own."""
    sent = []

    def answers(request):
        sent.append(request.url.path)
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}
        return httpx.Response(404, headers=headers)

    async with _client(answers, deadline=5.0) as client:
        for call in (client.get_account, client.get_account):
            with pytest.raises(ResellerError):
                await call(1001)
        with pytest.raises(ResellerError):
            await client.get_own_account()
    assert ["/v3/reseller/accounts/1001", "/v3/account"] == sent


async def test_an_answer_with_calls_remaining_holds_nobody():
    """A limit that is not used up is only remembered."""
    sent = []

    def answers(request):
        sent.append(request.url.path)
        return httpx.Response(404, headers={"x-ratelimit-remaining": "1"})

    async with _client(answers, deadline=5.0) as client:
        for _ in range(2):
            with pytest.raises(ResellerError):
                await client.get_account(1001)
    assert 2 == len(sent)


async def test_a_limiter_is_entered_once_for_each_attempt():
    """A call that is repeated twice takes three turns."""
    sandbox, limiter = Sandbox(), Limiter()
    sandbox.fail("error", status=503, times=2)
    async with sandbox.client(limiter=limiter, retry=AT_ONCE) as client:
        await client.get_account(1001)
    assert (3, 3, 0) == (limiter.entered, len(sandbox.requests), limiter.inside)


async def test_a_limiter_is_entered_before_the_claim_and_left_before_the_settling():
    """A claim that waits in a limiter would be a row that nobody can judge."""
    order, journal = [], MemoryJournal()

    def notes(step):
        async def hook():
            order.append(step)

        return hook

    for step in ("intend", "claim", "settle"):
        journal.before[step] = notes(step)
    limiter = Limiter(on_enter=notes("limiter entered"), on_exit=notes("limiter left"))
    async with Sandbox().client(journal=journal, limiter=limiter) as client:
        await client.transfer_credit(1001, 5, "AUD", idempotency_key="k1")
    assert ["intend", "limiter entered", "claim", "limiter left", "settle"] == order


@pytest.mark.parametrize("with_journal", [False, True])
async def test_a_limiter_waits_inside_the_deadline(with_journal):
    """Time in the limiter is the call's own time, and nothing has been sent or claimed."""
    sandbox = Sandbox()
    journal = MemoryJournal() if with_journal else None
    limiter = Limiter(on_enter=asyncio.Event().wait)
    async with sandbox.client(limiter=limiter, deadline=0.05, journal=journal) as client:
        with pytest.raises(APITimeoutError) as raised:
            await client.transfer_credit(1001, 5, "AUD")
    assert (Outcome.NOT_SENT, 0) == (raised.value.outcome, raised.value.attempts)
    assert () == sandbox.requests
    if journal is not None:
        assert ["intend", "settle"] == journal.steps


class GateError(ResellerError):
    """What a limiter of the user's may raise, of our own tree."""


class GateDownError(APIConnectionError):
    """The same, of a kind that would be repeated if it were ours."""


class GateFullError(RateLimitError):
    """The same, of a kind that would pause the client if it were ours."""


THEIRS = [RuntimeError("full"), TimeoutError("full"), KeyError("full"), GateError("full")]
LIKE_OURS = [
    GateError("full", outcome=Outcome.UNKNOWN),
    GateDownError("full"),
    GateFullError("full", status_code=429),
]


@pytest.mark.parametrize("operation", ["read", "transfer", "journaled"])
@pytest.mark.parametrize("error", THEIRS, ids=lambda error: type(error).__name__)
async def test_what_a_limiter_raises_passes_through(error, operation):
    """The very error, once, with a note that nothing was sent, and nothing was."""
    await _raises_the_very_error(error, operation)


async def _call(client, operation):
    if operation == "read":
        return await client.get_account(1001)
    return await client.transfer_credit(1001, 5, "AUD")


async def _raises_the_very_error(error, operation):
    error.__notes__ = []
    entered = []

    async def enters():
        entered.append(error)
        raise error

    sandbox, limiter = Sandbox(), Limiter(on_enter=enters)
    journal = MemoryJournal() if operation == "journaled" else None
    async with sandbox.client(
        limiter=limiter, journal=journal, max_concurrency=1, retry=AT_ONCE
    ) as client:
        with pytest.raises(type(error)) as raised:
            await _call(client, operation)
        assert raised.value is error
        assert ["nothing was sent"] == error.__notes__
        assert ((), [error]) == (sandbox.requests, entered)
        limiter.on_enter = None
        await client.get_account(1001)
    if journal is not None:
        assert "refuted" == journal.only.state


async def test_a_limiter_that_fails_on_leaving_does_not_hide_a_receipt(caplog):
    """The money has moved."""
    sandbox = Sandbox()
    limiter = Limiter(on_exit=raising(RuntimeError("cannot leave")))
    async with sandbox.client(limiter=limiter) as client:
        receipt = await client.transfer_credit(1001, 5, "AUD")
    assert (1001, 5) == (receipt.client_user_id, receipt.amount)
    assert [5] == sandbox.transfers_to(1001)
    assert ["the limiter failed after an exchange had ended"] == caplog.messages


def _client(answers, **options):
    transport = httpx.MockTransport(answers)
    return AsyncResellerClient("user", "key-of-the-tests", transport=transport, **options)


@pytest.mark.parametrize("operation", ["read", "journaled"])
@pytest.mark.parametrize("error", LIKE_OURS, ids=lambda error: type(error).__name__)
async def test_what_a_limiter_raises_is_never_taken_for_ours(error, operation):
    """An error of our own classes from there is not repeated, learnt from or turned into doubt."""
    await _raises_the_very_error(error, operation)


async def test_a_limiter_that_fails_later_does_not_take_doubt_back():
    """The update may have been applied before, so 'nothing was sent' would be a lie."""
    sandbox, limiter = Sandbox(), Limiter()
    sandbox.fail("lost", operation="update_account")
    error = RuntimeError("full")

    async def fails_the_second_time():
        if limiter.entered:
            raise error

    limiter.on_enter = fails_the_second_time
    async with sandbox.client(limiter=limiter, retry=AT_ONCE) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await client.update_account(1001, FIELDS)
    assert (1, Outcome.UNKNOWN) == (raised.value.attempts, raised.value.outcome)
    assert ["before the next attempt the limiter failed: RuntimeError('full')"] == (
        raised.value.__notes__
    )
    assert not hasattr(error, "__notes__")


async def test_a_429_is_heard_before_those_who_wait_for_it_go_on(monkeypatch):
    """Also on a journaled transfer, whose settling takes its time after the exchange."""
    heard = []
    journal, sandbox = MemoryJournal(), Sandbox()
    monkeypatch.setattr(Throttle, "pause", lambda self, seconds: heard.append("pause"))

    async def settles():
        heard.append("settle")

    journal.before["settle"] = settles
    limiter = Limiter()

    async def leaves():
        heard.append("left")

    limiter.on_exit = leaves
    sandbox.fail("limit")
    async with sandbox.client(journal=journal, limiter=limiter) as client:
        with pytest.raises(RateLimitError):
            await client.transfer_credit(1001, 5, "AUD")
    assert ["pause", "left", "settle"] == heard

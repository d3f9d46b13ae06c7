"""One call on real sockets: its deadline, the doubt about it, and what is learnt from it."""

import asyncio
import logging
import re
import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from clicksend_reseller import (
    AlreadyExistsError,
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AsyncResellerClient,
    BadRequestError,
    CallEvent,
    ClientStateError,
    Outcome,
    OutcomeUnknownError,
    RateLimit,
    RateLimitError,
    RetryPolicy,
    TransferOutcomeUnknownError,
)
from clicksend_reseller._calls import attempt
from clicksend_reseller.sandbox import Sandbox
from support import virtual_time
from support.clients import FIELDS, TRANSFER, make_client, transfer
from support.fault_server import FaultServer
from support.limiter import Leaving, hang

# --- time


@pytest.mark.parametrize(
    "fault", ["stall_applied", "drip_body", "drip_head", "endless_102_applied"]
)
async def test_an_attempt_ends_in_its_time_whatever_drips(fault):
    """httpx's read time-out never trips on a byte now and then; ours is on the whole."""
    async with FaultServer.striking(fault) as server:
        async with make_client(server, timeout=0.4) as client, asyncio.timeout(10):
            with pytest.raises(TransferOutcomeUnknownError) as caught:
                await transfer(client)
        assert TRANSFER == server.applied
    assert isinstance(caught.value.__cause__, APITimeoutError)
    assert 1 == caught.value.attempts


async def test_the_deadline_frees_the_caller_of_a_write_that_has_left():
    """Its outcome is unknown, and it goes on to the end of its own time."""
    async with FaultServer.striking("stall_applied") as server:
        async with make_client(server, timeout=0.3, deadline=0.05) as client:
            with pytest.raises(
                TransferOutcomeUnknownError, match=r"the deadline of 0\.05 s passed"
            ):
                await transfer(client)
            assert 1 == server.open_connections
        await server.quiet()
        assert TRANSFER == server.applied


async def test_a_deadline_that_passes_in_the_queue_means_unsent():
    """Nothing was asked for, so nothing can have been applied."""
    async with FaultServer() as server:
        server.script("stall")
        options = {"timeout": 0.4, "deadline": 0.1, "max_concurrency": 1}
        async with make_client(server, **options) as client:
            first = asyncio.ensure_future(client.transfer_credit(9, 9, "AUD"))
            await server.until_arrived()
            with pytest.raises(APITimeoutError) as caught:
                await transfer(client)
            with pytest.raises(TransferOutcomeUnknownError):
                await first
        assert {} == server.applied
    assert (Outcome.NOT_SENT, 0) == (caught.value.outcome, caught.value.attempts)


async def test_a_deadline_that_passes_in_a_read_leaves_its_answer_unknown():
    """It changes nothing either way."""
    striking = FaultServer.striking("stall")
    async with striking as server, make_client(server, timeout=0.4, deadline=0.05) as client:
        with pytest.raises(APITimeoutError, match="the deadline of 0") as caught:
            await client.get_account(1)
    assert (Outcome.UNKNOWN, 1) == (caught.value.outcome, caught.value.attempts)


async def test_a_limiter_s_time_out_is_not_the_deadline_s():
    """What it raises passes through, with the word that nothing was sent."""

    class Impatient:
        async def __aenter__(self) -> None:
            raise TimeoutError("no permit today")

        async def __aexit__(self, *_: object) -> None: ...

    async with FaultServer() as server, make_client(server, limiter=Impatient()) as client:
        with pytest.raises(TimeoutError, match="no permit today") as caught:
            await transfer(client)
        assert ["nothing was sent"] == caught.value.__notes__
        assert 0 == server.connections


async def test_a_limiter_that_hangs_on_leaving_does_not_hide_what_came(monkeypatch):
    """At the deadline the caller has the receipt, since the API's word is there."""
    monkeypatch.setattr(attempt, "SETTLE_SECONDS", -0.35)
    options: dict[str, Any] = {"limiter": Leaving(hang), "timeout": 0.4, "deadline": 0.1}
    async with FaultServer() as server:
        async with make_client(server, **options) as client:
            assert 1 == (await transfer(client)).client_user_id
            assert 2 == (await client.get_account(2)).user_id
        assert TRANSFER == server.applied


async def test_a_limiter_that_hangs_on_leaving_is_cut_by_closing_and_the_receipt_stays(
    monkeypatch, caplog
):
    """Whether its caller waits or has gone, the transfer is known to be applied."""
    monkeypatch.setattr(attempt, "SETTLE_SECONDS", -0.95)
    async with FaultServer() as server:
        client = make_client(server, limiter=Leaving(hang), timeout=1.0)
        waiting = asyncio.ensure_future(transfer(client))
        gone = asyncio.ensure_future(client.transfer_credit(2, 5, "AUD"))
        await server.until_arrived(2)
        await asyncio.sleep(0.05)  # the answers have come, and both wait for the limiter
        gone.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await gone
        await client.aclose()
        assert 1 == (await waiting).client_user_id
    (note,) = caught.value.__notes__
    assert re.fullmatch(
        r"transfer_credit of 5 AUD to client 2 \(call \d+\): "
        "cancelled, but it was applied: do not repeat it",
        note,
    )
    assert "whose caller had gone, ended: applied" in caplog.text


@pytest.mark.parametrize("hangs", [True, False])
async def test_closing_from_a_limiter_does_not_wait_for_itself(hangs):
    """The client closes as soon as the call has ended."""
    done = asyncio.Event()

    async def close() -> None:
        await client.aclose()
        done.set()

    async with FaultServer() as server:
        client = make_client(server, limiter=Leaving(close))
        async with asyncio.timeout(2):
            call = transfer(client) if hangs else client.get_account(1)
            await call
            assert done.is_set()
            await client.aclose()
        await server.quiet()
        assert 0 == server.open_connections
        with pytest.raises(ClientStateError):
            await client.get_account(1)


async def test_one_error_that_a_limiter_raises_again_and_again_has_one_note():
    """It may keep one object for all calls that it refuses."""
    refusal = LookupError("no permit")

    class Refusing(Leaving):
        async def __aenter__(self) -> None:
            raise refusal

    async with FaultServer() as server, make_client(server, limiter=Refusing(hang)) as client:
        for call in (transfer(client), client.get_account(1), transfer(client)):
            with pytest.raises(LookupError):
                await call
    assert ["nothing was sent"] == refusal.__notes__


def test_a_call_takes_two_minutes_at_most_where_nobody_says_otherwise():
    """The deadline of a client that was made without one."""
    sandbox = Sandbox()
    sandbox.fail("hang", times=None)

    async def story():
        async with sandbox.client(timeout=3600.0) as client:
            with pytest.raises(APITimeoutError, match="deadline of 120 s"):
                await client.get_account(1001)

    _, seconds = virtual_time.run(story())
    assert 120 == pytest.approx(seconds, abs=0.01)


# --- doubt sticks


async def test_a_later_refusal_does_not_take_doubt_back():
    """The first update may have been applied, whatever the second is told."""
    async with FaultServer() as server, make_client(server) as client:
        server.script("lost_fin_applied")
        server.script("status_400")
        with pytest.raises(OutcomeUnknownError, match="an attempt may have been applied") as caught:
            await client.update_account(7, FIELDS)
        assert {("update", 7): 1} == server.applied
    assert 2 == caught.value.attempts
    assert isinstance(caught.value.__cause__, BadRequestError)


async def test_a_later_unsent_attempt_does_not_take_doubt_back():
    """The server goes down between the attempts."""
    async with FaultServer() as server:
        async with make_client(server, retry=RetryPolicy(base_delay=0.2, max_delay=0.2)) as client:
            server.script("lost_fin_applied")
            task = asyncio.ensure_future(client.update_account(7, FIELDS))
            await server.until_arrived()
            await server.go_down()
            with pytest.raises(OutcomeUnknownError) as caught:
                await task
            assert {("update", 7): 1} == server.applied
        cause = caught.value.__cause__
        assert isinstance(cause, APIConnectionError)
        assert Outcome.NOT_SENT is cause.outcome


async def test_what_once_left_is_never_called_unsent():
    """A 429 is the server's word; a refused port after it does not make it a proof."""
    policy = RetryPolicy(base_delay=0.2, max_delay=0.2)
    async with FaultServer() as server, make_client(server, retry=policy) as client:
        server.script("status_429")
        task = asyncio.ensure_future(client.create_account(FIELDS))
        await server.until_arrived()
        await server.go_down()
        with pytest.raises(APIConnectionError) as caught:
            await task
    assert Outcome.REJECTED is caught.value.outcome


async def test_a_limiter_that_fails_after_a_refusal_does_not_hide_it():
    """Something had left, so "nothing was sent" would not be the whole truth."""

    class Once:
        entered = 0

        async def __aenter__(self) -> None:
            self.entered += 1
            if self.entered > 1:
                raise LookupError("no second permit")

        async def __aexit__(self, *_: object) -> None: ...

    events: list[CallEvent] = []
    options = {"limiter": Once(), "observer": events.append}
    async with FaultServer() as server, make_client(server, **options) as client:
        server.script("status_429")
        with pytest.raises(LookupError) as caught:
            await client.create_account(FIELDS)
    assert ["nothing was sent this time, and the attempt before was rejected"] == (
        caught.value.__notes__
    )
    assert ("finished", Outcome.REJECTED) == (events[-1].kind, events[-1].outcome)


async def test_a_later_success_ends_doubt():
    """Twice means the same as once, so the second answer is the answer."""
    async with FaultServer() as server, make_client(server) as client:
        server.script("lost_fin_applied")
        assert 7 == (await client.update_account(7, FIELDS)).user_id
        assert {("update", 7): 2} == server.applied


async def test_an_update_that_is_applied_but_unreadable_says_applied():
    """The change was made: that is no doubt."""
    async with FaultServer.striking("success_no_balance") as server, make_client(server) as client:
        with pytest.raises(APIResponseError, match=r"data\.balance") as caught:
            await client.update_account(7, FIELDS)
        assert {("update", 7): 1} == server.applied
    assert Outcome.APPLIED is caught.value.outcome


async def test_an_update_that_is_applied_but_unreadable_ends_the_doubt_before_it():
    """The second answer is the API's word, though the first was lost."""
    async with FaultServer() as server, make_client(server) as client:
        server.script("lost_fin_applied")
        server.script("success_no_balance")
        with pytest.raises(APIResponseError, match=r"data\.balance") as caught:
            await client.update_account(7, FIELDS)
        assert {("update", 7): 2} == server.applied
    assert (Outcome.APPLIED, 2) == (caught.value.outcome, caught.value.attempts)


async def test_a_result_outranks_the_doubt_before_it_when_the_call_is_cut():
    """The update was applied, and the note for a cancelled caller says so."""
    second, may_go = asyncio.Event(), asyncio.Event()
    exits = iter([None, second])

    async def leave() -> None:
        if is_left := next(exits):
            is_left.set()
            await may_go.wait()

    events: list[CallEvent] = []
    options: dict[str, Any] = {"limiter": Leaving(leave), "observer": events.append}
    async with FaultServer() as server, make_client(server, **options) as client:
        server.script("lost_fin_applied")
        task = asyncio.ensure_future(client.update_account(7, FIELDS))
        async with asyncio.timeout(5):
            await second.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        may_go.set()
        assert {("update", 7): 2} == server.applied
    assert ["update_account: cancelled, but it was applied: do not repeat it"] == (
        caught.value.__notes__
    )
    assert ("finished", Outcome.APPLIED) == (events[-1].kind, events[-1].outcome)


# --- what is learnt


async def test_a_refusal_is_raised_as_it_is():
    """The class tells why, the outcome that nothing was made, the cause nothing."""
    async with FaultServer.striking("already_exists_400") as server, make_client(server) as client:
        with pytest.raises(AlreadyExistsError) as caught:
            await client.create_account(FIELDS)
        assert {} == server.applied
    error = caught.value
    assert ("create_account", Outcome.REJECTED, 1) == (
        error.operation,
        error.outcome,
        error.attempts,
    )


async def test_rate_limits_are_remembered():
    """The snapshot is of the last answer that had rate headers."""
    async with FaultServer() as server:
        server.script("status_429_wait_60")
        async with make_client(server) as client:
            assert client.rate_limit is None
            before = datetime.now(UTC)
            with pytest.raises(RateLimitError) as caught:
                await transfer(client)
            limit = client.rate_limit
    assert 60.0 == caught.value.retry_after
    assert limit is not None
    assert before <= limit.received_at
    assert RateLimit(limit=20, remaining=0, resets_in=60.0, received_at=limit.received_at) == limit


async def test_each_retry_is_logged_with_reason_and_wait(caplog):
    """One line for each, and the password of the call in none."""
    caplog.set_level(logging.INFO, "clicksend_reseller")
    async with FaultServer() as server, make_client(server) as client:
        server.script("status_503", times=2)
        await client.update_account(7, FIELDS)
    lines = [record.getMessage() for record in caplog.records if "attempt" in record.getMessage()]
    assert 2 == len(lines)
    assert "update_account: attempt 1 failed, another follows in 0.00 s: HTTP 503" in lines[0]
    assert "open-sesame-please" not in caplog.text


def test_a_port_that_refuses_is_unsent_on_every_operation():
    """A refused connection is tried again, and ends as NOT_SENT."""

    async def story(port: int) -> list[tuple[Outcome, int]]:
        policy = RetryPolicy(base_delay=0.001)
        url = f"http://127.0.0.1:{port}/v3"
        async with AsyncResellerClient("user", "key", base_url=url, retry=policy) as client:
            calls = [
                client.get_account(1),
                client.update_account(1, FIELDS),
                client.create_account(FIELDS),
                transfer(client),
            ]
            errors: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
            return [(error.outcome, error.attempts) for error in errors]

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ends = asyncio.run(story(closed.getsockname()[1]))
    assert [(Outcome.NOT_SENT, 4)] * 4 == ends

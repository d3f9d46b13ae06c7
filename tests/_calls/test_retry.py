import asyncio
import logging
import random
import sys
import traceback
from decimal import Decimal

import attrs
import pytest
import tenacity

from clicksend_reseller import RetryPolicy
from clicksend_reseller._calls.retry import (
    BUDGET_SIZE,
    RETRY_PRICE,
    RetryBudget,
    asked_to_wait,
    delay,
    may_repeat,
    repeat,
)
from clicksend_reseller._wire.operations import Operation, Repeat
from clicksend_reseller.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    ClientStateError,
    ConfigurationError,
    InsufficientCreditError,
    JournalError,
    KeyReusedError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    ResellerError,
    ServerError,
    TransferOutcomeUnknownError,
    UnsettledTransferError,
)
from clicksend_reseller.models import Account, Outcome
from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.sandbox import ClientOptions
from support.memory_journal import MemoryJournal

AT_ONCE = RetryPolicy(base_delay=0.0)
RESENDS = RetryPolicy(base_delay=0.0, resend_rate_limited_transfers=True)

UNKNOWN, REJECTED, APPLIED = Outcome.UNKNOWN, Outcome.REJECTED, Outcome.APPLIED


def operation(word):
    """Make an operation with nothing but its word."""
    return Operation(name="o", method="PUT", path="/", returns=Account, repeat=word)


# -- may it be repeated?

# What happened, the bare error that says so, and for each word whether it may be sent again.
MAY_BE_REPEATED = [
    # "freely", "same meaning", "after refusal", "never"
    ("refused, no name, TLS cut off", APIConnectionError("-"), "yes yes yes yes"),
    ("connecting took too long", APITimeoutError("-"), "yes yes yes yes"),
    ("certificate, scheme, header", APIConnectionError("-", permanent=True), "no no no no"),
    ("a pause beyond the deadline", APITimeoutError("-", permanent=True), "no no no no"),
    ("the client is closed", ClientStateError("-"), "no no no no"),
    ("settings", ConfigurationError("-"), "no no no no"),
    ("the journal failed", JournalError("-"), "no no no no"),
    ("the key is another's", KeyReusedError("-"), "no no no no"),
    ("the claim was lost", UnsettledTransferError("-"), "no no no no"),
    ("429", RateLimitError("-", status_code=429), "yes yes yes no"),
    ("429 in a 200", RateLimitError("-", status_code=200), "yes yes yes no"),
    ("an answer lost", APIConnectionError("-", outcome=UNKNOWN), "yes yes no no"),
    ("reading took too long", APITimeoutError("-", outcome=UNKNOWN), "yes yes no no"),
    ("408", APIStatusError("-", status_code=408, outcome=UNKNOWN), "yes yes no no"),
    ("500", ServerError("-", status_code=500, outcome=UNKNOWN), "yes yes no no"),
    ("503", ServerError("-", status_code=503, outcome=UNKNOWN), "yes yes no no"),
    ("HTML in a 200, or 204", APIResponseError("-", status_code=200), "yes yes no no"),
    ("HTML in a 4xx", BadRequestError("-", status_code=400, outcome=UNKNOWN), "yes yes no no"),
    ("half an answer", APIResponseError("-", status_code=502), "yes yes no no"),
    ("a redirect", APIResponseError("-", status_code=307, permanent=True), "no no no no"),
    ("400", BadRequestError("-", status_code=400), "no no no no"),
    ("404", NotFoundError("-", status_code=404), "no no no no"),
    ("no credit", InsufficientCreditError("-", status_code=503), "no no no no"),
    (
        "success, unreadable, on a read",
        APIResponseError("-", status_code=200, permanent=True),
        "no no no no",
    ),
    (
        "success, unreadable, on a write",
        APIResponseError("-", status_code=200, outcome=APPLIED, permanent=True),
        "no no no no",
    ),
    ("an applied write", APIResponseError("-", status_code=200, outcome=APPLIED), "no no no no"),
    ("a cancellation", asyncio.CancelledError(), "no no no no"),
    ("the limiter's own", RuntimeError("full"), "no no no no"),
    ("the limiter's own time-out", TimeoutError("full"), "no no no no"),
    ("the end of the program", KeyboardInterrupt(), "no no no no"),
]


@pytest.mark.parametrize("journaled", [False, True])
@pytest.mark.parametrize("policy", [AT_ONCE, RESENDS])
@pytest.mark.parametrize(
    ("error", "answers"),
    [row[1:] for row in MAY_BE_REPEATED],
    ids=[row[0] for row in MAY_BE_REPEATED],
)
def test_what_may_be_repeated_is_a_table(error, answers, policy, journaled):
    """The operation's word decides, and the one choice of the caller's changes one field of it."""
    expected = dict(zip(Repeat, answers.split(), strict=True))
    if isinstance(error, RateLimitError) and policy is RESENDS and not journaled:
        expected[Repeat.NEVER] = "yes"
    assert expected == {
        word: "yes" if may_repeat(error, operation(word), policy, journaled=journaled) else "no"
        for word in Repeat
    }


def test_a_429_that_leaves_doubt_is_not_believed():
    """Only a refusal opens the way to a second transfer or creation."""
    error = RateLimitError("-", status_code=429, outcome=UNKNOWN)
    answers = [may_repeat(error, operation(word), RESENDS, journaled=False) for word in Repeat]
    assert [True, True, False, False] == answers


def test_doubt_that_was_spelt_out_is_not_repeated_for_a_write():
    """The error for callers says the same as the bare one."""
    transfer = TransferOutcomeUnknownError("-", client_user_id=1, amount=1, currency="AUD")
    for error in (OutcomeUnknownError("-"), transfer):
        for word in (Repeat.AFTER_REFUSAL, Repeat.NEVER):
            assert not may_repeat(error, operation(word), RESENDS, journaled=False)


# -- how long to wait?


def highest(_low, high):
    """Draw the most."""
    return high


def lowest(low, _high):
    """Draw the least."""
    return low


def test_the_wait_doubles_up_to_its_cap():
    """The longest waits before each retry; the shortest are nothing: full jitter."""
    policy = RetryPolicy(base_delay=0.5, max_delay=8.0)
    error = APIConnectionError("-")
    retries = [1, 2, 3, 4, 5, 6, 100_000]
    longest = [delay(error, retry, policy, highest) for retry in retries]
    assert [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0] == longest
    assert {0.0} == {delay(error, retry, policy, lowest) for retry in retries}
    assert 0.5 == delay(None, 1, policy, highest)


def test_the_wait_is_random_all_over_its_range():
    """Tasks that failed together do not come back together."""
    random.seed(7)
    policy = RetryPolicy(base_delay=1.0, max_delay=8.0)
    drawn = [delay(None, 3, policy) for _ in range(2_000)]
    assert 0 <= min(drawn) < 0.1
    assert 3.9 < max(drawn) <= 4.0
    assert 1.9 < sum(drawn) / len(drawn) < 2.1


@pytest.mark.parametrize(
    ("asked", "shortest", "longest"),
    [(0.0, 0.0, 0.5), (0.1, 0.1, 0.5), (10.0, 10.0, 11.0), (60.0, 60.0, 66.0)],
)
def test_the_wait_is_never_shorter_than_asked(asked, shortest, longest):
    """A tenth is added at most, so that those who were told the same time spread out."""
    policy = RetryPolicy(base_delay=0.5)
    for cls in (RateLimitError, ServerError):
        error = cls("-", status_code=503, retry_after=asked)
        assert asked == asked_to_wait(error)
        assert shortest == delay(error, 1, policy, lowest)
        assert longest == delay(error, 1, policy, highest)


def test_who_was_not_asked_was_not_asked():
    """Nothing is read into errors without the header."""
    errors = [ServerError("-", status_code=503), APIConnectionError("-"), RuntimeError("-"), None]
    assert [None] * 4 == [asked_to_wait(error) for error in errors]


# -- the policy


@pytest.mark.parametrize(
    ("field", "value", "error", "said"),
    [
        ("max_retries", -1, ValueError, "max_retries must be 0 or more, not -1"),
        ("max_retries", 2.5, TypeError, "max_retries must be an int, not 2.5"),
        ("max_retries", True, TypeError, "max_retries must be a number, not True"),
        ("base_delay", -0.1, ValueError, "base_delay must be 0 or more, not -0.1"),
        ("max_delay", float("nan"), ValueError, "max_delay must be 0 or more, not nan"),
        ("max_retry_after", float("inf"), ValueError, "max_retry_after must be 0 or more, not inf"),
        ("max_retry_after", "60", TypeError, "max_retry_after must be a number, not '60'"),
        (
            "resend_rate_limited_transfers",
            "no",
            TypeError,
            "resend_rate_limited_transfers must be True or False, not 'no'",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(field, value, error, said):
    """Found where it is written, not in the middle of a night."""
    with pytest.raises(error) as raised:
        RetryPolicy(**{field: value})
    assert said == str(raised.value)


def test_a_policy_may_be_made_of_nothings():
    """No retries and no waits are a policy too."""
    nothing = RetryPolicy(max_retries=0, base_delay=0, max_delay=0, max_retry_after=0)
    assert (0, 0, 0, 0, False) == attrs.astuple(nothing)
    assert sys.float_info.max == RetryPolicy(max_delay=sys.float_info.max).max_delay


# -- the budget


def test_a_budget_buys_twenty_retries():
    """More than that makes a server in trouble worse."""
    budget, error = RetryBudget(), ServerError("-", status_code=503)
    assert [True] * 20 + [False] * 3 == [budget.spend(error) for _ in range(23)]


def test_a_success_pays_a_fifth_of_a_retry():
    """Five calls that succeed make room for one that does not."""
    budget, error = RetryBudget(), APIConnectionError("-")
    while budget.spend(error):
        pass
    for _ in range(4):
        budget.refill()
    assert not budget.spend(error)
    budget.refill()
    assert [True, False] == [budget.spend(error), budget.spend(error)]


def test_a_budget_does_not_grow_beyond_its_size():
    """A quiet night pays for no storm."""
    budget = RetryBudget()
    for _ in range(1_000):
        budget.refill()
    bought = [budget.spend(None) for _ in range(100)]
    assert BUDGET_SIZE / RETRY_PRICE == sum(bought)


def test_a_retry_after_a_429_costs_nothing():
    """There the server itself says when to come back; also when nothing is left."""
    budget = RetryBudget()
    limited, failed = RateLimitError("-", status_code=429), ServerError("-", status_code=503)
    assert all(budget.spend(limited) for _ in range(100))
    assert [True] * 20 + [False] == [budget.spend(failed) for _ in range(21)]
    assert budget.spend(limited)


# -- the adapter


class Story:
    """A call that fails as told; it knows how often it was tried, and what was waited."""

    def __init__(self, *results, seconds_left=1e9):
        self.results = list(results)
        self.time = seconds_left
        self.budget = RetryBudget()
        self.tried = 1
        self.told = []
        self.slept = []

    async def attempt(self):
        self.tried += 1
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    def may_repeat(self, error):
        return may_repeat(error, operation(Repeat.FREELY), AT_ONCE, journaled=False)

    def seconds_left(self):
        return self.time

    def before_wait(self, error, seconds):
        self.told.append((error, seconds))

    async def sleep(self, seconds):
        self.slept.append(seconds)

    async def run(self, policy=AT_ONCE):
        return await repeat(self, self.results.pop(0), policy=policy, budget=self.budget)

    @property
    def left(self):
        """How many retries the budget would still pay."""
        return sum(self.budget.spend(None) for _ in range(100))


def lost():
    """Make the error of a read whose answer is lost; each is another."""
    return APIConnectionError("lost", outcome=UNKNOWN)


async def test_it_goes_on_until_one_attempt_succeeds():
    """The first error counts as the first attempt, which is not made again."""
    story = Story(lost(), lost(), "the answer")
    assert "the answer" == await story.run()
    assert (3, [0.0, 0.0], 18) == (story.tried, story.slept, story.left)


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_attempts_are_counted_exactly(retries):
    """So many retries are so many attempts and one, and the last error comes out."""
    errors = [lost() for _ in range(5)]
    story = Story(*errors)
    with pytest.raises(APIConnectionError) as raised:
        await story.run(RetryPolicy(max_retries=retries, base_delay=0.0))
    assert raised.value is errors[retries]
    assert (1 + retries, retries) == (story.tried, len(story.slept))
    assert 20 - retries == story.left


async def test_tenacity_never_shows():
    """The very error is raised: not wrapped, not caused by, not in the context of another."""
    errors = [lost(), NotFoundError("gone", status_code=404)]
    with pytest.raises(NotFoundError) as raised:
        await Story(*errors).run()
    assert raised.value is errors[1]
    assert (None, None) == (raised.value.__cause__, raised.value.__context__)
    assert "RetryError" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), RuntimeError("full"), TimeoutError("full")], ids=repr
)
async def test_foreign_exceptions_pass_at_once(error):
    """A cancellation, or what a limiter raises, ends the call as it is."""
    story = Story(lost(), error, "never")
    with pytest.raises(type(error)) as raised:
        await story.run()
    assert raised.value is error
    assert 2 == story.tried


async def test_an_error_that_may_not_be_repeated_costs_nothing():
    """There is no wait, no word of one, and no price."""
    story = Story(NotFoundError("gone", status_code=404))
    with pytest.raises(NotFoundError):
        await story.run()
    assert (1, [], [], 20) == (story.tried, story.told, story.slept, story.left)


async def test_each_wait_is_told_with_its_reason_and_its_seconds():
    """Before it begins, and the wait is the one that was told."""
    limited = RateLimitError("-", status_code=429, retry_after=3.0)
    failed = lost()
    story = Story(limited, failed, "the answer")
    await story.run(RetryPolicy(base_delay=0.5))
    assert [limited, failed] == [error for error, _ in story.told]
    assert story.slept == [seconds for _, seconds in story.told]
    assert 3.0 <= story.slept[0] <= 3.3
    assert 0.0 <= story.slept[1] <= 1.0


async def test_a_wait_as_long_as_allowed_is_waited():
    """The bound belongs to what is allowed."""
    limited = RateLimitError("-", status_code=429, retry_after=60.0)
    story = Story(limited, "the answer")
    assert "the answer" == await story.run(RetryPolicy(max_retry_after=60.0))
    assert 60.0 <= story.slept[0] <= 66.0


async def test_a_server_that_asks_for_too_long_is_not_waited_for():
    """The error says how long was asked, and the caller can do something else meanwhile."""
    limited = RateLimitError("-", status_code=429, retry_after=60.5)
    story = Story(limited)
    with pytest.raises(RateLimitError) as raised:
        await story.run(RetryPolicy(max_retry_after=60.0))
    assert raised.value is limited
    assert ([], [], 20) == (story.told, story.slept, story.left)


async def test_a_wait_beyond_the_deadline_is_not_begun():
    """The last error is worth more than a time-out later."""
    story = Story(RateLimitError("-", status_code=429, retry_after=10.0), seconds_left=9.9)
    with pytest.raises(RateLimitError):
        await story.run()
    assert ([], [], 1) == (story.told, story.slept, story.tried)


async def test_waiting_for_a_429_is_not_paid_for():
    """The server itself said when to come back, so the budget stays as it was."""
    limited = RateLimitError("slow down", status_code=429, retry_after=0.0)
    story = Story(limited, "the answer")
    assert "the answer" == await story.run()
    assert 20 == story.left


async def test_who_was_not_asked_to_wait_may_have_a_short_limit():
    """A limit for what servers ask says nothing of errors that ask for nothing."""
    story = Story(lost(), "the answer")
    policy = RetryPolicy(base_delay=0.0, max_retry_after=0.0)
    assert "the answer" == await story.run(policy)


async def test_the_budget_is_asked_last():
    """A stop for another reason spends nothing: asking the budget spends it."""
    asked_too_much = ServerError("-", status_code=503, outcome=UNKNOWN, retry_after=61.0)
    no_time = ServerError("-", status_code=503, outcome=UNKNOWN, retry_after=5.0)
    for story, policy in (
        (Story(lost()), RetryPolicy(max_retries=0)),
        (Story(asked_too_much), RetryPolicy()),
        (Story(no_time, seconds_left=4.9), RetryPolicy()),
    ):
        with pytest.raises(ResellerError):
            await story.run(policy)
        assert (1, 20) == (story.tried, story.left)


async def test_an_empty_budget_raises_the_last_error_at_once():
    """Nothing is waited for that would not be followed by an attempt."""
    story = Story(error := lost())
    assert 20 == story.left
    with pytest.raises(APIConnectionError) as raised:
        await story.run()
    assert raised.value is error
    assert (1, []) == (story.tried, story.slept)


# -- through a client


async def test_a_call_that_succeeds_does_not_enter_tenacity(monkeypatch):
    """It costs 17 to 25 µs, which only a failure has to pay."""
    monkeypatch.setattr(tenacity, "AsyncRetrying", None)
    sandbox = Sandbox()
    async with sandbox.client() as client:
        assert 1001 == (await client.get_account(1001)).user_id
    assert 1 == len(sandbox.requests)


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_three_retries_are_four_requests(retries):
    """The error's `attempts` says the same as the server's log."""
    sandbox = Sandbox()
    sandbox.fail("error", status=503, times=None)
    async with sandbox.client(retry=RetryPolicy(max_retries=retries, base_delay=0.0)) as client:
        with pytest.raises(ServerError) as raised:
            await client.get_account(1001)
    assert (1 + retries, 1 + retries) == (raised.value.attempts, len(sandbox.requests))
    assert "RetryError" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("policy", "with_journal", "sent"),
    [(AT_ONCE, False, 1), (RESENDS, False, 2), (AT_ONCE, True, 1), (RESENDS, True, 1)],
)
async def test_a_transfer_after_a_429_is_the_caller_s_choice_and_the_journal_s(
    policy, with_journal, sent
):
    """With a journal the refusal is final for its round, whatever the policy says."""
    sandbox = Sandbox()
    sandbox.fail("limit", retry_after=0)
    journal = MemoryJournal() if with_journal else None
    async with sandbox.client(retry=policy, journal=journal) as client:
        transfer = client.transfer_credit(1001, 5, "AUD")
        if sent == 2:
            assert 5 == (await transfer).amount
        else:
            with pytest.raises(RateLimitError) as raised:
                await transfer
            assert (Outcome.REJECTED, 1) == (raised.value.outcome, raised.value.attempts)
    assert sent == len(sandbox.requests)
    assert [Decimal(5)] * (sent - 1) == sandbox.transfers_to(1001)


async def test_a_server_that_is_down_is_not_stormed():
    """100 tasks cost 120 requests, not 400."""
    sandbox = Sandbox()
    sandbox.fail("error", status=503, times=None)
    async with sandbox.client(retry=AT_ONCE) as client:
        calls = [client.get_account(1001) for _ in range(100)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [ServerError] * 100 == [type(result) for result in results]
    assert 120 == len(sandbox.requests)


async def test_a_retry_that_waits_stops_at_aclose():
    """The client does not outlive its closing by a server's minute."""
    sandbox = Sandbox()
    sandbox.fail("limit", retry_after=30)
    client = sandbox.client()
    call = asyncio.create_task(client.get_account(1001))
    for _ in range(20):
        await asyncio.sleep(0)
    assert 1 == len(sandbox.requests)
    await client.aclose()
    with pytest.raises(ClientStateError) as raised:
        await call
    assert "the client was closed while the call waited" == raised.value.message
    assert (1, 1) == (raised.value.attempts, len(sandbox.requests))


async def test_each_retry_has_a_line_in_the_log(caplog):
    """It names the operation, the attempt, the wait and the reason."""
    caplog.set_level(logging.INFO)
    sandbox = Sandbox()
    sandbox.fail("error", status=503)
    sandbox.fail("error", status=502)
    async with sandbox.client(retry=AT_ONCE) as client:
        await client.get_account(1001)
    ours = [record for record in caplog.record_tuples if record[0] == "clicksend_reseller"]
    first = (
        "get_account: attempt 1 failed, another follows in 0.00 s: "
        "HTTP 503 SERVICE_UNAVAILABLE: 'Service Unavailable.'"
    )
    second = (
        "get_account: attempt 2 failed, another follows in 0.00 s: "
        "HTTP 502 BAD_GATEWAY: 'Bad Gateway.'"
    )
    expected = [("clicksend_reseller", logging.INFO, line) for line in (first, second)]
    assert expected == ours


async def test_a_server_s_wait_beyond_the_policy_or_the_deadline_ends_the_call():
    """At once, with the server's own error, and one request made."""
    impatient: list[ClientOptions] = [
        {"retry": RetryPolicy(max_retry_after=5.0)},
        {"deadline": 5.0},
    ]
    for options in impatient:
        sandbox = Sandbox()
        sandbox.fail("error", status=503, retry_after=30)
        async with sandbox.client(**options) as client:
            with pytest.raises(ServerError) as raised:
                await client.get_account(1001)
        assert 30.0 == raised.value.retry_after
        assert (1, 1) == (raised.value.attempts, len(sandbox.requests))


async def test_a_call_that_succeeds_after_retries_pays_back_too():
    """Any success shows that the server can: 24 of them are left, where 20 were paid for."""
    sandbox = Sandbox()
    async with sandbox.client(retry=AT_ONCE) as client:
        for _ in range(24):
            sandbox.fail("error", status=503)
            await client.get_account(1001)
        sandbox.fail("error", status=503)
        with pytest.raises(ServerError):
            await client.get_account(1001)
    assert 2 * 24 + 1 == len(sandbox.requests)

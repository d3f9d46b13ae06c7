from random import Random

import pytest

from clicksend_reseller.sandbox import Fault, Quirks, Sandbox
from clicksend_reseller.sandbox.service.exchange import exchange
from clicksend_reseller.sandbox.service.faults import BREAKING, KINDS, FaultTable, make_fault


def strikes(table, times, matches=lambda fault: True):
    """Tell for each of so many requests whether it was struck."""
    return [bool(table.use_first(matches)) for _ in range(times)]


def test_a_fault_strikes_once_unless_told_otherwise():
    """One armed fault is one failure, which is what most tests want."""
    table = FaultTable(Random(1))
    table.arm(Fault("lost"))
    assert [True, False, False] == strikes(table, 3)
    assert () == table.armed


def test_times_and_after_say_which_requests_are_struck():
    """The first two pass, the next three fail, and then it is spent."""
    table = FaultTable(Random(1))
    table.arm(Fault("lost", times=3, after=2))
    assert [False, False, True, True, True, False] == strikes(table, 6)


def test_a_fault_without_end_strikes_for_ever():
    """``times=None`` has no last time."""
    table = FaultTable(Random(1))
    table.arm(Fault("lost", times=None))
    assert [True] * 50 == strikes(table, 50)


def test_the_first_armed_match_strikes():
    """Each in the order of arming, each once."""
    table = FaultTable(Random(1))
    armed = [table.arm(Fault(kind)) for kind in ("lost", "page", "empty")]
    assert [*armed, None] == [table.use_first(lambda fault: True) for _ in range(4)]


def test_a_request_that_does_not_match_leaves_a_fault_as_it_is():
    """Neither its count nor its ``after`` moves."""
    table = FaultTable(Random(1))
    table.arm(Fault("lost", after=1))
    assert [False] * 5 == strikes(table, 5, lambda fault: False)
    assert (0, 0) == (table.armed[0].passed, table.armed[0].struck)


def test_chance_follows_the_seed():
    """A test that fails by chance fails again with the same seed."""

    def run(seed):
        table = FaultTable(Random(seed))
        table.arm(Fault("lost", times=None, chance=0.3))
        return strikes(table, 200)

    assert run(1) == run(1) != run(2)
    assert 30 < sum(run(1)) < 90


def test_the_chance_of_a_sandbox_follows_its_seed():
    """In another process too, and again after a reset."""

    def run(sandbox):
        sandbox.fail("lost", times=None, chance=0.3)
        return strikes(sandbox.state.faults, 200)

    first = Sandbox(seed=1, accounts=10)
    struck = run(first)
    assert struck == run(Sandbox(seed=1, accounts=10)) != run(Sandbox(seed=2, accounts=10))
    first.reset()
    assert struck == run(first)


def test_a_fault_that_was_armed_strikes_before_one_of_the_cast():
    """Who arms one for 1011 means it, though 1011 loses its answers by itself."""
    sandbox = Sandbox()
    sandbox.fail("page", client_user_id=1011)
    kinds = [
        fault and fault.kind
        for fault in (
            sandbox.state.faults.use_first(lambda fault: fault.client_user_id == 1011)
            for _ in range(2)
        )
    ]
    assert ["page", "lost"] == kinds


def test_a_fault_is_forgotten_by_its_id():
    """The ids are given on arming and never again to another."""
    table = FaultTable(Random(1))
    first, second = table.arm(Fault("lost")), table.arm(Fault("page"))
    assert (1, 2) == (first.id, second.id)
    assert [True, False] == [table.disarm(1), table.disarm(1)]
    assert [second] == [armed.fault for armed in table.armed]
    table.clear()
    assert (3, 1) == (table.arm(Fault("lost")).id, len(table.armed))


def test_clearing_leaves_the_faults_of_the_cast():
    """1011 and 1012 are what they are, like a test card that is always declined."""
    sandbox = Sandbox()
    sandbox.fail("page")
    sandbox.clear_faults()
    assert () == sandbox.faults

    def use_first(client_user_id):
        fault = sandbox.state.faults.use_first(lambda fault: fault.client_user_id == client_user_id)
        return fault and fault.kind

    assert [None, "lost", "hang"] == [use_first(client) for client in (1010, 1011, 1012)]


def test_a_smaller_cast_brings_only_its_own_faults():
    """Nobody fails who is not there."""
    assert () == Sandbox(accounts=10).state.setup.standing_faults
    assert () == Sandbox(accounts=[{"user_id": 1011}]).state.setup.standing_faults


@pytest.mark.parametrize(
    ("where", "struck"),
    [
        ({}, True),
        ({"operation": "transfer_credit"}, True),
        ({"operation": "get_account"}, False),
        ({"client_user_id": 1001}, True),
        ({"client_user_id": 1002}, False),
        ({"operation": "transfer_credit", "client_user_id": 1001}, True),
        ({"operation": "get_account", "client_user_id": 1001}, False),
    ],
)
def test_a_fault_strikes_where_it_was_armed(where, struck, make_request):
    """By operation, by client, or both; a transfer's client is in its body."""
    sandbox = Sandbox()
    sandbox.fail("error", **where)
    body = {"client_user_id": 1001, "balance": 1, "currency": "AUD"}
    done = exchange(sandbox.state, make_request("PUT", "/reseller/transfer-credit", body))
    assert struck is bool(done.fault)


APPLIED = {
    "reset": 0,
    "lost": 1,
    "hang": 1,
    "drip": 1,
    "cut": 1,
    "garbage": 1,
    "page": 1,
    "empty": 1,
    "error": 0,
    "limit": 0,
    "redirect": 0,
    "slow": 1,
}


@pytest.mark.parametrize(
    ("kind", "applied", "count"),
    [
        *((kind, None, count) for kind, count in APPLIED.items()),
        *((kind, True, 1) for kind in APPLIED),
        *((kind, False, 0) for kind in APPLIED if kind != "slow"),
    ],
)
def test_each_kind_applies_as_the_table_says_unless_told_otherwise(
    kind, applied, count, make_request
):
    """The ledger is the truth: what a fault does to the answer says nothing about the money."""
    sandbox = Sandbox()
    sandbox.fail(kind, applied=applied)
    body = {"client_user_id": 1001, "balance": 1, "currency": "AUD"}
    exchange(sandbox.state, make_request("PUT", "/reseller/transfer-credit", body))
    assert count == len(sandbox.ledger)


def test_the_log_says_what_was_meant_for_the_caller(make_request):
    """A status where there was to be an answer, none where the caller was left alone."""
    sandbox = Sandbox()
    for kind in APPLIED:
        sandbox.fail(kind)
        exchange(sandbox.state, make_request("GET", "/account"))
    logged = {request.fault: request.status for request in sandbox.requests}
    assert {
        **dict.fromkeys(BREAKING - {"refuse"}),
        "page": 502,
        "empty": 200,
        "error": 500,
        "limit": 429,
        "redirect": 307,
        "slow": 200,
    } == logged


@pytest.mark.parametrize(
    ("kind", "where", "expected"),
    [
        ("error", {}, (500, "INTERNAL_SERVER_ERROR", None)),
        ("error", {"status": 403}, (403, "FORBIDDEN", None)),
        (
            "error",
            {"status": 400, "response_code": "INSUFFICIENT_CREDIT", "retry_after": 3},
            (400, "INSUFFICIENT_CREDIT", "3"),
        ),
        ("limit", {"retry_after": 39}, (429, "HTTP_TOO_MANY_REQUESTS", "39")),
        ("limit", {}, (429, "HTTP_TOO_MANY_REQUESTS", "1")),
    ],
)
def test_an_answering_fault_says_what_it_was_told_to_say(kind, where, expected, ask, make_request):
    """The status, the code and the wait are the test's to choose."""
    sandbox = Sandbox()
    sandbox.fail(kind, **where)
    reply = exchange(sandbox.state, make_request("GET", "/account")).reply
    code = reply.body.split(b'"response_code": "')[1].split(b'"')[0].decode()
    assert expected == (reply.status, code, reply.headers.get("retry-after"))


def test_an_unapplied_fault_counts_no_call_against_the_rate(make_request):
    """What never reached the API is not in its books."""
    sandbox = Sandbox(quirks=Quirks(rate_limit=1), clock=lambda: 60.0)
    sandbox.fail("error")
    statuses = [
        exchange(sandbox.state, make_request("GET", "/account")).reply.status for _ in range(3)
    ]
    assert [500, 200, 429] == statuses


@pytest.mark.parametrize(
    ("kind", "where", "message"),
    [
        ("explode", {}, "unknown fault 'explode': the faults are refuse, reset, lost"),
        ("lost", {"operation": "transfer"}, "unknown operation 'transfer': .*transfer_credit"),
        ("lost", {"client": 5}, "unknown field 'client': a fault has operation, client_user_id"),
        ("lost", {"times": 0}, "times is a whole number from 1 on, not 0"),
        ("lost", {"after": -1}, "after is a whole number from 0 on, not -1"),
        ("lost", {"chance": 1.1}, "chance is a number from 0 to 1, not 1.1"),
        ("slow", {"seconds": "1"}, "seconds is a number from 0 to 3600, not '1'"),
        ("error", {"status": 99}, "status is that of an HTTP answer, not 99"),
        ("error", {"response_code": 400}, "response_code is a string, not 400"),
        ("refuse", {"client_user_id": 1001}, "a refused connection knows no client"),
        ("refuse", {"applied": True}, "a 'refuse' fault cannot have applied=True"),
        ("slow", {"applied": False}, "a 'slow' fault cannot have applied=False"),
    ],
)
def test_an_impossible_fault_is_refused_by_name(kind, where, message):
    """The message names what there is."""
    with pytest.raises(ValueError, match=message):
        make_fault(kind, **where)


def test_arming_gives_the_fault_with_its_id():
    """So that a test can show which one it armed, and forget it."""
    sandbox = Sandbox()
    expected = Fault("lost", operation="transfer_credit", times=2, id=1)
    assert expected == sandbox.fail("lost", operation="transfer_credit", times=2)
    assert [expected] == [armed.fault for armed in sandbox.faults]


def test_every_kind_is_in_this_files_table():
    """A new kind comes with what it does to the money."""
    assert {*APPLIED, "refuse"} == set(KINDS)

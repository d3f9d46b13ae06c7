import pytest

from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.service.exchange import exchange, mark_delivered
from clicksend_reseller.sandbox.service.faults import KINDS
from clicksend_reseller.sandbox.service.messages import Request
from clicksend_reseller.sandbox.trace import _GOT, LINES, trace

PAID = {"client_user_id": 1001, "balance": 12, "currency": "USD"}


@pytest.fixture
def send(make_request):
    """Send a request through a sandbox, and tell its caller where nothing keeps it from being."""

    def send(sandbox, method, target, body=b""):
        mark_delivered(sandbox.state, exchange(sandbox.state, make_request(method, target, body)))

    return send


@pytest.fixture
def pay(send):
    """Transfer 12 USD to client 1001."""
    return lambda sandbox: send(sandbox, "PUT", "/reseller/transfer-credit", PAID)


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        ("reset", "not applied, connection reset"),
        ("lost", "applied, answer lost"),
        ("hang", "applied, no answer"),
        ("drip", "applied, answer too slow to end"),
        ("cut", "applied, half an answer"),
        ("garbage", "applied, answer that is no HTTP"),
        ("page", "applied, HTML page 502"),
        ("empty", "applied, 200 without a body"),
        ("error", "not applied, answer 500"),
        ("limit", "not applied, answer 429"),
        ("redirect", "not applied, answer 307"),
        ("slow", "applied, answer 200 late"),
    ],
)
def test_each_fault_has_its_words(pay, kind, end):
    """What was applied, and what the caller got, are told apart."""
    sandbox = Sandbox()
    sandbox.fail(kind)
    pay(sandbox)
    assert f"PUT transfer-credit 1001 12 USD → {end}" == trace(sandbox)


def test_a_fault_may_be_applied_against_its_habit(pay):
    """The ledger decides, not the kind."""
    sandbox = Sandbox()
    sandbox.fail("lost", applied=False)
    sandbox.fail("error", applied=True, status=503)
    pay(sandbox)
    pay(sandbox)
    assert [
        "PUT transfer-credit 1001 12 USD → not applied, answer lost",
        "PUT transfer-credit 1001 12 USD → applied, answer 503",
    ] == trace(sandbox).splitlines()


def test_every_kind_that_can_be_logged_has_words():
    """A refused connection brings no request; all others do."""
    assert [kind for kind in KINDS if kind != "refuse"] == list(_GOT)


def test_every_operation_has_a_line(send, pay):
    """Refusals, reads and other writes; of bodies only a transfer's three fields are shown."""
    sandbox = Sandbox()
    send(sandbox, "GET", "/reseller/accounts?page=2&limit=5")
    send(sandbox, "POST", "/reseller/accounts", {"username": "x", "password": "engine-1843"})
    sandbox.fail("lost")
    send(sandbox, "PUT", "/reseller/accounts/1002", {"password": "engine-1843"})
    send(sandbox, "GET", "/account")
    send(sandbox, "PUT", "/reseller/transfer-credit", {**PAID, "balance": 100_000})
    send(sandbox, "PUT", "/reseller/transfer-credit", {"currency": "a\nb" * 30})
    send(sandbox, "PUT", "/reseller/transfer-credit", b"[]")
    send(sandbox, "DELETE", "/nowhere")
    assert [
        "GET accounts?page=2&limit=5 → answer 200",
        "POST accounts → answer 400",
        "PUT accounts/1002 → answer lost",
        "GET account → answer 200",
        "PUT transfer-credit 1001 100000 USD → not applied, answer 400",
        r"PUT transfer-credit - - 'a\nba\nba\nba\nba\n… → not applied, answer 400",
        "PUT transfer-credit (no JSON object) → not applied, answer 400",
        "DELETE nowhere → answer 404",
    ] == trace(sandbox).splitlines()


def test_a_caller_who_left_by_itself_is_told_apart(make_request):
    """No fault kept it from the answer."""
    sandbox = Sandbox()
    exchange(sandbox.state, make_request("PUT", "/reseller/transfer-credit", PAID))
    line = "PUT transfer-credit 1001 12 USD → applied, answer 200, but the caller had gone"
    assert line == trace(sandbox)


def test_faults_that_wait_are_told(pay):
    """A test that fails because its fault never struck says so."""
    sandbox = Sandbox()
    sandbox.fail("hang", operation="get_account", client_user_id=1001)
    sandbox.fail("slow", times=3)
    pay(sandbox)
    assert [
        "PUT transfer-credit 1001 12 USD → applied, answer 200 late",
        "still armed: hang on get_account for 1001, used 0 of 1 times",
        "still armed: slow on every request, used 1 of 3 times",
    ] == trace(sandbox).splitlines()


def test_a_long_story_is_its_end():
    """A walk over a long list does not fill the screen; the last lines are those that matter."""
    sandbox = Sandbox()
    assert "no request arrived" == trace(sandbox)
    state = sandbox.state
    for n in range(LINES + 3):
        exchange(state, Request(method="GET", path=f"/v3/{n}"))
    lines = trace(sandbox).splitlines()
    assert ("… 3 earlier requests", "GET 3 → answer 404") == tuple(lines[:2])
    assert (LINES + 1, f"GET {LINES + 2} → answer 404") == (len(lines), lines[-1])
    exchange(state, Request(method="GET", path="/v3/" + "a" * 70))
    assert f"GET {'a' * 60}… → answer 404" == trace(sandbox).splitlines()[-1]

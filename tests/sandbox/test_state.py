import decimal
from decimal import Decimal
from random import Random

import pytest

from clicksend_reseller.sandbox import Fault, Quirks, Sandbox
from clicksend_reseller.sandbox.service.exchange import exchange
from clicksend_reseller.sandbox.service.faults import SERVED_KINDS
from clicksend_reseller.sandbox.service.money import RATES, convert, money
from clicksend_reseller.sandbox.service.state import REQUESTS_KEPT, Entry, ShortOfCreditError

CURRENCIES = sorted(RATES)


class Clock:
    def __init__(self, now=1_000_000_020.0):
        self.now = now

    def __call__(self):
        return self.now


def worth(sandbox, spent):
    """Add up all the money there is, at the sandbox's own rates."""
    setup = sandbox.state.setup
    held = sandbox.credit * setup.rates[setup.currency]
    clients = sum(c.balance * setup.rates[c.currency] for c in sandbox.state.clients.values())
    return held + clients + spent


def do_something(sandbox, random, pay, currencies):
    """Transfer or spend at random; give what was spent, at the sandbox's rates."""
    client = random.choice(list(sandbox.state.clients.values()))
    if random.random() < 0.3:
        amount = Decimal(random.randrange(1, 5_000_000)).scaleb(-6)
        sandbox.spend(client.user_id, amount)
        return amount * RATES[client.currency]
    pay(sandbox, client.user_id, random.randrange(-40, 60) or 1, random.choice(currencies))
    return Decimal(0)


@pytest.mark.parametrize("seed", range(3))
def test_money_is_conserved_exactly_in_one_currency(seed, pay):
    """What the reseller, the clients and the air hold together never changes."""
    accounts = [{"currency": "AUD", "balance": "10.5"}] * 6
    sandbox, random, spent = Sandbox(accounts=accounts, credit="500"), Random(seed), Decimal(0)
    before = worth(sandbox, spent)
    for _ in range(1000):
        spent += do_something(sandbox, random, pay, ["AUD"])
        assert before == worth(sandbox, spent)
    assert sandbox.ledger


@pytest.mark.parametrize("seed", range(3))
def test_money_is_conserved_through_the_rates_but_for_rounding(seed, pay):
    """Each transfer rounds both sides by at most half of the sixth decimal, and no more is lost."""
    sandbox, random, spent = Sandbox(accounts=40, currency="GBP"), Random(seed), Decimal(0)
    before = worth(sandbox, spent)
    for _ in range(1000):
        spent += do_something(sandbox, random, pay, CURRENCIES)
    rounding = len(sandbox.ledger) * Decimal("0.0000005") * 2 * max(RATES.values())
    assert abs(before - worth(sandbox, spent)) <= rounding
    assert len(sandbox.ledger) > 100


@pytest.mark.parametrize("seed", range(3))
def test_money_is_conserved_whatever_fails(seed, make_request):
    """A fault takes the answer away, or the whole transfer, and never half of one."""
    sandbox, random = Sandbox(accounts=[{"balance": "9"}] * 4, credit="700"), Random(seed)
    before = worth(sandbox, 0)
    for kind in SERVED_KINDS:
        sandbox.fail(kind, times=None, chance=0.2)
    for _ in range(1000):
        client_user_id, amount = random.randrange(1001, 1006), random.randrange(-9, 12)
        body = {"client_user_id": client_user_id, "balance": amount, "currency": "AUD"}
        exchange(sandbox.state, make_request("PUT", "/reseller/transfer-credit", body))
        assert before == worth(sandbox, 0)
    applied = {request.n for request in sandbox.requests} & {e.request for e in sandbox.ledger}
    assert len(sandbox.ledger) == len(applied) > 100
    assert {*SERVED_KINDS, None} == {request.fault for request in sandbox.requests}


def test_the_ledger_follows_from_itself(pay):
    """Every entry's credit is the one before it less its own cost, and the last is the present."""
    sandbox, random = Sandbox(accounts=20), Random(5)
    for _ in range(200):
        do_something(sandbox, random, pay, CURRENCIES)
    credit = money("1000")
    for n, entry in enumerate(sandbox.ledger, start=1):
        credit -= convert(entry.amount, entry.currency, "AUD", RATES)
        assert (n, credit) == (entry.n, entry.credit_after)
    assert credit == sandbox.credit


def test_a_transfer_is_written_into_the_ledger_whole(pay):
    """An entry says who, how much, both balances after, and that nobody was told yet."""
    sandbox = Sandbox(clock=lambda: 12.5)
    assert pay(sandbox, 1002, 12, "AUD") == "SUCCESS"
    assert sandbox.ledger == (
        Entry(
            n=1,
            time=12.5,
            client_user_id=1002,
            amount=Decimal(12),
            currency="AUD",
            balance_after=Decimal(28),
            credit_after=Decimal(988),
            request=0,
            told=False,
        ),
    )


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("0.000001", "0.000000"), ("0.000003", "0.000002"), ("0.000005", "0.000002"), ("-1", "-0.5")],
)
def test_a_conversion_rounds_half_to_even(amount, expected):
    """A half of the sixth decimal goes to the even neighbour, as banks do."""
    rates = {"AUD": Decimal(1), "XTS": Decimal("0.5")}
    assert Decimal(expected) == convert(Decimal(amount), "XTS", "AUD", rates)


def test_a_caller_with_a_small_precision_does_not_round_the_sandbox(pay):
    """The decimal context of the test's own thread has no say in the money."""
    sandbox = Sandbox(credit="123456789.123456")
    with decimal.localcontext(prec=3):
        assert pay(sandbox, 1001, 1) == "SUCCESS"
    assert Decimal("123456788.123456") == sandbox.credit


def test_a_transfer_beyond_the_credit_changes_nothing():
    """The paying side never goes below zero by a transfer."""
    sandbox = Sandbox(credit="10")
    before = (dict(sandbox.state.clients), sandbox.credit, sandbox.ledger, sandbox.state.revision)
    with pytest.raises(ShortOfCreditError):
        sandbox.state.transfer(sandbox.state.clients[1001], Decimal("10.000001"), "AUD")
    after = (dict(sandbox.state.clients), sandbox.credit, sandbox.ledger, sandbox.state.revision)
    assert before == after


def test_all_of_the_credit_can_be_transferred(pay):
    """A transfer of exactly what is there goes through, and one of a millionth more does not."""
    sandbox = Sandbox(credit="10")
    assert pay(sandbox, 1001, 10) == "SUCCESS"
    assert pay(sandbox, 1001, 1) == "INSUFFICIENT_CREDIT"
    assert Decimal(0) == sandbox.credit


def test_credit_can_be_taken_back_by_a_reseller_in_debt(pay):
    """It makes the debt smaller: the paying side is the client."""
    sandbox = Sandbox(credit="-10")
    assert pay(sandbox, 1001, 1) == "INSUFFICIENT_CREDIT"
    assert pay(sandbox, 1001, -5) == "SUCCESS"
    assert Decimal(-5) == sandbox.credit


def test_credit_cannot_be_taken_from_a_client_who_has_less(pay):
    """Taking back needs something to take, and a client in debt can still be paid."""
    sandbox = Sandbox()
    assert pay(sandbox, 1001, -51) == "INSUFFICIENT_CREDIT"
    assert pay(sandbox, 1001, -50) == "SUCCESS"
    assert pay(sandbox, 1005, 1) == "SUCCESS"
    balances = (sandbox.balance(1001), sandbox.balance(1005), sandbox.credit)
    assert (Decimal(0), Decimal("-2.25"), Decimal(1049)) == balances


def test_a_client_may_spend_into_debt():
    """Spending is what clients do by themselves, so nothing checks it against the balance."""
    sandbox = Sandbox()
    sandbox.spend(1001, "50.000001")
    assert Decimal("-0.000001") == sandbox.balance(1001)


@pytest.mark.parametrize("amount", ["0", "-1", 0])
def test_spending_nothing_is_refused(amount):
    """Spending less than something would be a gift."""
    with pytest.raises(ValueError, match="spends more than nothing"):
        Sandbox().spend(1001, amount)


@pytest.mark.parametrize("amount", [1.5, True, None])
def test_money_is_never_a_float(amount):
    """A float has lost the sixth decimal before it arrives."""
    with pytest.raises(TypeError, match="money is a str, an int or a Decimal"):
        money(amount)


@pytest.mark.parametrize("amount", ["1e3", "NaN", "", "1.0000001", "1" * 13, "١"])
def test_money_is_a_plain_decimal_number(amount):
    """Anything else is refused before Decimal sees it."""
    with pytest.raises(ValueError, match="money has at most"):
        money(amount)


def test_the_cast_is_fixed():
    """The first twelve are the same for everybody, each there for one oddity."""
    cast = Sandbox().state.clients
    odd = {
        1003: cast[1003].row["setting_beta"],
        1004: cast[1004].row["user_phone"],
        1006: cast[1006].row["banned"],
        1007: cast[1007].row["_subaccount"],
        1008: cast[1008].row["_currency"],
        1009: cast[1009].row["setting_fix_sender_id"],
        1010: cast[1010].row["auto_recharge"],
    }
    expected: dict[int, object]
    expected = {1003: 0, 1004: 61200001004, 1006: 1, 1007: None, 1008: [], 1009: 2**31 - 1, 1010: 1}
    assert expected == odd
    assert list(range(1001, 1013)) == list(cast)
    assert (Decimal("-3.25"), "USD") == (cast[1005].balance, cast[1002].currency)
    assert "timezone" not in cast[1003].row


def test_generated_clients_follow_the_seed_and_not_the_number():
    """The same seed gives the same clients, however many are asked for."""
    many, few = Sandbox(accounts=50, seed=3), Sandbox(accounts=20, seed=3)
    assert list(few.state.clients.values()) == list(many.state.clients.values())[:20]
    assert (
        list(Sandbox(accounts=20, seed=4).state.clients.values())[12:]
        != list(few.state.clients.values())[12:]
    )


def test_clients_of_the_callers_own_are_filled_in():
    """A mapping says what matters; the rest of the row, and the id, come by themselves."""
    sandbox = Sandbox(accounts=[{"username": "ada", "balance": "7", "currency": "EUR"}, {}])
    ada = sandbox.account(1001)
    assert ("ada", "7.000000", "EUR") == (
        ada["username"],
        ada["balance"],
        ada["_currency"]["currency_name_short"],
    )
    assert "client1002" == sandbox.account(1002)["username"]
    assert Fault("lost", times=None) not in sandbox.state.setup.standing_faults


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ([{"user_id": 5}, {"user_id": 5}], "user_id 5 comes twice"),
        ([{"user_id": 0}], "user_id must be an int from 1"),
        ([{"user_id": True}], "user_id must be an int from 1"),
        ([{"user_id": 7, "balance": 0.5}], "account 7: money is a str"),
        ([{"currency": "XTS"}], "no rate for currency 'XTS'"),
    ],
)
def test_impossible_clients_are_refused(accounts, message):
    """A state that cannot be is named before it opens."""
    with pytest.raises(ValueError, match=message):
        Sandbox(accounts=accounts)


@pytest.mark.parametrize("accounts", [-1, True])
def test_a_number_of_clients_is_a_number(accounts):
    """A slice would take a negative one for something else."""
    with pytest.raises(ValueError, match="accounts is a whole number from 0 on"):
        Sandbox(accounts=accounts)


def test_the_client_after_the_last_possible_one_gets_a_free_number():
    """Ids end at 2**31 - 1, and a sandbox may begin there."""
    sandbox = Sandbox(accounts=[{"user_id": 1}, {"user_id": 2**31 - 1}])
    assert 2 == sandbox.add_account()["user_id"]


def test_a_second_account_with_the_same_id_is_refused():
    """Adding never replaces anybody."""
    sandbox = Sandbox(accounts=1)
    assert 1002 == sandbox.add_account(username="new")["user_id"]
    with pytest.raises(ValueError, match="user_id 1002 is taken"):
        sandbox.add_account(user_id=1002)
    with pytest.raises(ValueError, match="no rate for currency 'XTS'"):
        sandbox.add_account(currency="XTS")


def test_an_unknown_client_is_named():
    """A typing error in a test shows at once."""
    with pytest.raises(KeyError, match="no client 9 in this sandbox"):
        Sandbox().balance(9)


def test_the_request_log_keeps_the_last_ten_thousand(make_request):
    """A sandbox that serves for days does not grow with its requests."""
    sandbox = Sandbox(accounts=0)
    for _ in range(REQUESTS_KEPT + 5):
        exchange(sandbox.state, make_request("GET", "/account"))
    numbers = [request.n for request in sandbox.requests]
    assert list(range(6, REQUESTS_KEPT + 6)) == numbers


def test_a_reset_brings_back_the_beginning(make_request, pay):
    """Accounts, credit, ledger, requests, faults and dice are as new; the revision goes on."""
    sandbox, fresh = Sandbox(), Sandbox()
    pay(sandbox, 1001, 5)
    exchange(sandbox.state, make_request("GET", "/account"))
    sandbox.fail("lost", chance=0.5)
    sandbox.add_account()
    revision = sandbox.state.revision
    sandbox.reset()
    assert (fresh.state.clients, Decimal(1000), (), (), ()) == (
        sandbox.state.clients,
        sandbox.credit,
        sandbox.ledger,
        sandbox.requests,
        sandbox.faults,
    )
    assert sandbox.state.revision > revision


def test_every_change_is_a_new_revision(make_request, pay):
    """Whoever watches the number misses nothing."""
    sandbox = Sandbox()
    seen = [sandbox.state.revision]
    changes = [
        lambda: pay(sandbox, 1001, 1),
        lambda: sandbox.state.mark_delivered(sandbox.ledger[-1]),
        lambda: exchange(sandbox.state, make_request("GET", "/account")),
        lambda: sandbox.spend(1001, 1),
        lambda: sandbox.fail("lost"),
        lambda: sandbox.clear_fault(1),
        sandbox.clear_faults,
        sandbox.add_account,
        sandbox.reset,
    ]
    for change in changes:
        change()
        seen.append(sandbox.state.revision)
    assert sorted(set(seen)) == seen


def test_telling_after_a_reset_tells_nobody_else(pay):
    """A slow answer that outlives a reset does not mark the new state's first transfer."""
    sandbox = Sandbox()
    pay(sandbox, 1001, 1)
    old = sandbox.ledger[0]
    sandbox.reset()
    pay(sandbox, 1002, 1)
    sandbox.state.mark_delivered(old)
    assert not sandbox.ledger[0].told


def test_reads_trail_transfers_by_the_lag(ask, pay):
    """Both balances show a transfer only when the lag is over; what is spent shows at once."""
    clock = Clock()
    sandbox = Sandbox(quirks=Quirks(read_lag=5), clock=clock)

    def shown():
        paths = ("/reseller/accounts/1001", "/account")
        return [ask(sandbox, "GET", path)[1]["data"]["balance"] for path in paths]

    pay(sandbox, 1001, 7)
    assert ["50.000000", "1000.000000"] == shown()
    clock.now += 4.9
    sandbox.spend(1001, 1)
    assert ["49.000000", "1000.000000"] == shown()
    clock.now += 0.1
    assert ["56.000000", "993.000000"] == shown()

from decimal import Decimal

import pytest

from clicksend_reseller.sandbox import Quirks, Sandbox
from clicksend_reseller.sandbox.service.api import Target, answer, identify

ADA = {
    "username": "ada",
    "password": "engine-1843",
    "user_email": "ada@client.test",
    "user_phone": "518-481-1002",
    "user_first_name": "Ada",
    "user_last_name": "Byron",
    "account_name": "Engines",
    "country": "US",
}

FIELDS_EVERYWHERE = {
    "user_id",
    "username",
    "user_email",
    "active",
    "banned",
    "balance",
    "user_phone",
    "reply_to",
    "delivery_to",
    "user_first_name",
    "user_last_name",
    "account",
    "account_name",
    "account_billing_email",
    "account_billing_mobile",
    "country",
    "default_country_sms",
    "auto_recharge",
    "auto_recharge_amount",
    "low_credit_amount",
    "setting_unicode_sms",
    "setting_email_sms_subject",
    "setting_fix_sender_id",
    "setting_sms_message_char_limit",
    "_currency",
    "_subaccount",
}
NEW = {"old_dashboard", "balance_commission", "timezone"}
OLD = {"setting_beta", "unsubscribe_mail"}

UNAUTHORIZED = {
    "http_code": 401,
    "response_code": "UNAUTHORIZED",
    "response_msg": "Authorization failed.",
    "data": None,
}
NO_ROUTE = {
    "http_code": 404,
    "response_code": "NOT_FOUND",
    "response_msg": "Invalid endpoint. Please try again.",
    "data": None,
}

PATHS = [
    ("GET", "/reseller/accounts", "list_accounts"),
    ("GET", "/reseller/accounts/", "list_accounts"),
    ("POST", "/reseller/accounts", "create_account"),
    ("GET", "/reseller/accounts/1001", "get_account"),
    ("PUT", "/reseller/accounts/1001", "update_account"),
    ("PUT", "/reseller/transfer-credit", "transfer_credit"),
    ("GET", "/account", "get_own_account"),
]


@pytest.mark.parametrize(("method", "path", "operation"), PATHS)
def test_each_route_is_known(method, path, operation, make_request):
    """Each is the client's method of the same name."""
    assert operation == identify(make_request(method, path)).operation


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/account"),
        ("DELETE", "/reseller/accounts/1001"),
        ("GET", "/reseller/transfer-credit"),
        ("GET", "/reseller/accounts/one"),
        ("GET", "/reseller/accounts/-1"),
        ("GET", "/reseller/accounts/%31001"),
        ("GET", "/reseller/accounts/1001/"),
        ("GET", "/reseller/accounts/../accounts"),
        ("GET", ""),
    ],
)
def test_a_wrong_route_or_method_is_the_documented_404(method, path, ask):
    """The live API never says 405, and neither do we."""
    assert (404, NO_ROUTE) == ask(Sandbox(), method, path)


@pytest.mark.parametrize(("method", "path", "operation"), PATHS)
@pytest.mark.parametrize("authorization", ["", "Basic c2FuZGJveDpvdGhlcg==", "Bearer sandbox"])
def test_wrong_credentials_are_the_documented_401(method, path, operation, authorization, ask):
    """Missing, wrong and of another kind are one and the same answer."""
    assert (401, UNAUTHORIZED) == ask(Sandbox(), method, path, authorization=authorization)


def test_a_transfer_names_its_client_in_the_body(make_request):
    """That is how a fault for one client finds it."""
    request = make_request("PUT", "/reseller/transfer-credit", {"client_user_id": 1002})
    assert Target(operation="transfer_credit", client_user_id=1002) == identify(request)


def test_an_account_has_the_documented_fields(ask):
    """New and old rows differ in what they lack, as the documentation's own examples do."""
    sandbox = Sandbox()
    new, old = (
        set(ask(sandbox, "GET", f"/reseller/accounts/{user_id}")[1]["data"])
        for user_id in (1001, 1003)
    )
    assert (FIELDS_EVERYWHERE | NEW, FIELDS_EVERYWHERE | OLD) == (new, old)


def test_money_leaves_as_a_string_of_six_decimals(ask):
    """Whatever was given, and zero too."""
    sandbox = Sandbox(accounts=[{"balance": "7"}, {}, {"balance": -1}])
    rows = ask(sandbox, "GET", "/reseller/accounts")[1]["data"]["data"]
    assert ["7.000000", "0.000000", "-1.000000"] == [row["balance"] for row in rows]


def test_the_own_account_shows_the_credit(ask):
    """The reseller's balance is the credit that transfers come from."""
    sandbox = Sandbox(credit="12.5", currency="EUR", username="me")
    status, body = ask(sandbox, "GET", "/account", authorization="Basic bWU6c2FuZGJveA==")
    data = body["data"]
    shown = (data["username"], data["balance"], data["_currency"]["currency_name_short"])
    assert (200, "SUCCESS", "me", "12.500000", "EUR") == (status, body["response_code"], *shown)


def page(ask, sandbox, query=""):
    """List, and give what the page says of itself with the ids on it."""
    data = ask(sandbox, "GET", f"/reseller/accounts{query}")[1]["data"]
    ids = [row["user_id"] for row in data.pop("data")]
    return tuple(data.values()), ids


def test_a_page_says_where_it_stands(ask):
    """Total, per_page, current, last, next, previous, from, to; fifteen rows unless asked."""
    sandbox = Sandbox(accounts=31)
    ids = list(range(1001, 1032))
    assert ((31, 15, 1, 3, "/?page=2", None, 1, 15), ids[:15]) == page(ask, sandbox)
    assert ((31, 15, 2, 3, "/?page=3", "/?page=1", 16, 30), ids[15:30]) == page(
        ask, sandbox, "?page=2"
    )
    assert ((31, 15, 3, 3, None, "/?page=2", 31, 31), ids[30:]) == page(ask, sandbox, "?page=3")
    assert ((31, 15, 4, 3, None, "/?page=3", None, 0), []) == page(ask, sandbox, "?page=4")


def test_an_empty_list_has_last_page_zero(ask):
    """Seen live on another list; a quirk makes it one."""
    assert ((0, 15, 1, 0, None, None, None, 0), []) == page(ask, Sandbox(accounts=0))
    one = Sandbox(accounts=0, quirks=Quirks(empty_last_page=1))
    assert ((0, 15, 1, 1, None, None, None, 0), []) == page(ask, one)


@pytest.mark.parametrize(
    ("query", "per_page"),
    [
        ("?limit=10", 10),
        ("?limit=101", 100),
        ("?limit=0", 15),
        ("?limit=-1", 15),
        ("?limit=x", 15),
        ("?limit=", 15),
        ("?limit=1&limit=2", 2),
    ],
)
def test_a_limit_is_cut_and_the_page_says_so(query, per_page, ask):
    """``per_page`` is what holds, not what was asked."""
    assert per_page == page(ask, Sandbox(), query)[0][1]


def test_a_small_limit_can_be_raised(ask):
    """The documentation elsewhere speaks of 15 to 100."""
    sandbox = Sandbox(quirks=Quirks(min_limit=15, max_limit=20))
    assert [15, 20] == [page(ask, sandbox, f"?limit={limit}")[0][1] for limit in (1, 50)]


def test_the_next_page_can_be_named_in_three_ways(ask):
    """None of them is worth following, which is why they differ."""
    habits = [Quirks(next_page_url=name) for name in ("bare", "other-host", "none")]
    urls = [page(ask, Sandbox(quirks=quirks), "?limit=5")[0][4] for quirks in habits]
    assert ["/?page=2", "https://rest.clicksend.com/v3/reseller/accounts/?page=2", None] == urls


def test_currency_and_subaccount_can_stand_beside_the_rows(ask):
    """A slip of the documentation page, and a server may follow it."""
    sandbox = Sandbox(accounts=2, quirks=Quirks(currency_beside_data=True))
    data = ask(sandbox, "GET", "/reseller/accounts")[1]["data"]
    assert ({}, {}) == (data["_currency"], data["_subaccount"])
    assert FIELDS_EVERYWHERE | NEW == set(data["data"][0]) | {"_currency", "_subaccount"}
    assert not {"_currency", "_subaccount"} & set(data["data"][0])


def test_rows_can_be_old_or_mixed(ask):
    """Mixed is every other row, by its id."""

    def styles(rows):
        sandbox = Sandbox(accounts=[{}] * 3, quirks=Quirks(rows=rows))
        data = ask(sandbox, "GET", "/reseller/accounts")[1]["data"]["data"]
        return ["setting_beta" in row and "timezone" not in row for row in data]

    assert ([True, True, True], [True, False, True]) == (styles("old"), styles("mixed"))


def test_phones_can_be_numbers(ask):
    """Only what is a number becomes one."""
    accounts = [{"user_phone": "+15005550002", "account_billing_mobile": "500-555"}]
    sandbox = Sandbox(accounts=accounts, quirks=Quirks(int_phones=True))
    data = ask(sandbox, "GET", "/reseller/accounts/1001")[1]["data"]
    assert (15005550002, "500-555") == (data["user_phone"], data["account_billing_mobile"])


def test_a_new_client_is_inactive_and_without_credit(ask):
    """The phone is dialled from abroad, the currency follows the country, no password is shown."""
    sandbox = Sandbox()
    status, body = ask(sandbox, "POST", "/reseller/accounts", ADA)
    data = body["data"]
    shown = {name: data[name] for name in ("user_id", "active", "balance", "user_phone")}
    expected = {
        "user_id": 1013,
        "active": 0,
        "balance": "0.000000",
        "user_phone": "+15184811002",
    }
    assert (200, "New reseller has been added.", expected) == (status, body["response_msg"], shown)
    assert "USD" == sandbox.state.clients[1013].currency
    assert "engine-1843" not in str(data)
    assert data == ask(sandbox, "GET", "/reseller/accounts/1013")[1]["data"]


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("518-481-1002", "US", "+15184811002"),
        ("1 518 481 1002", "US", "+15184811002"),
        ("0411 111 111", "AU", "+61411111111"),
        ("+61411111111", "US", "+61411111111"),
        ("518-481-1002", "XK", "518-481-1002"),
    ],
)
def test_a_creation_writes_the_phone_with_its_calling_code(phone, country, expected, ask):
    """Documented for one number, and done for a handful of countries."""
    body = {**ADA, "user_phone": phone, "country": country}
    data = ask(Sandbox(), "POST", "/reseller/accounts", body)[1]["data"]
    assert expected == data["user_phone"]


def test_a_creation_can_answer_201(ask):
    """The envelope says the same as the status line."""
    sandbox = Sandbox(quirks=Quirks(create_status=201))
    status, body = ask(sandbox, "POST", "/reseller/accounts", ADA)
    assert (201, 201) == (status, body["http_code"])


def test_a_taken_user_name_is_refused(ask):
    """On a creation, and on an update to somebody else's; one's own name is no clash."""
    sandbox = Sandbox()
    ask(sandbox, "POST", "/reseller/accounts", ADA)
    asked = [("POST", ""), ("PUT", "/1001"), ("PUT", "/1013")]
    codes = [
        ask(sandbox, method, f"/reseller/accounts{path}", ADA)[1]["response_code"]
        for method, path in asked
    ]
    assert ["ALREADY_EXISTS", "ALREADY_EXISTS", "SUCCESS"] == codes
    assert 13 == len(sandbox.state.clients)


def test_an_update_replaces_the_fields_and_keeps_the_money(ask):
    """The phone is echoed as it came, and the balance is nobody's to update."""
    sandbox = Sandbox()
    status, body = ask(sandbox, "PUT", "/reseller/accounts/1002", ADA)
    changed = {name: value for name, value in ADA.items() if name != "password"}
    assert 200 == status
    assert {**body["data"], **changed} == body["data"]
    assert ("518-481-1002", Decimal(20)) == (body["data"]["user_phone"], sandbox.balance(1002))
    assert sandbox.account(1002) == body["data"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_unknown_client_is_a_404(method, ask):
    """Also where the body would have been refused."""
    status, body = ask(Sandbox(), method, "/reseller/accounts/9", {})
    assert (404, "Reseller account not found.") == (status, body["response_msg"])


BAD_BODIES = [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000, b"1" * 5000, b'{"username": NaN}']


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
@pytest.mark.parametrize(
    ("method", "path", "count"),
    [
        ("POST", "/reseller/accounts", 8),
        ("PUT", "/reseller/accounts/1001", 8),
        ("PUT", "/reseller/transfer-credit", 3),
    ],
)
def test_a_body_that_is_no_object_lacks_every_field(method, path, count, body, ask):
    """Any bytes get the documented 400, one message a field."""
    sandbox = Sandbox()
    before = dict(sandbox.state.clients)
    status, content = ask(sandbox, method, path, body)
    outcome = (status, content["response_code"], content["response_msg"], len(content["data"]))
    assert (400, "BAD_REQUEST", "Invalid input.", count) == outcome
    assert before == sandbox.state.clients


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"username": ""}, {"username": "Username field is required."}),
        ({"user_email": "  "}, {"user_email": "Email field is required."}),
        ({"user_phone": 61411111111}, {"user_phone": "Phone field is required."}),
        ({"country": "Australia"}, {"country": "Country must be a two-letter code."}),
    ],
)
def test_each_bad_field_gets_its_message(changes, expected, ask):
    """All eight are required, and all are strings."""
    body = ask(Sandbox(), "POST", "/reseller/accounts", {**ADA, **changes})[1]
    assert expected == body["data"]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short1", "BAD_REQUEST"),
        ("lettersonly", "BAD_REQUEST"),
        ("12345678", "BAD_REQUEST"),
        ("letters4", "SUCCESS"),
    ],
)
def test_a_password_rule_can_be_switched_on(password, code, ask):
    """Eight characters with a letter and a digit; without the quirk anything goes."""
    strict, plain = Sandbox(quirks=Quirks(password_rule="strong")), Sandbox()
    body = {**ADA, "password": password}
    codes = [
        ask(sandbox, "POST", "/reseller/accounts", body)[1]["response_code"]
        for sandbox in (strict, plain)
    ]
    assert [code, "SUCCESS"] == codes


def test_a_transfer_answers_the_client_afterwards(ask):
    """In the client's own currency, whatever was sent: the documented example is 12 USD to AUD."""
    sandbox = Sandbox()
    body = {"client_user_id": 1001, "balance": 12, "currency": "USD"}
    status, content = ask(sandbox, "PUT", "/reseller/transfer-credit", body)
    assert (200, "Your balance has been successfully transferred.") == (
        status,
        content["response_msg"],
    )
    assert sandbox.account(1001) == content["data"]
    assert (Decimal(68), Decimal(982)) == (sandbox.balance(1001), sandbox.credit)
    assert [Decimal(12)] == sandbox.transfers_to(1001)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_user_id": "1001"}, "client_user_id"),
        ({"client_user_id": True}, "client_user_id"),
        ({"client_user_id": 0}, "client_user_id"),
        ({"client_user_id": 2**31}, "client_user_id"),
        ({"balance": 0}, "balance"),
        ({"balance": "12"}, "balance"),
        ({"balance": True}, "balance"),
        ({"balance": None}, "balance"),
        ({"currency": "XTS"}, "currency"),
        ({"currency": ["AUD"]}, "currency"),
        ({"currency": ""}, "currency"),
    ],
)
def test_a_bad_transfer_names_the_field_and_moves_nothing(changes, field, ask):
    """The amount is a JSON number other than zero, the client an int, the currency known."""
    sandbox = Sandbox()
    body = {"client_user_id": 1001, "balance": 12, "currency": "AUD", **changes}
    status, content = ask(sandbox, "PUT", "/reseller/transfer-credit", body)
    assert (400, [field], ()) == (status, list(content["data"]), sandbox.ledger)


@pytest.mark.parametrize("amount", ["1E+300000", "1e999999999999", "NaN", "Infinity", "0.0000001"])
def test_numbers_that_are_traps_are_refused_at_once(amount, ask):
    """None of them is ever expanded."""
    body = f'{{"client_user_id": 1001, "balance": {amount}, "currency": "AUD"}}'.encode()
    content = ask(Sandbox(), "PUT", "/reseller/transfer-credit", body)[1]
    assert ["balance"] == list(content["data"])


def test_a_decimal_amount_is_taken_to_the_last_digit(ask):
    """Whole numbers are certain, decimals are likely accepted; neither goes through a float."""
    sandbox = Sandbox()
    body = b'{"client_user_id": 1001, "balance": 0.100001, "currency": "AUD"}'
    ask(sandbox, "PUT", "/reseller/transfer-credit", body)
    assert ([Decimal("0.100001")], Decimal("50.100001")) == (
        sandbox.transfers_to(1001),
        sandbox.balance(1001),
    )


def test_a_transfer_to_an_unknown_client_is_a_404(pay):
    """And nothing leaves the credit."""
    sandbox = Sandbox()
    assert "NOT_FOUND" == pay(sandbox, 9, 1)
    assert Decimal(1000) == sandbox.credit


def test_a_transfer_beyond_the_credit_is_the_documented_code(ask):
    """The status and the wording are a guess, the code is not."""
    body = {"client_user_id": 1001, "balance": 1001, "currency": "AUD"}
    expected = {
        "http_code": 400,
        "response_code": "INSUFFICIENT_CREDIT",
        "response_msg": "Insufficient credit.",
        "data": None,
    }
    assert (400, expected) == ask(Sandbox(), "PUT", "/reseller/transfer-credit", body)


def test_negative_amounts_can_be_switched_off(pay):
    """Taking credit back is plausible, and no more than that."""
    strict, plain = Sandbox(quirks=Quirks(negative_amounts=False)), Sandbox()
    assert ("BAD_REQUEST", "SUCCESS") == (pay(strict, 1001, -1), pay(plain, 1001, -1))
    assert (Decimal(49), Decimal(1001)) == (plain.balance(1001), plain.credit)


def test_the_rate_limit_is_per_clock_minute_and_operation(make_request):
    """The third call of a minute is refused until the minute is over; other calls are not."""
    clock = [60.0]
    sandbox = Sandbox(quirks=Quirks(rate_limit=2), clock=lambda: clock[0])

    def ask_at(now, path="/account"):
        clock[0] = now
        return answer(sandbox.state, make_request("GET", path))

    replies = [
        ask_at(60.0),
        ask_at(61.0),
        ask_at(70.9),
        ask_at(70.9, "/reseller/accounts"),
        ask_at(119.0),
        ask_at(120.0),
    ]
    assert [200, 200, 429, 200, 429, 200] == [reply.status for reply in replies]
    assert {
        "content-type": "application/json",
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "0",
        "ratelimit-reset": "50",
        "retry-after": "50",
    } == replies[2].headers
    assert ("1", "60") == (
        replies[0].headers["x-ratelimit-remaining"],
        replies[5].headers["ratelimit-reset"],
    )
    assert "retry-after" not in replies[0].headers


def test_a_rate_limited_transfer_moves_nothing(pay):
    """A 429 is a refusal."""
    sandbox = Sandbox(quirks=Quirks(rate_limit=1), clock=lambda: 60.0)
    assert ["SUCCESS", "HTTP_TOO_MANY_REQUESTS"] == [pay(sandbox, 1001, 1), pay(sandbox, 1001, 1)]
    assert [Decimal(1)] == sandbox.transfers_to(1001)


@pytest.mark.parametrize(
    "quirk",
    [
        {"max_limit": 0},
        {"max_limit": True},
        {"min_limit": 1.5},
        {"rate_limit": "20"},
        {"rows": "newest"},
        {"create_status": 204},
        {"empty_last_page": True},
        {"int_phones": 1},
        {"read_lag": -1},
    ],
)
def test_an_impossible_quirk_is_refused_by_name(quirk):
    """The message says what it could be."""
    with pytest.raises(ValueError, match=next(iter(quirk))):
        Quirks(**quirk)

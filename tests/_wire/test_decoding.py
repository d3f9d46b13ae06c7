import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import attrs
import pytest
from hypothesis import given

from clicksend_reseller._wire import decoding
from clicksend_reseller._wire.operations import ENDPOINTS, Endpoint, Repeat
from clicksend_reseller.errors import (
    AlreadyExistsError,
    APIResponseError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from clicksend_reseller.models import (
    Account,
    AccountPage,
    Currency,
    Outcome,
    Secret,
    Subaccount,
    TransferReceipt,
)
from support import wire_samples
from support.good_answers import ACCOUNT
from support.strategies import accounts, json_values
from support.wire_samples import (
    CREATE,
    FIELDS,
    GET,
    LIST,
    OWN,
    TRANSFER,
    UPDATE,
    answer,
    failure,
    said,
    success,
)

# --- the samples on file

AUD = Currency(
    currency_name_short="AUD",
    currency_name_long="Australian Dollars",
    currency_prefix_d="$",
    currency_prefix_c="c",
)
USD = Currency(
    currency_name_short="USD",
    currency_name_long="US Dollars",
    currency_prefix_d="$",
    currency_prefix_c="¢",
)
OLD_SUBACCOUNT = Subaccount(
    subaccount_id=70,
    api_username="acme_api",
    email="acme_api@example.test",
    phone_number="+61200000070",
    first_name="Ann",
    last_name="Example",
    api_key=Secret("00000000-0000-0000-0000-000000000070"),
    access_users=True,
    access_billing=True,
    access_reporting=True,
    access_contacts=False,
    access_settings=True,
    access_sms=True,
    access_email=False,
    access_voice=False,
    access_fax=False,
    access_post=False,
    access_reseller=False,
)
NEW_SUBACCOUNT = attrs.evolve(
    OLD_SUBACCOUNT,
    subaccount_id=127,
    api_username="acme2",
    email="acme2@example.test",
    phone_number="+61200000127",
    api_key=Secret("00000000-0000-0000-0000-000000000127"),
    access_mms=True,
    share_campaigns=False,
)
NEW = Account(
    user_id=117,
    username="acme2",
    balance=Decimal("0.000000"),
    active=False,
    banned=False,
    user_email="owner@acme2.test",
    user_phone="+15005550002",
    reply_to="originalemail",
    delivery_to=None,
    user_first_name="John",
    user_last_name="Example",
    account=0,
    account_name="Acme Two",
    account_billing_email="owner@acme2.test",
    account_billing_mobile="+15005550002",
    country="US",
    default_country_sms="US",
    auto_recharge=False,
    auto_recharge_amount=Decimal("20.00"),
    low_credit_amount=Decimal("0.00"),
    setting_unicode_sms=False,
    setting_email_sms_subject=False,
    setting_fix_sender_id=0,
    setting_sms_message_char_limit=6,
    old_dashboard=False,
    balance_commission=Decimal("0.299954"),
    timezone="Australia/Melbourne",
    currency=USD,
    subaccount=NEW_SUBACCOUNT,
)
OLD = Account(
    user_id=24,
    username="acme",
    balance=Decimal("115.000000"),
    active=True,
    banned=False,
    user_email="owner@acme.test",
    user_phone="+61200000971",
    reply_to="originalemail",
    delivery_to="I1hq9xexample",
    user_first_name="Ann",
    user_last_name="Example",
    account=0,
    account_name="Acme",
    account_billing_email="owner@acme.test",
    account_billing_mobile="+61200000898",
    country="AU",
    default_country_sms="AU",
    auto_recharge=False,
    auto_recharge_amount=Decimal("20.00"),
    low_credit_amount=Decimal("1.50"),
    setting_unicode_sms=False,
    setting_email_sms_subject=False,
    setting_fix_sender_id=0,
    setting_sms_message_char_limit=140,
    currency=AUD,
    subaccount=OLD_SUBACCOUNT,
    extra={"setting_beta": 0, "unsubscribe_mail": 0},
)
LISTED = attrs.evolve(OLD, active=False, balance=Decimal("2273.435000"))

MODELS = {
    "create_success": NEW,
    "create_success_201": NEW,
    "get_blueprint_old": OLD,
    "get_commission_number_trial_string": attrs.evolve(
        NEW,
        balance_commission=Decimal("2.33013"),
        extra={"on_trial": 0, "trial_expiry": None, "price_rate": 0},
    ),
    "get_phone_int": attrs.evolve(
        NEW,
        user_phone="15005550002",
        account_billing_mobile="15005550002",
        currency=None,
        subaccount=None,
    ),
    "get_subaccount_null": attrs.evolve(
        NEW, account_name=None, account_billing_mobile=None, subaccount=None
    ),
    "list_empty": AccountPage(accounts=(), total=0, per_page=15, current_page=1, last_page=0),
    "list_newpage_currency_beside_data": AccountPage(
        accounts=(attrs.evolve(NEW, currency=None, subaccount=None),),
        total=1,
        per_page=15,
        current_page=1,
        last_page=1,
    ),
    "list_page1_of_3": AccountPage(
        accounts=tuple(
            attrs.evolve(LISTED, user_id=200 + number, username=f"c{number}")
            for number in range(15)
        ),
        total=31,
        per_page=15,
        current_page=1,
        last_page=3,
    ),
    "list_two_blueprint": AccountPage(
        accounts=(
            attrs.evolve(LISTED, user_id=60),
            attrs.evolve(
                OLD, setting_fix_sender_id=26979, extra={"setting_beta": 1, "unsubscribe_mail": 1}
            ),
        ),
        total=2,
        per_page=15,
        current_page=1,
        last_page=1,
    ),
    "own_account": attrs.evolve(
        NEW,
        user_id=1,
        active=True,
        balance=Decimal("1117.461060"),
        currency=AUD,
        extra={"date_sign_up": 1436871253},
    ),
    "transfer_success_fx": TransferReceipt(
        client_user_id=60,
        amount=12,
        currency="USD",
        account=attrs.evolve(OLD, user_id=60, active=False, balance=Decimal("170.728701")),
    ),
    "update_success_echo_phone": attrs.evolve(
        NEW, balance=Decimal("199.997000"), user_phone="500-555-0002", subaccount=None
    ),
}


def refused(cls, status, code, message, **more):
    """Make the error of a refusal."""
    known = {"outcome": Outcome.REJECTED, "response_code": code, "response_msg": message}
    return cls("", status_code=status, **{**known, **more})


def unreadable(status, excerpt, **more):
    """Make the error of an answer outside the documented shape."""
    return APIResponseError("", status_code=status, excerpt=excerpt, **more)


ERRORS = {
    "err_400_already_exists": refused(
        AlreadyExistsError, 400, "ALREADY_EXISTS", "Username already exists."
    ),
    "err_400_field_map": refused(
        BadRequestError,
        400,
        "BAD_REQUEST",
        "Invalid input.",
        field_errors={
            "username": ("Username field is required.",),
            "user_email": ("Email field is required.",),
        },
    ),
    "err_400_response_code_int": refused(BadRequestError, 400, "400", "Bad request."),
    "err_401": refused(AuthenticationError, 401, "UNAUTHORIZED", "Authorization failed."),
    "err_403_not_reseller": refused(
        PermissionDeniedError,
        403,
        "FORBIDDEN",
        "You don't have permission to access this resource.",
    ),
    "err_404_unknown_client": refused(
        NotFoundError, 404, "NOT_FOUND", "Reseller account not found."
    ),
    "err_404_wrong_route_or_method": refused(
        NotFoundError, 404, "NOT_FOUND", "Invalid endpoint. Please try again."
    ),
    "err_429_documented_name": refused(
        RateLimitError, 429, "TOO_MANY_REQUESTS", "Rate Limit Exceeded."
    ),
    "err_429_live": refused(
        RateLimitError, 429, "HTTP_TOO_MANY_REQUESTS", "Too many attempts.", retry_after=39.0
    ),
    "err_500_envelope": refused(
        ServerError,
        500,
        "INTERNAL_SERVER_ERROR",
        "Something is broken",
        outcome=Outcome.UNKNOWN,
    ),
    "err_502_gateway_json": refused(ServerError, 502, None, "", outcome=Outcome.UNKNOWN),
    "err_503_html": refused(ServerError, 503, None, "", outcome=Outcome.UNKNOWN, retry_after=5.0),
    "ok_200_empty_body": unreadable(200, ""),
    "ok_200_html": unreadable(200, "<html>maintenance</html>"),
    "transfer_error_in_200": refused(
        InsufficientCreditError, 200, "INSUFFICIENT_CREDIT", "Insufficient credit."
    ),
    "transfer_insufficient_400": refused(
        InsufficientCreditError, 400, "INSUFFICIENT_CREDIT", "Insufficient credit."
    ),
}


def test_every_sample_is_read_by_a_test():
    """A file that is added without its expected value is found here."""
    assert wire_samples.NAMES == sorted([*MODELS, *ERRORS])


def _fields(model: Any) -> dict[str, Any]:
    return attrs.asdict(model)


@pytest.mark.parametrize("name", MODELS)
def test_sample_becomes_its_model(name):
    """Whole values: nothing is lost and nothing is made up."""
    sample = wire_samples.load(name)
    for operation in sample.operations:
        model = decoding.read(operation, sample.answer)
        assert MODELS[name] == model
        assert repr(_fields(MODELS[name])) == repr(_fields(model))  # True is no 1


@pytest.mark.parametrize("name", ERRORS)
def test_sample_becomes_its_error(name):
    """Class, outcome and all that the answer says, for each operation that may meet it."""
    sample = wire_samples.load(name)
    for operation in sample.operations:
        error = failure(operation, sample.answer)
        assert type(ERRORS[name]) is type(error)
        assert vars(ERRORS[name]) == vars(error)
        assert error.message.startswith(f"HTTP {sample.answer.status}")


# --- what a success may look like


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize("http_code", [200, 201, "200", None])
def test_any_2xx_is_a_success(status, http_code):
    """200, 201 and 204 are documented, and which comes when is not."""
    came = answer(status, said(http_code, "SUCCESS", ACCOUNT))
    assert 60 == decoding.read(GET, came).user_id
    assert decoding.read(TRANSFER, came).account == decoding.read(CREATE, came)


def test_success_needs_no_words_round_it():
    """A missing http_code and response_msg are no failure."""
    content = json.dumps({"response_code": "SUCCESS", "data": ACCOUNT}).encode()
    assert 60 == decoding.read(GET, answer(200, content)).user_id


BESIDE = {"currency_name_short": "EUR"}
WITHOUT = {name: value for name, value in ACCOUNT.items() if name != "_currency"}
EUR = Currency(currency_name_short="EUR")


@pytest.mark.parametrize(
    ("row", "beside", "currency"),
    [
        (WITHOUT, BESIDE, EUR),
        (WITHOUT, {}, None),
        (WITHOUT, [], None),
        (WITHOUT, None, None),
        (ACCOUNT, BESIDE, AUD),
        (WITHOUT | {"_currency": None}, BESIDE, None),
        (WITHOUT | {"_currency": {}}, BESIDE, None),
    ],
)
def test_currency_beside_the_rows_counts_where_a_row_has_none(row, beside, currency):
    """The documentation page puts it beside `data`; what stands inside counts first."""
    page = {"data": [row, row], "_currency": beside}
    assert [currency] * 2 == [account.currency for account in decoding.read(LIST, success(page))]
    content = {"response_code": "SUCCESS", "data": row, "_currency": beside}
    account = decoding.read(GET, answer(200, json.dumps(content).encode()))
    assert currency == account.currency


def test_page_numbers_may_be_missing_or_odd():
    """The walk does not trust them, so they must not fail it."""
    page: dict[str, Any] = {
        "data": [],
        "total": "31",
        "per_page": None,
        "current_page": 1.5,
        "last_page": True,
    }
    assert AccountPage(accounts=(), total=31) == decoding.read(LIST, success(page))


def test_a_page_whose_rows_are_numbered_is_read():
    """PHP writes a list with a gap in its keys as an object."""
    rows = {"0": ACCOUNT, "2": ACCOUNT | {"user_id": 77}}
    page = decoding.read(LIST, success({"data": rows}))
    assert [ACCOUNT["user_id"], 77] == [account.user_id for account in page]


@pytest.mark.parametrize(
    ("operation", "value", "path"),
    [
        (GET, None, "data"),
        (GET, "{}", "data"),
        (GET, [ACCOUNT], "data"),
        (GET, {}, "data.user_id"),
        (GET, ACCOUNT | {"balance": "a lot"}, "data.balance"),
        (OWN, ACCOUNT | {"active": 2}, "data.active"),
        (LIST, None, "data.data"),
        (LIST, [], "data.data"),
        (LIST, {}, "data.data"),
        (LIST, {"data": {}}, "data.data"),
        (LIST, {"data": [ACCOUNT, None]}, "data.data[1]"),
        (LIST, {"data": [ACCOUNT | {"user_id": "x"}]}, "data.data[0].user_id"),
        (
            LIST,
            {"data": [ACCOUNT] * 3 + [ACCOUNT | {"balance": None}]},
            f"data.data[3].balance (user_id {ACCOUNT['user_id']})",
        ),
        (
            LIST,
            {"data": {"0": ACCOUNT, "2": ACCOUNT | {"user_id": "77", "username": []}}},
            "data.data[1].username (user_id 77)",
        ),
        (CREATE, ACCOUNT | {"banned": "no"}, "data.banned"),
        (UPDATE, None, "data"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_path(operation, value, path):
    """Of a page of 100 it is the one row that somebody has to look at."""
    error = failure(operation, success(value))
    assert f"HTTP 200: success, but {path} cannot be read" == error.message


@given(raw=accounts() | json_values)
def test_a_transfer_that_succeeded_is_a_receipt_whatever_its_account(raw):
    """The money has moved: an odd account must not look like a failure."""
    content = json.dumps({"response_code": "SUCCESS", "data": raw}, default=float)
    content = content.replace("Infinity", "1")
    receipt = decoding.read(TRANSFER, answer(200, content.encode()))
    assert (60, 12, "USD") == (receipt.client_user_id, receipt.amount, receipt.currency)


# --- what is written


def test_body_of_a_transfer_calls_the_amount_balance():
    """The one name that differs: on the wire the amount to move is called balance."""
    assert b'{"client_user_id":60,"balance":12,"currency":"USD"}' == decoding.write(
        TRANSFER.body or {}
    )


def test_body_of_an_update_holds_the_eight_fields():
    """Here alone the password is plain."""
    expected = {
        field.name: getattr(FIELDS, field.name)
        for field in attrs.fields(type(FIELDS))
        if field.name != "password"
    }
    written = json.loads(decoding.write(UPDATE.body or {}))
    assert {**expected, "password": "correct horse"} == written
    assert written == json.loads(decoding.write(CREATE.body or {}))


# --- another endpoint


@attrs.frozen(kw_only=True, repr=False, weakref_slot=False)
class Usage:
    """What no endpoint gives yet."""

    user_id: int
    spent: Decimal
    extra: Mapping[str, Any] = attrs.field(factory=dict)


def test_a_model_that_is_one_object_needs_its_class_only(monkeypatch):
    """It is read as an account is, and whose it is is looked at too."""
    usage: Endpoint[Usage] = Endpoint(
        name="get_usage",
        method="GET",
        route="/reseller/accounts/{client_user_id}/usage",
        returns=Usage,
        repeat=Repeat.FREELY,
    )
    monkeypatch.setattr(decoding, "ENDPOINTS", (*ENDPOINTS, usage))
    monkeypatch.setattr(decoding, "converter", cache(decoding.converter.__wrapped__))
    data = {"user_id": 7, "spent": "1.25", "odd": 1}
    read = decoding.read(usage.at(7), success(data))
    assert Usage(user_id=7, spent=Decimal("1.25"), extra={"odd": 1}) == read
    assert ["", "account 7"] == [decoding.strayed(usage.at(n), read) for n in (7, 8)]
    with pytest.raises(APIResponseError, match=r"data\.spent"):
        decoding.read(usage.at(7), success({"user_id": 7}))
    with pytest.raises(APIResponseError, match="data"):
        decoding.read(usage.at(7), success([]))

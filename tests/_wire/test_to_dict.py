import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

import clicksend_reseller
from clicksend_reseller import (
    Account,
    CallEvent,
    Currency,
    JournalEntry,
    Outcome,
    RateLimit,
    RetryPolicy,
    Secret,
    Subaccount,
    Transfer,
    TransferState,
    WalkReport,
    to_dict,
)
from clicksend_reseller._wire import decoding
from support.good_answers import ACCOUNT
from support.wire_samples import FIELDS, GET, LIST, TRANSFER, success

CANARY = "canary-7f3a9c"

ACCOUNT_READ = decoding.read(GET, success(ACCOUNT))
NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)

EVERY_MODEL = [
    (FIELDS, ("password",)),
    (ACCOUNT_READ, ()),
    (ACCOUNT_READ.subaccount, ("api_key",)),
    (ACCOUNT_READ.currency, ()),
    (decoding.read(LIST, success({"data": [ACCOUNT]})), ()),
    (decoding.read(TRANSFER, success(ACCOUNT)), ()),
    (RateLimit(limit=20, remaining=0, resets_in=39.0, received_at=NOW), ()),
    (CallEvent(call_id=7, kind="finished", operation="x", outcome=Outcome.APPLIED), ()),
    (Transfer(idempotency_key="k", client_user_id=60, amount=12, currency="USD"), ()),
    (RetryPolicy(), ()),
    (
        WalkReport(
            pages=3,
            accounts=31,
            duplicates=0,
            first_total=31,
            total=31,
            next_page=None,
            complete=True,
        ),
        (),
    ),
    (
        JournalEntry(
            key="invoice-7",
            client_user_id=60,
            amount=12,
            currency="USD",
            state=TransferState.SENT,
            balance_before=Decimal("1.50"),
            sent_at=NOW,
        ),
        (),
    ),
]


def test_every_public_model_is_in_the_table():
    """A model that is added without a line here is found."""
    public = (getattr(clicksend_reseller, name) for name in clicksend_reseller.__all__)
    models = {value for value in public if isinstance(value, type) and attrs.has(value)}
    assert models == {type(model) for model, _ in EVERY_MODEL}


@pytest.mark.parametrize("secrets", [False, True])
@pytest.mark.parametrize(
    ("model", "hidden"), EVERY_MODEL, ids=[type(model).__name__ for model, _ in EVERY_MODEL]
)
def test_every_public_model_becomes_plain_data(model, hidden, secrets):
    """Frameworks cannot serialise slotted attrs classes by themselves."""
    plain = to_dict(model, secrets=secrets)
    assert plain == json.loads(json.dumps(plain))
    left_out = set() if secrets else set(hidden)
    assert {field.name for field in attrs.fields(type(model))} - left_out == set(plain)
    for secret in ("0000-0000-0000", "correct horse"):
        assert secrets or secret not in str(plain)


def test_account_as_plain_data():
    """Decimals as strings with their zeros, flags as booleans, nested models as dicts."""
    account = Account(
        user_id=60,
        username="acme",
        balance=Decimal("170.728700"),
        active=True,
        banned=False,
        currency=Currency(currency_name_short="AUD", min_recharge_amount=Decimal("0E-8")),
        subaccount=Subaccount(subaccount_id=70, api_key=Secret(CANARY)),
        extra={
            "rate": Decimal("-1E-7"),
            "odd": Decimal("1E+300000"),
            "token": Secret(CANARY),
            "ids": [1, Secret(CANARY), (2, None), [{"key": Secret(CANARY)}]],
            "nested": {"password": Secret(CANARY), "x": 1.5},
        },
    )
    nothing = {field.name: None for field in attrs.fields(Account)}
    shown: dict[str, Any] = {
        **nothing,
        "user_id": 60,
        "username": "acme",
        "balance": "170.728700",
        "active": True,
        "banned": False,
        "currency": {
            "currency_name_short": "AUD",
            "currency_name_long": None,
            "currency_prefix_d": None,
            "currency_prefix_c": None,
            "min_recharge_amount": "0.00000000",
            "max_recharge_amount": None,
            "extra": {},
        },
        "subaccount": {
            field.name: None for field in attrs.fields(Subaccount) if field.name != "api_key"
        }
        | {"subaccount_id": 70, "extra": {}},
        "extra": {
            "rate": "-0.0000001",
            "odd": "1E+300000",
            "ids": [1, [2, None], [{}]],
            "nested": {"x": 1.5},
        },
    }
    assert shown == to_dict(account)
    shown["subaccount"]["api_key"] = CANARY
    shown["extra"] |= {"token": CANARY, "ids": [1, CANARY, [2, None], [{"key": CANARY}]]}
    shown["extra"]["nested"]["password"] = CANARY
    assert shown == to_dict(account, secrets=True)


def test_times_and_words_as_plain_data():
    """Dates in ISO 8601, enumerations as their words."""
    limit = RateLimit(limit=None, remaining=0, resets_in=1.5, received_at=NOW)
    expected = {"limit": None, "remaining": 0, "resets_in": 1.5}
    assert {**expected, "received_at": "2026-10-21T07:28:00+00:00"} == to_dict(limit)
    event = CallEvent(call_id=7, kind="finished", operation="x", outcome=Outcome.NOT_SENT)
    assert "not_sent" == to_dict(event)["outcome"]
    assert str is type(to_dict(event)["outcome"])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+99", f"1{'0' * 99}"),
        ("1E+100", "1E+100"),
        ("1E-99", f"0.{'0' * 98}1"),
        ("1E-100", "1E-100"),
    ],
)
def test_numbers_as_plain_data_stay_short(number, text):
    """A server's 1E+300000 does not become 300,000 zeros."""
    currency = Currency(extra={"odd": Decimal(number)})
    assert {"odd": text} == to_dict(currency)["extra"]


@pytest.mark.parametrize("value", [{"a": 1}, [FIELDS], Secret(CANARY), Account, None, "x"])
def test_only_models_become_plain_data(value):
    """A dict that passes through would hide a slip; the error shows the type alone."""
    message = f"to_dict takes a model of this package, not {type(value).__name__}$"
    with pytest.raises(TypeError, match=message) as caught:
        to_dict(value)
    assert CANARY not in str(caught.value)


def test_secret_that_did_not_travel_is_no_plain_data():
    """No mask is written where the value was asked for."""
    travelled = pickle.loads(pickle.dumps(FIELDS))  # noqa: S301 - our own pickle
    assert "password" not in to_dict(travelled)
    with pytest.raises(ValueError, match="this secret did not travel"):
        to_dict(travelled, secrets=True)

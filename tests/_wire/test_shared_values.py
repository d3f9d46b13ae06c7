import copy
import json
import pickle
from decimal import Decimal
from functools import partial

import pytest

from clicksend_reseller._wire import decoding, redaction, structuring
from clicksend_reseller._wire.decoding import to_dict
from clicksend_reseller.models import Account, Currency, Subaccount
from support.good_answers import ACCOUNT
from support.wire_samples import BARE, bare

AUD = {"currency_name_short": "AUD", "min_recharge_amount": "20.00"}


@pytest.fixture
def converter():
    """Make a converter that has interned nothing yet."""
    return structuring.make_converter(decoding._SHAPES)


def test_equal_currencies_and_amounts_are_one_object(converter):
    """100,000 accounts share a handful of them: that is a fifth of their memory."""
    rows = (json.loads(json.dumps({**ACCOUNT, "_currency": AUD})) for _ in range(2))
    first, second = (converter.structure(row, Account) for row in rows)
    assert first.currency is second.currency
    assert first.auto_recharge_amount is second.auto_recharge_amount
    assert first.timezone is second.timezone


def test_only_texts_are_shared(converter):
    """True is equal to 1 and 1.0 to 1, but they do not read alike."""
    for value, expected in ((1, Decimal(1)), (True, None), ("1", Decimal(1)), (True, None)):
        currency = converter.structure({**AUD, "min_recharge_amount": value}, Currency)
        assert expected == currency.min_recharge_amount


@pytest.mark.parametrize(
    "change",
    [
        lambda extra: extra.update(a=1),
        lambda extra: extra.__setitem__("a", 1),
        lambda extra: extra.__delitem__("symbol"),
        lambda extra: extra.__ior__({"a": 1}),
        lambda extra: extra.setdefault("a", 1),
        lambda extra: extra.pop("symbol"),
        lambda extra: extra.popitem(),
        lambda extra: extra.clear(),
    ],
)
def test_what_is_shared_cannot_be_changed(converter, change):
    """It would change under all the other accounts; a copy is the reader's own."""
    raw = {"currency_name_short": "AUD", "symbol": "A$"}
    first, second = (converter.structure(dict(raw), Currency) for _ in range(2))
    assert first is second
    with pytest.raises(TypeError, match="change a copy"):
        change(first.extra)
    assert {"symbol": "A$"} == second.extra
    for copied in (
        dict(first.extra),
        first.extra.copy(),
        copy.copy(first.extra),
        copy.deepcopy(first).extra,
        pickle.loads(pickle.dumps(first)).extra,  # noqa: S301 - our own pickle
        to_dict(first)["extra"],
        json.loads(json.dumps(first.extra)),
    ):
        assert (dict, {"symbol": "A$"}) == (type(copied), copied)
        copied["symbol"] = "$"
    assert {"symbol": "A$"} == second.extra


def test_what_is_shared_is_bounded(converter):
    """A server that never gives the same currency twice does not fill the memory."""
    for n in range(1_000):
        name = f"C{n}"
        assert (
            name == converter.structure({"currency_name_short": name}, Currency).currency_name_short
        )
    long = {"currency_name_short": "x" * 1_000}
    first, second = (converter.structure(long, Currency) for _ in range(2))
    assert first == second
    assert first is not second


def test_no_currency_stands_for_another(converter):
    """100,000 accounts hold a handful of currencies; none stands for another."""
    aud, euro = {"currency_name_short": "AUD"}, {"currency_name_short": "EUR"}
    odd = [{"currency_name_short": code} for code in (1, True, "1")]
    read_one = partial(converter.structure, cl=Account)
    first, second, other = (read_one(BARE | {"_currency": dict(raw)}) for raw in (aud, aud, euro))
    assert first.currency is second.currency
    assert Currency(currency_name_short="EUR") == other.currency
    expected = [
        Currency(currency_name_short="1"),
        Currency(extra={"currency_name_short": True}),
        Currency(currency_name_short="1"),
    ]
    assert expected == [read_one(BARE | {"_currency": raw}).currency for raw in odd]


def test_what_is_kept_from_one_answer_to_the_next_is_bounded(converter):
    """A server that says something new each time fills no memory, and is read rightly still."""
    for number in range(2_000):
        text, money = f"zone {number}", f"{number % 900}.5"
        raw = BARE | {
            "balance": f"{number}.123456",
            "timezone": text,
            "low_credit_amount": money,
            f"unknown {number}": number,
            "_currency": {"currency_name_short": text},
        }
        expected = bare(
            balance=Decimal(f"{number}.123456"),
            timezone=text,
            low_credit_amount=Decimal(money),
            currency=Currency(currency_name_short=text),
            extra={f"unknown {number}": number},
        )
        assert expected == converter.structure(raw, Account)
    assert len(structuring._interned_texts) <= 1_000
    assert len(structuring._amounts) <= 256
    assert max(map(len, structuring._amounts)) <= 6
    assert len(redaction._harmless_names) <= 512
    assert max(map(len, redaction._harmless_names)) <= 64


def test_long_texts_and_wide_objects_are_read_and_forgotten(converter):
    """What is unusual is read like all else, and no copy of it stays."""
    wide, long = {f"key {number}": "x" for number in range(200)}, "z" * 200
    raw = BARE | {"timezone": long, "country": "", "_currency": wide} | wide
    raw["_subaccount"] = {"k" * 5_000: long}
    expected = bare(
        timezone=long,
        country="",
        currency=Currency(extra=wide),
        subaccount=Subaccount(extra={"k" * 5_000: long}),
        extra=wide,
    )
    read_one = partial(converter.structure, cl=Account)
    assert expected == read_one(raw) == read_one(raw)
    assert read_one(raw).currency is not read_one(raw).currency
    assert long not in structuring._interned_texts


def test_nothing_of_a_large_answer_stays_with_its_account(converter):
    """An `extra` holds its own keys: a copy that was emptied would keep the room of all."""
    account = converter.structure(ACCOUNT, Account)
    assert {}.__sizeof__() == account.extra.__sizeof__()
    account = converter.structure(ACCOUNT | {"unknown": 1}, Account)
    assert {**ACCOUNT}.__sizeof__() > 2 * account.extra.__sizeof__()
